"""What an audit says of what was audited: digests of the data, names and options of programs, their distributions."""

import hashlib
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target
from elbowroom.inference.audit.about import about_target, distribution_words, is_standard_normal, merged
from elbowroom.models import VAE, from_decoder


def test_a_model_and_a_guide_of_elbowroom() -> None:
    x = torch.rand(5, 6)
    target = Target(VAE(6, 2, (3,), likelihood="normal-fixed", sigma=0.25), AmortizedNormal(6, 2, (3,)), x)
    about = about_target(target)
    assert about["data"] == {"argument 1": f"[5, 6] float64, sha256 {hashlib.sha256(x.numpy().tobytes()).hexdigest()}"}
    assert about["model"]["defined as"] == "elbowroom.models.vae.VAE"
    assert about["model"]["p(x | z)"] == "NormalFixed(sigma=0.25)"
    assert about["model"]["latent 'z'"] == "Normal(0, 1) [2]" and about["guide"]["latent 'z'"] == "Normal [2]"
    transposed = Target(target.model, target.guide, x.T.contiguous().T)  # other strides, the same values
    assert about_target(transposed)["data"] == about["data"]
    changed = Target(target.model, target.guide, x + (x == x.max()) * 1e-9)
    assert about_target(changed)["data"] != about["data"]


def test_functions_and_many_sites() -> None:
    def model(x: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(2.0, 1.0))
            for t in range(20):
                pyro.sample(f"x_{t}", dist.Poisson(z).mask(mask[:, t]), obs=x[:, t])

    def guide(x: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Gamma(torch.full((len(x),), 2.0), 1.0))

    about = about_target(Target(model, guide, torch.ones(3, 20), torch.ones(3, 20, dtype=torch.bool)))
    assert about["model"]["defined as"].endswith("test_functions_and_many_sites.<locals>.model")
    assert about["model"]["latent 'z'"] == "Gamma" and about["model"]["observed 'x_0'"] == "Poisson"
    assert len(about["model"]) == 12 and about["data"]["argument 2"].startswith("[3, 20] bool, sha256 ")


@pytest.mark.parametrize(
    ("distribution", "words", "standard"),
    [
        (dist.Normal(torch.zeros(3), 1.0).to_event(1), "Normal(0, 1) [3]", True),
        (dist.Normal(torch.tensor([0.0, 0.1]), 1.0).to_event(1), "Normal [2]", False),
        (dist.Normal(0.0, 2.0), "Normal", False),
        (dist.Normal(torch.zeros(2), 1.0).expand([4, 2]).to_event(1).mask(True), "Normal(0, 1) [2]", True),
        (dist.Laplace(torch.zeros(2), 1.0).to_event(1), "Laplace [2]", False),
    ],
)
def test_distributions_in_words(distribution: Any, words: str, standard: bool) -> None:
    assert distribution_words(distribution) == words and is_standard_normal(distribution) is standard


def test_another_prior_is_named() -> None:
    prior = torch.distributions.Laplace(torch.zeros(2), 1.0)
    model = from_decoder(torch.nn.Linear(2, 6), latent_dim=2, likelihood="bernoulli", output="logits", prior=prior)
    about = about_target(Target(model, AmortizedNormal(6, 2, (3,)), torch.ones(4, 6)))
    assert about["model"]["latent 'z'"] == "Laplace [2]"


def test_what_is_said_first_stands() -> None:
    first, second = {"data": {"name": "a"}}, {"data": {"name": "b", "size": 3}, "model": {"k": 1}}
    assert merged(first, second) == {"data": {"name": "a", "size": 3}, "model": {"k": 1}}
    assert first == {"data": {"name": "a"}}
