"""One factor on the standard deviations of q: what it gains is known of Normals; a q that is right asks for none."""

import math
from types import SimpleNamespace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.audit.verdict.doubts import tell_doubts
from elbowroom.inference.audit.wiring_numbers import SUSPECT
from elbowroom.inference.diagnostics.respread import Respread, respread

B, D = 40, 6
SD = 2**-0.5  # of z | x, for z ~ N(0, 1), x | z ~ N(z, 1)


def model(x: Tensor, scale: float = 1.0) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(D).to(x), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


def guide(x: Tensor, scale: float = 1.0) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2, scale * SD).to_event(1))


def found(scale: float, num_data: int = B) -> Respread | None:
    draw = torch.Generator().manual_seed(0)
    return respread(Target(model, guide, torch.randn(num_data, D, generator=draw, dtype=torch.float64) * 2**0.5, scale))


def gain(scale: float, factor: float) -> float:
    """ELBO(c) − ELBO(1), nats: −KL of a Normal whose sd is c·s of the posterior's, less that of s."""
    return D * (math.log(factor) + scale**2 / 2 * (1 - factor**2))


@pytest.mark.parametrize(
    ("scale", "factor"), [(0.1, 10.0), (0.25, 4.0), (0.5, 2.0), (2.0, 0.5), (4.0, 0.25), (10, 0.1)]
)
def test_a_spread_that_is_off_by_one_factor(scale: float, factor: float) -> None:
    best = found(scale)
    assert best is not None and best.factor == factor
    error = float(best.gain.std()) / B**0.5
    assert abs(float(best.gain.mean()) - gain(scale, factor)) < 4 * error


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_a_spread_that_is_about_right(scale: float) -> None:
    assert found(scale) is None


def test_few_data_and_several_sites_say_nothing() -> None:
    assert found(0.1, 7) is None


@pytest.mark.parametrize(
    ("scale", "doubts"),
    [
        (0.25, ("q is too narrow: with 4 times its", ": was a log variance")),
        (4.0, ("q is too wide: with 0.25 times its", ": was a log s")),
    ],
)
def test_the_verdict_says_so_unless_chains_have(scale: float, doubts: tuple[str, str]) -> None:
    nothing = dict.fromkeys(("own_loss", "baseline", "better_read", "latent_use", "silence"))
    parts: Any = SimpleNamespace(**nothing, respread=found(scale))
    numbers = SUSPECT[-2](parts)
    (finding,) = tell_doubts(parts, numbers)
    assert (
        all(doubt in finding.sentence for doubt in doubts)
        and set(finding.numbers) == set(numbers)
        and finding.tone == "bad"
    )
    kind = type(numbers["respread"])
    said = {"spread_of_q": scale, "spread_of_q_widest": scale, "spread_of_q_narrowest": scale}
    seen = numbers | {name: kind(value, value, value, "", "") for name, value in said.items()}
    (finding,) = tell_doubts(parts, seen)
    assert "The spread of q is" in finding.sentence
