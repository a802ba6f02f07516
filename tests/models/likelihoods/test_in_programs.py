"""Every likelihood in a VAE: quadrature and importance sampling agree, and data are drawn alone as in company."""

from typing import Any

import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, bracket, importance, quadrature
from elbowroom.models import VAE, from_decoder
from elbowroom.models.likelihoods import LIKELIHOODS, make_likelihood
from elbowroom.networks.mlp import Pair
from toys.failure_budget import sigmas

B, P, D = 4, 3, 2
OPTIONS: dict[str, dict[str, Any]] = {
    "normal-fixed": {"sigma": 0.5},
    "binomial": {"trials": 3},
    "categorical": {"levels": 4},
    "discretised-logistic": {"levels": 4},
}


def data(name: str, num_data: int = B) -> Tensor:
    values = torch.randn(num_data, P)
    kinds = {"binary": (values > 0).to(values), "real": values, "unit": values.sigmoid()}
    return kinds.get(LIKELIHOODS[name].data, (1.5 + values).round().clamp(0, 3))


def wide_guide() -> AmortizedNormal:
    """Wider than the prior, whatever x is: weights are bounded."""
    guide = AmortizedNormal(P, D, ())
    for name, value in guide.named_parameters():
        torch.nn.init.constant_(value, 1.0 if name.endswith("bias") else 0.0)
    return guide


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if not name.startswith(("normal", "bernoulli"))])
def test_estimates_agree_and_simulation_keeps_data_apart(name: str) -> None:
    model, x = VAE(P, D, (4,), name, likelihood_options=OPTIONS.get(name)), data(name)
    target = Target(model, wide_guide(), x)
    exact, estimate = quadrature(target), importance(target, num_samples=1000, search=False)
    assert not any(estimate.flags)
    assert ((estimate.value - exact.value).abs() < sigmas(10 * B) * estimate.stderr).all()
    one = importance(target.select([2]), num_samples=1000, search=False).value[0]
    torch.testing.assert_close(one, estimate.value[2], rtol=1e-12, atol=1e-12)
    (drawn,) = target.simulate(seed=1)[0].args
    (alone,) = target.select([2]).simulate(seed=1)[0].args
    torch.testing.assert_close(alone[0], drawn[2], rtol=1e-9, atol=1e-9)
    model(drawn)  # which are data that the likelihood takes


def test_a_bracket_of_counts_holds_the_exact_value() -> None:
    target = Target(VAE(P, D, (4,), "zero-inflated-negative-binomial"), wide_guide(), data("poisson", 2))
    found, exact = bracket(target, budget="1e4 evaluations"), quadrature(target).value
    assert (found.lower.value - sigmas(4) * found.lower.stderr <= exact + 1e-6).all()
    assert (found.upper.value + sigmas(4) * found.upper.stderr >= exact - 1e-6).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_another_decoder_says_the_same(name: str) -> None:
    """`from_decoder` of a VAE's network gives the VAE's log p(x|z); images of the levels' logits may come as images."""
    model, x, z = VAE(P, D, (4,), name, likelihood_options=OPTIONS.get(name)), data(name), torch.randn(B, D)
    likelihood = make_likelihood(name, data_dim=P, **OPTIONS.get(name, {}))
    output = likelihood.own_output
    options = {**OPTIONS.get(name, {}), **({"data_dim": P} if hasattr(likelihood, "log_theta") else {})}
    if name == "normal-heteroscedastic":
        options["floor"] = model.likelihood.floor
    wrapped = from_decoder(model.decoder, latent_dim=D, likelihood=name, output=output, likelihood_options=options)
    assert torch.equal(wrapped.decode(z).log_prob(x), model.decode(z).log_prob(x))
    if isinstance(model.decoder, Pair) and name != "normal-heteroscedastic":
        with pytest.raises(TypeError, match=f"expected a pair of tensors for output='{output}'"):
            from_decoder(
                torch.nn.Linear(D, P), latent_dim=D, likelihood=name, output=output, likelihood_options=options
            )(x)
