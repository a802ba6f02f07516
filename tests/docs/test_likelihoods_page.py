"""The page on likelihoods: each loss of its table is minus the ELBO of the σ beside it, and all names are there."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from elbowroom.guides import from_encoder
from elbowroom.inference import Target
from elbowroom.models import from_decoder
from elbowroom.models.likelihoods import LIKELIHOODS, make_likelihood
from house_imports import ROOT

PAGE = (ROOT / "docs" / "likelihoods.md").read_text()
ROWS = re.findall(
    r"(?m)^\| `([^`]*mse_loss[^`]*)` \| [^|]* \| `([^`]*)` \| `([^`]*)` \| ([\d.]+)(?: at \S+ = (\S+))? \|$", PAGE
)
B, P, D = 5, 6, 2
WEIGHTS = {"beta": 4.0, "w": 0.3, "a": 10.0}


def test_the_table_is_read() -> None:
    assert len(ROWS) == 10 and len(re.findall(r"(?m)^\| `[^`]*loss\(", PAGE)) >= 8


@pytest.mark.parametrize(("loss", "variance", "divisor", "sigma", "weight"), ROWS, ids=[row[0] for row in ROWS])
def test_each_loss_is_minus_the_elbo(loss: str, variance: str, divisor: str, sigma: str, weight: str) -> None:
    """At the same draws of z, to rounding."""
    torch.manual_seed(0)
    decoder, encoder = nn.Linear(D, P), nn.Linear(P, 2 * D)
    names: dict[str, Any] = {"B": B, "P": P, "D": D, "F": functional, **WEIGHTS}
    squared = float(eval(variance, names))
    model = from_decoder(decoder, latent_dim=D, likelihood="normal-fixed", output="mean", sigma=squared**0.5)
    x = torch.rand(B, P)
    target = Target(model, from_encoder(encoder, output="stacked_mean_log_var"), x)
    z, _ = target.propose(1, seed=1)
    mean, log_var = encoder(x).chunk(2, -1)
    kl = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(-1)
    elbo = (target.log_joint(z)[1][0] - kl).mean()
    printed = eval(loss, names | {"x": x, "m": decoder(z["z"][0]), "kl": kl})
    found = printed / eval(divisor, names) + P / 2 * math.log(2 * math.pi * squared)
    torch.testing.assert_close(found, -elbo, rtol=1e-10, atol=1e-10)
    shown = {"B": 128, "P": 784, "D": 20, **dict.fromkeys(WEIGHTS, float(weight or 0))}
    digits = len(sigma.partition(".")[2])
    assert round(eval(variance, shown) ** 0.5, digits) == float(sigma)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_is_there_with_what_a_network_returns(name: str) -> None:
    if name == "normal-learned":  # which nothing has learned for a network that is trained already
        return
    options = {"sigma": 1.0} if name == "normal-fixed" else {}
    options |= {"levels": 3} if name in ("categorical", "discretised-logistic") else {}
    options |= {"trials": 3} if name == "binomial" else {}
    (row,) = re.findall(rf"(?m)^\|[^|]*`{name}`.*$", PAGE.partition("## Names")[2].partition("## Negative")[0])
    said = make_likelihood(name, **options).outputs
    if name.startswith("zero-inflated"):
        assert set(said) == {f"{one}_gate" for one in make_likelihood("negative-binomial").outputs}
    else:
        assert [one for one in said if f"`{one}`" not in row] == []
