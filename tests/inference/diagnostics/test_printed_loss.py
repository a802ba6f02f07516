"""What training printed, read: every usual form of it is told from the terms, and what is none of them."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from elbowroom.guides import from_encoder
from elbowroom.inference import Target
from elbowroom.inference.diagnostics.baselines import num_values
from elbowroom.inference.diagnostics.own_loss import NUM_SAMPLES, OwnLoss, read_own_loss
from elbowroom.models import from_decoder

B, P, D, SIGMA = 100, 30, 4, 0.15


def weight() -> Tensor:
    return torch.randn(P, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@cache
def target(likelihood: str) -> Target:
    w, noise = weight(), torch.Generator().manual_seed(1)
    mean = torch.randn(B, D, generator=noise, dtype=torch.float64) @ w.T
    x = mean + SIGMA * torch.randn(B, P, generator=noise, dtype=torch.float64)
    x = (x > 0).double() if likelihood == "bernoulli" else x
    output, sigma = ("logits", None) if likelihood == "bernoulli" else ("mean", SIGMA)
    model = from_decoder(lambda z: z @ w.T, latent_dim=D, likelihood=likelihood, output=output, sigma=sigma)
    guide = from_encoder(lambda x: (x @ w / P, 0.3 * torch.ones(len(x), D, dtype=torch.float64)), output="mean_std")
    return Target(model, guide, x)


def terms(likelihood: str) -> tuple[float, float, float]:
    """Reconstruction loss, squared errors and KL of a datum, by hand; E (x − W z)² = (x − W m)² + .09 Σ W²."""
    w, x = weight(), target(likelihood).data[0]
    mean, torch_noise = x @ w / P, torch.randn(500, B, D, generator=torch.Generator().manual_seed(5)).double()
    decoded = (mean + 0.3 * torch_noise) @ w.T
    squares = ((x - mean @ w.T).square().sum(-1).mean() + 0.09 * w.square().sum()).item()
    if likelihood == "bernoulli":
        rest = functional.binary_cross_entropy_with_logits(decoded, x.expand_as(decoded), reduction="none")
        loss = rest.sum(-1).mean().item()
    else:
        loss = squares / (2 * SIGMA**2) + P * math.log(SIGMA * math.sqrt(2 * math.pi))
    kl = (0.5 * (mean.square() + 0.3**2 - 1) - math.log(0.3)).sum(-1).mean().item()
    return loss, squares, kl


def error(likelihood: str) -> float:
    """Of the mean over data of a loss by so many draws as it is read by: sd over draws / √(S B)."""
    log_w = target(likelihood).log_weights(1000, seed=7)
    return float((log_w.var(0).mean() / (NUM_SAMPLES * B)).sqrt())


def read(likelihood: str, told: float) -> OwnLoss:
    assert num_values(target(likelihood)) == P
    return read_own_loss(target(likelihood), told, num_values=P)


@pytest.mark.parametrize(
    ("likelihood", "loss", "reading"),
    [
        ("bernoulli", lambda rest, squares, kl: rest + kl, "minus the ELBO"),
        ("bernoulli", lambda rest, squares, kl: (rest + kl) / P, "averaged over the 30 values of a datum"),
        ("bernoulli", lambda rest, squares, kl: (rest + kl) / P / math.log(2), "in bits for each value"),
        (
            "bernoulli",
            lambda rest, squares, kl: rest / P + kl,
            "the reconstruction averaged over 30 values, and",
        ),
        ("bernoulli", lambda rest, squares, kl: rest / P, "the reconstruction alone, averaged"),
        ("normal-fixed", lambda rest, squares, kl: rest + kl, "minus the ELBO"),
        ("normal-fixed", lambda rest, squares, kl: squares + kl, "σ = 0.71"),
        ("normal-fixed", lambda rest, squares, kl: squares / 2 + kl, "σ = 1"),
        ("normal-fixed", lambda rest, squares, kl: squares / P + kl, "the mean squared error and the KL term"),
        ("normal-fixed", lambda rest, squares, kl: squares / (2 * SIGMA**2) + kl, "without the constants of a Normal"),
    ],
)
def test_what_is_usually_printed_is_read(likelihood: str, loss, reading: str) -> None:
    found = read(likelihood, loss(*terms(likelihood)))
    assert reading in found.reading, found
    assert found.is_elbo is (reading == "minus the ELBO")
    rest, _, kl = terms(likelihood)
    assert found.found == pytest.approx(rest + kl, abs=4 * error(likelihood))


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.8])
def test_another_number_is_no_usual_one(factor: float) -> None:
    rest, _, kl = terms("bernoulli")
    assert read("bernoulli", factor * (rest + kl)).reading == ""


def test_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="own_loss: got nan"):
        read("bernoulli", math.nan)
