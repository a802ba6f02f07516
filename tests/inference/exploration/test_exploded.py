"""A datum for which the encoder has exploded takes neither the map nor the pictures from the others."""

import math
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Exploration, Target, audit_target, explore
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.exploration.decoding import decoder_of
from elbowroom.inference.exploration.overview import overview_of
from elbowroom.inference.exploration.planes import with_window
from elbowroom.inference.exploration.shared import on_the_map
from toys.explorations import plane, view
from toys.programs import data, normal_model

W = torch.tensor([[2.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.3, 0.0, 1.5]], dtype=torch.float64)


def exploded(dim: int, shift: float, scale: float) -> Target:
    """Twelve data, x | z ~ N(z W, I); q of the fourth is far away, or very wide. Without a gradient: no chains run."""
    weight = W[:dim]

    def model(x: Tensor, loc: Tensor, sd: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(dim), 1.0).to_event(1))
            with np.errstate(all="ignore"):
                mean = torch.from_numpy(z.numpy() @ weight.numpy())
            pyro.sample("x", dist.Normal(mean, 1.0).to_event(1), obs=x)

    def guide(x: Tensor, loc: Tensor, sd: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, sd, validate_args=False).to_event(1))

    x = data(12, 3, seed=4)
    loc, sd = x @ weight.T / 4, torch.full((12, dim), 0.4)
    loc[3], sd[3] = loc[3] + shift, scale
    return Target(model, guide, x, loc, sd)


def quickly(target: Target, **options: Any) -> Exploration:
    return explore(audit_target(target, budget=0.01), budget=60.0, **options)


EXPLODED = [(1e4, 0.4), (0.0, 1e13), (0.0, math.inf)]
"""How far away, and how wide q of one of the data is."""


@pytest.mark.parametrize(("dim", "shift", "scale"), [(2, *EXPLODED[1]), (3, *EXPLODED[0]), (2, *EXPLODED[2])])
def test_map_and_bytes_are_made_for_the_others(dim: int, shift: float, scale: float) -> None:
    coordinates = Coordinates.of(exploded(dim, shift, scale), gradients=False)
    overview = overview_of(coordinates, coordinates.names, 0, None)
    assert overview.far.nonzero().flatten().tolist() == [3]
    codes = overview.frame.places(overview.means)
    inside = (codes >= overview.frame.window[:, 0]) & (codes <= overview.frame.window[:, 1])
    assert inside.all(1).tolist() == [b != 3 for b in range(12)] and float(overview.frame.window.diff().max()) < 9
    decoder, why = decoder_of(coordinates, overview, 0, None)
    assert decoder is not None and not why
    x, again = decoder.observation.x, overview.means[~overview.far] @ W[:dim]
    high = max(float(x.max()), float(again.max()))
    low = min(float(x.min()), float(again.min()))
    assert (decoder.scale.low, decoder.scale.high) == pytest.approx((low, high))


def test_a_view_that_the_map_does_not_serve_has_pictures_of_its_own() -> None:
    coordinates = Coordinates.of(exploded(2, *EXPLODED[0]), gradients=False)
    overview = overview_of(coordinates, coordinates.names, 0, None)
    decoder, _ = decoder_of(coordinates, overview, 0, None)
    assert decoder is not None
    windows = {0: (-4.5, 1.0), 3: (-2000.0, 9000.0), 5: (1.0, 1.001), 7: (50.0, 51.0)}
    views = [
        view(b, plane((low, low), (high, high)), torch.zeros(2), 0.3, size=9) for b, (low, high) in windows.items()
    ]
    lattice, found = on_the_map(coordinates, decoder, overview.frame, views)
    assert [each.decoded is None for each in found] == [True, False, False, False]
    assert lattice.window[:, 0].tolist() == [-4.5, -4.5] and float(lattice.window.max()) < 5
    for each in found[1:]:
        assert each.decoded is not None and torch.equal(each.decoded.window, each.frame.window)
        u = each.frame.lattice(len(each.decoded.mean))
        assert torch.equal(each.decoded.mean, decoder.scale.bytes_of(u @ W[:2]))


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize(("shift", "scale"), EXPLODED)
def test_the_others_are_seen_as_without_it(dim: int, shift: float, scale: float) -> None:
    """In one call: no view of theirs has coarser pictures, or others."""
    alone, found = quickly(exploded(dim, 0.0, 0.4), data=[0, 1]), quickly(exploded(dim, shift, scale), data=[0, 3])
    assert not found.notices[0].startswith("What the model makes") and alone.views[0].datum == found.views[0].datum == 0
    span = found.scale.high - found.scale.low
    assert 0.7 < span / (alone.scale.high - alone.scale.low) < 1.01
    torch.testing.assert_close(found.views[0].frame.window, alone.views[0].frame.window)
    frame = found.map if found.views[0].decoded is None else found.views[0].frame
    decoded = found.views[0].decoded or found.decoded
    assert decoded is not None and float(decoded.window.diff().max()) < 20
    values = found.scale.low + span / 254 * decoded.mean.double()
    on = with_window(frame, decoded.window)
    expected = (on.points(on.lattice(len(values))) @ W[:dim]).clamp(found.scale.low, found.scale.high)
    assert float((values - expected).abs().max()) < 0.51 * span / 254


@pytest.mark.slow
@pytest.mark.parametrize(("log_scale", "views"), [(30.0, 5), (800.0, 4)])
def test_an_exploded_datum_comes_first_or_is_told(log_scale: float, views: int) -> None:
    """q 10^13 times as wide as it should be is shown in the posterior's window; one without finite draws is not."""
    x = data(5)
    scale = torch.full((5,), math.sqrt(0.5))
    scale[3] = math.exp(log_scale) if log_scale < 700 else math.inf

    def guide(x: Tensor, scale: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, scale, validate_args=False))

    def model(x: Tensor, scale: Tensor) -> None:
        normal_model(x)

    found = quickly(Target(model, guide, x, scale))
    assert len(found.views) == views
    if views == 5:
        first = found.views[0]
        assert first.datum == 3 and float(first.frame.window[0].diff()) < 10
    else:
        assert found.notices == ("Planes are shown around 4 of 5 data: q has no finite draws of 1.",)
