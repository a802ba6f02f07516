"""A latent that the model alone masks, on a bounded interval: integrated over with density one."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from elbowroom.inference import ProgramError, Target, anneal, bracket, check_program, importance, nuts, quadrature

LOW, HIGH = -0.5, 4.5
X = torch.tensor([2.2, 4.4, -1.0], dtype=torch.float64)


def uniform(x: Tensor) -> dist.Uniform:
    return dist.Uniform(x.new_tensor(LOW), x.new_tensor(HIGH))


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        u = pyro.sample("u", uniform(x).mask(False))
        pyro.sample("x", dist.Normal(u, 1.0), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("u", uniform(x))


def truth(x: Tensor) -> Tensor:
    """log ∫ N(x; u, 1) du from LOW to HIGH."""
    return torch.tensor([math.log(norm.cdf(v - LOW) - norm.cdf(v - HIGH)) for v in x.tolist()], dtype=torch.float64)


def test_the_integral_over_the_interval() -> None:
    target = Target(model, guide, X)
    torch.testing.assert_close(quadrature(target).value, truth(X), rtol=0.0, atol=1e-5)
    found = importance(target, num_samples=2000)
    assert ((found.value - truth(X)).abs() < 5 * found.stderr).all()
    assert all("NO PRIOR: latent site 'u' (from -0.5 to 4.5)" in text for text in found.unnormalised)
    assert "NO PRIOR" in str(check_program(model, guide, X))


def test_it_is_that_of_the_uniform_prior_but_for_the_length() -> None:
    def proper(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", uniform(x))
            pyro.sample("x", dist.Normal(u, 1.0), obs=x)

    flat, normalised = (importance(Target(program, guide, X), num_samples=50) for program in (model, proper))
    torch.testing.assert_close(flat.value, normalised.value + math.log(HIGH - LOW))
    assert not any(normalised.unnormalised)


def test_steps_of_a_whole_program() -> None:
    """Several elements, rounded to counts: the sum over all of them (the relaxation of an epidemic's compartments)."""
    x = torch.tensor([1.3, 3.1], dtype=torch.float64)

    def counts(x: Tensor) -> None:
        u = pyro.sample("u", uniform(x).mask(False).expand([2]).to_event(1))
        pyro.sample("x", dist.Normal(u.round(), 1.0).to_event(1), obs=x)

    def spread(x: Tensor) -> None:
        pyro.sample("u", uniform(x).expand([2]).to_event(1))

    found = importance(Target(counts, spread, x, plate=None), num_samples=20000)
    k = torch.arange(5.0, dtype=torch.float64)
    exact = dist.Normal(k, 1.0).log_prob(x[:, None]).logsumexp(1).sum()
    assert float((found.value - exact).abs()) < 5 * float(found.stderr)


def test_outside_the_interval_the_density_is_zero() -> None:
    """A guide that is wider than the support: Pyro counts a constant there, too; the integral does not."""

    def wide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("u", dist.Normal(2.0, 3.0))

    found = importance(Target(model, wide, X), num_samples=4000)
    assert ((found.value - truth(X)).abs() < 5 * found.stderr).all()


def test_what_needs_draws_of_the_prior_refuses() -> None:
    target = Target(model, guide, X)
    with pytest.raises(NotImplementedError, match="masks its prior, which counts as a constant"):
        anneal(target, start="prior", num_chains=2)
    with pytest.raises(ProgramError, match=r"masks the prior of \['u'\]"):
        target.simulate()


def test_chains_stay_on_the_interval() -> None:
    draws = nuts(Target(model, guide, X), [2], num_chains=1, num_warmup=50, num_draws=50)
    assert LOW < float(draws.mean[0, 0]) < 1.5  # N(−1, 1) above −.5


def test_a_bracket_holds_the_integral() -> None:
    target = Target(model, guide, X[:1])
    found = bracket(target, budget=3)
    for side in (found.lower, found.upper):
        torch.testing.assert_close(side.value, truth(X[:1]), rtol=0.0, atol=0.05)


@pytest.mark.parametrize(
    "prior",
    [
        lambda x: dist.Gamma(x.new_tensor(2.0), 1.0).mask(False),
        lambda x: uniform(x).mask(x > 0.0),
    ],
)
def test_other_supports_and_parts_of_a_site_are_refused(prior: Callable[[Tensor], dist.TorchDistribution]) -> None:
    def own_model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", prior(x))
            pyro.sample("x", dist.Normal(u, 1.0), obs=x)

    def own_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("u", type(prior(x).base_dist)(x.new_tensor(1.0), x.new_tensor(2.0)))

    with pytest.raises(ProgramError, match=r"'u' is masked in the model only.*does not exist, or .* is not known"):
        Target(own_model, own_guide, X)
