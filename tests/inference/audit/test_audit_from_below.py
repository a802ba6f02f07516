"""Guides that draw discrete sites which cannot be summed out: what can be said is said, and what cannot, and why."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, attribute_sites, audit, bracket, hmc, importance, nuts, quadrature
from toys.failure_budget import sigmas

X = [3.0, 6.0, 1.0, 4.0, 8.0, 5.0, 2.0, 7.5]
COUNT = 20


def _count(kind: str, x: Tensor, guide: bool) -> Tensor:
    """How many: Poisson, or how many of twenty coins, in one site or in twenty."""
    p = (x / COUNT).clamp(0.15, 0.6) if guide else torch.full_like(x, 0.3)
    if kind == "Poisson":
        return pyro.sample("k", dist.Poisson(0.6 * x + 1.2 if guide else torch.full_like(x, 3.0)))
    if kind == "event":
        coins = pyro.sample("k", dist.Bernoulli(p.unsqueeze(-1).expand(*p.shape, COUNT)).to_event(1))
        return coins.sum(-1)
    total = torch.zeros(())
    for i in range(COUNT):
        total = total + pyro.sample(f"k{i}", dist.Bernoulli(p))
    return total


def programs(kind: str) -> tuple[Callable[[Tensor], None], Callable[[Tensor], None]]:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(_count(kind, x, guide=False), 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            count = _count(kind, x, guide=True)
            pyro.sample("z", dist.Normal(0.8 * x + 0.2 * count, 0.45))

    return model, guide


def truth(kind: str, x: Tensor) -> Tensor:
    """log p(x), the sum over counts."""
    k = torch.arange(60.0 if kind == "Poisson" else COUNT + 1.0)
    fn = dist.Poisson(3.0) if kind == "Poisson" else dist.Binomial(COUNT, torch.tensor(0.3))
    return (fn.log_prob(k)[:, None] + dist.Normal(k[:, None], 1.25**0.5).log_prob(x)).logsumexp(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Poisson", "event", "sites"])
def test_what_can_be_said_is_said(kind: str) -> None:
    x = torch.tensor(X)
    model, guide = programs(kind)
    target, exact = Target(model, guide, x), truth(kind, x)
    sampled = importance(target, num_samples=3000)
    assert bool(((sampled.value - exact).abs() < sigmas(len(x)) * sampled.stderr).all())

    found = bracket(target, budget="1e5 evaluations")
    assert "the guide draws the site 'k" in found.from_below and not bool(found.settled.any())
    assert all(f"no upper bound: {found.from_below}" in flag for flag in found.flags)
    assert bool(((found.lower.value - exact).abs() < sigmas(len(x)) * found.lower.stderr).all())
    assert found.upper.value.tolist() == [math.inf] * len(x)
    assert found.select([1]).from_below == found.from_below

    result = audit(model, guide, x, budget="3e5 evaluations", num_simulations=60)
    numbers, words = result.numbers, str(result.verdict)
    low = numbers["log_p_from_below"]
    assert low.low < float(exact.mean()) and low.high == math.inf
    error = (low.value - low.low) / 1.96
    assert abs(low.value - float(exact.mean())) < sigmas() * error
    assert numbers["gap_from_below"].value == pytest.approx(low.value - numbers["elbo"].value)
    assert "from below only" in words and found.from_below in words and "gap" not in numbers
    assert result.calibration is not None
    assert result.latent_use is not None
    assert list(result.skipped) == ["examination"]


def test_a_guide_that_is_off_is_told() -> None:
    """Ten nats of room, and simulations that the guide does not cover."""

    def far(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Poisson(torch.full_like(x, 9.0)))
            pyro.sample("z", dist.Normal(x + 2.0, 0.5))

    words = str(
        audit(programs("Poisson")[0], far, torch.tensor(X), budget="3e5 evaluations", num_simulations=60).verdict
    )
    assert "In short: the ELBO is" in words and "q is not calibrated" in words


@pytest.mark.parametrize("sampler", [hmc, nuts, quadrature])
def test_chains_and_lattices_name_the_reason(sampler: Callable) -> None:
    x = torch.tensor(X)
    with pytest.raises(ValueError, match=r"site 'k'.*cannot be listed.*importance, bounds"):
        sampler(Target(*programs("Poisson"), x))
    with pytest.raises(ValueError, match=r"1.05e\+06 combinations"):
        sampler(Target(*programs("sites"), x))


def test_room_by_site_needs_no_coordinates() -> None:
    """Both sites have densities of their own; their terms sum to the ELBO's."""
    result = attribute_sites(Target(*programs("Poisson"), torch.tensor(X)))
    assert set(result.sites) == {"k", "z"}
