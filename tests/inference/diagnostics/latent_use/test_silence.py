"""Whether q says anything about x: exact where q is one for all data, or another for each."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, audit
from elbowroom.inference.audit.result import Finding
from elbowroom.inference.diagnostics.latent_use import Silence, silence

B, P = 40, 3


def pair(slope: float, of_mean: Any = None, of_sd: Any = None, latents: int = 2) -> tuple[Any, Any]:
    """x ~ N(slope · (z₁, …, z_D, 0, …), 1), and q with means and sds that are functions of x's first entry."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(latents, dtype=x.dtype), 1.0).to_event(1))
            mean = slope * torch.nn.functional.pad(z, (0, P))[..., :P]
            pyro.sample("x", dist.Normal(mean, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        first, zeros = x[:, :1], torch.zeros(len(x), latents, dtype=x.dtype)
        mean = torch.cat([of_mean(first), zeros[:, 1:]], 1) if of_mean else zeros
        sd = of_sd(first) + zeros if of_sd else zeros + 1
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(mean, sd).to_event(1))

    return model, guide


def drawn(num_data: int = B) -> Tensor:
    return torch.randn(num_data, P, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def found(*how: Any, num_data: int = B, **more: Any) -> Silence:
    said = silence(Target(*pair(*how, **more), drawn(num_data)))
    assert said is not None
    return said


@pytest.mark.parametrize("latents", [1, 2, 10])
def test_one_q_for_all_data_says_nothing(latents: int) -> None:
    said = found(0.0, latents=latents)
    torch.testing.assert_close(said.information, torch.zeros(B, dtype=torch.float64), atol=1e-12, rtol=0)
    assert said.is_silent and not said.of_encoder and said.felt == 0


def test_another_q_for_each_datum_says_which_it_is() -> None:
    """Far apart: log B nats; about as far as they are wide: ½ log(1 + s²/σ²)."""
    said = found(1.0, lambda x: 1e6 * x)
    torch.testing.assert_close(said.information, torch.full((B,), math.log(B), dtype=torch.float64))
    assert not said.is_silent and math.isnan(said.felt)
    said = found(1.0, lambda x: x, num_data=64)
    expected = 0.5 * math.log(1 + float(drawn(64)[:, 0].var()))
    assert abs(float(said.information.mean()) - expected) < 4 * float(said.information.std()) / 8


def test_a_spread_that_varies_says_something_too() -> None:
    assert not found(1.0, None, lambda x: x.exp()).is_silent


@pytest.mark.parametrize("latents", [2, 10])
def test_one_latent_that_is_used_is_enough(latents: int) -> None:
    assert not found(0.0, lambda x: 0.7 * x, latents=latents).is_silent


def test_a_decoder_that_uses_z_has_not_collapsed() -> None:
    said = found(2.0)
    assert said.is_silent and said.of_encoder and said.felt > 2


def test_few_data_say_nothing() -> None:
    assert silence(Target(*pair(0.0), drawn(7))) is None


def first(*how: Any, **more: Any) -> Finding:
    result = audit(*pair(*how, **more), drawn(), budget="100 evaluations")
    assert result.latent_use is None, "there is no room for it"
    assert set(result.findings[0].numbers) <= set(result.numbers)
    return result.findings[0]


@pytest.mark.parametrize(
    ("slope", "tone", "told"),
    [
        (0.0, "warning", "The model has collapsed: z says nothing about x; q carries 0.000 nats about it."),
        (2.0, "bad", "The encoder has collapsed: q carries 0.000 nats about x, though log p(x|z) changes by"),
    ],
)
def test_the_verdict_begins_with_it_whatever_the_budget(slope: float, tone: str, told: str) -> None:
    said = first(slope)
    assert said.sentence.startswith(told) and said.tone == tone


def test_the_verdict_of_a_part_that_has_collapsed_begins_otherwise() -> None:
    assert "collapsed" not in first(0.0, lambda x: 0.7 * x).sentence
