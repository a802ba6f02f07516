"""Rows of the table at a small size: log p(x) is what it is said to be, draws are data, and pictures are measured."""

from itertools import product

import pytest
import torch

from elbowroom.densities import DENSITIES
from elbowroom.rivals import RIVALS, Digits, with_latents
from elbowroom.rivals.pictures import nearest_distance, roughness
from elbowroom.rivals.rival import evenly
from elbowroom.rivals.without_latents import density
from toys.failure_budget import sigmas


@pytest.fixture(autouse=True)
def _single_precision(_global_state: None) -> None:
    torch.set_default_dtype(torch.float32)


def small(levels: int = 2) -> Digits:
    """Images of 2×2 pixels that go together."""
    generator = torch.Generator().manual_seed(1)
    level = torch.rand(90, 1, generator=generator) * 0.7 + torch.rand(90, 4, generator=generator) * 0.3
    x = (level * levels).floor()
    return Digits("binary" if levels == 2 else "levels", levels, x[:60], x[60:75], x[75:], (2, 2))


def states(levels: int) -> torch.Tensor:
    return torch.tensor(list(product(range(levels), repeat=4)), dtype=torch.float32)


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("row", ["pixels", "mixture", "vae", "made"])
def test_an_exact_row_sums_to_one_and_draws_what_it_says(levels: int, row: str) -> None:
    data = small(levels)
    fit = {
        "pixels": with_latents.mixture(1),
        "mixture": with_latents.mixture(4),
        "vae": with_latents.vae(1, (4,), num_epochs=2),
        "made": density("made", "", ("binary", "levels"), {"hidden": (8,)}, {"num_epochs": 2}).fit,
    }[row]
    fitted = fit(data, 0)
    found = fitted.log_p(states(levels))
    assert found.bound == "exact" and fitted.both_sides is None
    assert found.value.double().exp().sum().item() == pytest.approx(1, abs=1e-4)
    x = fitted.sample(500, 3)
    assert x.shape == (500, 4) and torch.equal(x, fitted.sample(500, 3)) and not torch.equal(x, fitted.sample(500, 4))
    expected = found.value.double().exp() @ states(levels).double()
    spread = (found.value.double().exp() @ states(levels).double().square() - expected.square()).sqrt()
    assert ((x.double().mean(0) - expected).abs() < sigmas(4 * 8) * spread / 500**0.5).all()


@pytest.mark.slow
def test_a_row_from_both_sides_holds_the_lattice_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hierarchy of one and one latents: two dimensions, so that the truth is known."""
    monkeypatch.setattr(with_latents, "LOOKED", 5)
    monkeypatch.setattr(with_latents, "BUDGET", "3e5 evaluations")
    data, programs = small(), {}
    trained = with_latents._trained

    def remembered(made, training, *, exact):
        def keep(data: Digits):
            programs["pair"] = made(data)
            return programs["pair"]

        return trained(keep, training, exact=exact)

    monkeypatch.setattr(with_latents, "_trained", remembered)
    fitted = with_latents.hierarchy((1, 1), (4,), num_epochs=2)(data, 0)
    assert fitted.both_sides is not None
    sides = fitted.both_sides(data.test)
    truth = with_latents.quadrature(with_latents.Target(*programs["pair"], data.test)).value
    below, rows = sides.log_p, evenly(torch.arange(15), 5)
    assert below.bound == "lower" and sides.lower is not None and sides.upper is not None and len(sides.upper) == 5
    assert ((below.value - truth).abs() < sigmas(15) * below.stderr + 1e-3).all()
    for side in (sides.lower, sides.upper):
        value = below.value[rows] + side.value
        assert ((value - truth[rows]).abs() < sigmas(10) * side.stderr + 0.05).all()


def test_every_density_and_every_kind_has_a_row() -> None:
    labels = [rival.label for rival in RIVALS.values()]
    assert len(set(labels)) == len(labels)
    assert all(rival.kinds and rival.avoids and rival.cannot for rival in RIVALS.values())
    said = {rival.avoids for rival in RIVALS.values()}
    from elbowroom.densities import density_class

    assert {density_class(name).avoids for name in DENSITIES} <= said, "a density that no row compares"


def test_roughness_is_the_mean_step_between_neighbours() -> None:
    board = torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]])  # 2×3: all neighbours differ
    assert roughness(board, (2, 3)) == 1 and roughness(torch.ones(3, 6), (2, 3)) == 0
    edge = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]])  # of 4 steps across 2, of 3 down none
    assert roughness(edge, (2, 3)) == pytest.approx(2 / 7)


def test_the_nearest_training_image_counts() -> None:
    train = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    x = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])  # 1, 0, 2 + 1, 0
    assert nearest_distance(x, train) == pytest.approx(1.0)
    assert nearest_distance(x.repeat(200, 1), train) == pytest.approx(1.0)  # in pieces
