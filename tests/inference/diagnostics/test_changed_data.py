"""Changes of the data that networks fit far better: found where they were made, and none where none was."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import from_encoder
from elbowroom.inference import Target
from elbowroom.inference.audit.verdict.other_data import tell_changed_data
from elbowroom.inference.audit.verdict.wording import nats, percent
from elbowroom.inference.audit.wiring_numbers import SUSPECT
from elbowroom.inference.diagnostics.changed_data import CHANGES, Change, better_read
from elbowroom.models import from_decoder

B, SIDE, D, SIGMA, SHUFFLE = 40, 4, 2, 0.03, 2
P = SIDE * SIDE
Map = Callable[[Tensor], Tensor]


class Exact:
    """x = b + W z + noise, grey images of 4 × 4 in [0, 1]; the encoder returns the posterior itself."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.weight = 0.06 * torch.randn(P, D, generator=draw, dtype=torch.float64)
        self.bias = 0.35 + 0.3 * torch.rand(P, generator=draw, dtype=torch.float64)
        z = torch.randn(B, D, generator=draw, dtype=torch.float64)
        self.x = self.decode(z) + SIGMA * torch.randn(B, P, generator=draw, dtype=torch.float64)
        precision = torch.eye(D, dtype=torch.float64) + self.weight.mT @ self.weight / SIGMA**2
        self.covariance = precision.inverse()

    def decode(self, z: Tensor) -> Tensor:
        return self.bias + z @ self.weight.mT

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x - self.bias) @ self.weight @ self.covariance / SIGMA**2
        return mean, self.covariance.diagonal().sqrt().expand_as(mean)

    def target(self, x: Tensor, encode: Any = None, decode: Any = None) -> Target:
        model = from_decoder(decode or self.decode, latent_dim=D, likelihood="normal-fixed", sigma=SIGMA, output="mean")
        return Target(model.double(), from_encoder(encode or self.encode, output="mean_std"), x)


EXACT = Exact()


def turned(x: Tensor) -> Tensor:
    return x.reshape(-1, SIDE, SIDE).mT.reshape(x.shape)


def rotated(mean: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
    return 3 * torch.stack([mean[:, 1], -mean[:, 0]], 1), sd


def test_the_data_as_they_should_be() -> None:
    assert EXACT.x.min() > 0 and EXACT.x.max() < 1, "every change is tried"
    assert better_read(EXACT.target(EXACT.x)) is None


@pytest.mark.parametrize(
    ("done", "change"),
    [
        (lambda x: x.view(-1, SIDE, SIDE).flip(1).flatten(1), "upside down as 4 × 4 images"),
        (lambda x: x.view(-1, SIDE, SIDE).flip(2).flatten(1), "mirrored as 4 × 4 images"),
        (lambda x: x.view(-1, SIDE, SIDE).rot90(1, (1, 2)).flatten(1), "turned by 270° as 4 × 4 images"),
        (turned, "with rows for columns as 4 × 4 images"),
        (lambda x: 1 - x, "as 1 − x"),
    ],
)
def test_data_in_another_order(done: Map, change: str) -> None:
    found = better_read(EXACT.target(done(EXACT.x)))
    assert found is not None and found.gain is not None and found.gain.mean() > 20
    assert (found.reader, found.change) == ("the networks", change)


@pytest.mark.parametrize(
    ("done", "change"),
    [
        (lambda x: 2 * x - 1, "as (x + 1)/2"),
        (lambda x: 255 * x, "as x/255"),
        (lambda x: x / 255, "as 255 x"),
    ],
)
def test_data_of_another_scale(done: Map, change: str) -> None:
    found = better_read(EXACT.target(done(EXACT.x)))
    assert found is not None and found.left is not None and found.left_then is not None
    assert (found.reader, found.change) == ("the networks", change)
    assert found.left_then.mean() < 0.4 and found.left.mean() > 1
    assert found.gain is None and found.elbo is None, "densities of another scale are others"


@pytest.mark.parametrize(
    ("encode", "decode", "reader", "change"),
    [
        (lambda x: EXACT.encode((x + 1) / 2), None, "the encoder", "as 2x − 1"),
        (
            lambda x: EXACT.encode(x * EXACT.x.std() + EXACT.x.mean()),
            None,
            "the encoder",
            "standardised, (x − mean)/sd",
        ),
        (lambda x: EXACT.encode(turned(x)), None, "the encoder", "with rows for columns as 4 × 4 images"),
        (None, lambda z: turned(EXACT.decode(z)), "the decoder", "with rows for columns as 4 × 4 images"),
        (lambda x: rotated(*EXACT.encode(x)), None, "the encoder", ""),  # which no change undoes
    ],
)
def test_one_network_that_reads_otherwise(encode: Any, decode: Any, reader: str, change: str) -> None:
    found = better_read(EXACT.target(EXACT.x, encode, decode))
    assert found is not None and found.gain is not None
    assert (found.reader, found.change) == (reader, change)
    assert tell(found).count(" nats per datum") == 1 and change in tell(found)
    assert ("sees nothing but the mean of all data" in tell(found)) is (not change)


def shuffled(x: Tensor) -> Tensor:
    return x[:, torch.randperm(P, generator=torch.Generator().manual_seed(SHUFFLE))]


@pytest.mark.parametrize(
    ("x", "encode", "decode", "reader"),
    [
        (shuffled(EXACT.x), None, None, "the networks"),
        (EXACT.x, lambda x: EXACT.encode(shuffled(x)), None, "the encoder"),
        (EXACT.x, None, lambda z: shuffled(EXACT.decode(z)), "the decoder"),
    ],
)
def test_an_order_that_is_none_of_the_usual_ones_has_no_name(x: Tensor, encode: Any, decode: Any, reader: str) -> None:
    found = better_read(EXACT.target(x, encode, decode))
    assert found is not None and (found.reader, found.change) == (reader, "in other orders, none of which stands out")
    assert found.change in tell(found)


def tell(found: Any) -> str:
    """What the verdict says of it; the numbers that it says are among those that are kept."""
    parts: Any = SimpleNamespace(better_read=found)
    numbers = SUSPECT[-1](parts)
    (finding,) = tell_changed_data(parts, numbers)
    assert finding.tone == "bad" and set(finding.numbers) == set(numbers)
    places = [finding.sentence.find((nats if n.unit == "nats" else percent)(n)) for n in numbers.values()]
    assert min(places) >= 0 and places == sorted(places), "all are said, in their order"
    return finding.sentence


def test_what_reconstructions_leave_is_said() -> None:
    found = better_read(EXACT.target(255 * EXACT.x))
    assert tell(found).startswith("Reconstructions leave ") and "where the networks see them as x/255" in tell(found)


def test_too_few_data_and_other_programs_say_nothing() -> None:
    assert better_read(EXACT.target(turned(EXACT.x)[:7])) is None
    assert better_read(Target(*missing_values(), EXACT.x)) is None


def missing_values() -> tuple[Any, Any]:
    """Programs that observe a part of the data."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(D, dtype=x.dtype), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(EXACT.decode(z), SIGMA).mask(x > 0.5).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        mean, sd = EXACT.encode(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(mean, sd).to_event(1))

    return model, guide


@pytest.mark.parametrize("change", [change for change in CHANGES if change.keeps_volume], ids=lambda c: c.name)
@pytest.mark.parametrize("shape", [(16,), (48,), (4, 6), (3, 4, 4), (4, 4, 3), (1, 4, 4)])
def test_changes_that_keep_volumes_move_values(change: Change, shape: tuple[int, ...]) -> None:
    x = torch.rand(5, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for _, changed in change.changed(x):
        assert changed.shape == x.shape
        values = 1 - changed if "1 − x" in change.name else changed
        torch.testing.assert_close(values.flatten(1).sort().values, x.flatten(1).sort().values)


def test_colours_in_their_two_orders() -> None:
    x = torch.rand(5, 3, 4, 4)
    changed = {change.name: [value for _, value in change.changed(x)] for change in CHANGES}
    (last,) = changed["with the colours of a pixel side by side"]
    assert torch.equal(last.reshape(5, 4, 4, 3).movedim(-1, 1), x)
    (flat,) = (v for c in CHANGES if "one colour of all" in c.name for _, v in c.changed(last.flatten(1)))
    assert torch.equal(flat.reshape(x.shape), x)
    assert not changed["with one colour of all pixels after another"]
    (reverse,) = changed["with colours in reverse"]
    assert torch.equal(reverse, x[:, [2, 1, 0]])
