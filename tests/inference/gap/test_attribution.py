"""The gap by sites, against closed forms of a two-site Gaussian hierarchy."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from elbowroom.inference import Estimate, ProgramError, Target, importance
from elbowroom.inference.gap import decompose
from elbowroom.inference.gap.attribution import SiteAttribution, attribute_sites

S = 0.8  # of z2 | z1
X = torch.tensor([-1.5, 0.2, 0.9, 2.5], dtype=torch.float64)
ABOVE = 1 / (1 + S**2 + 1)  # gain of z1 | x
BELOW = 1 / (1 / S**2 + 1)  # variance of z2 | z1, x


def model(x: Tensor) -> None:
    """z1 ~ N(0, 1), z2 ~ N(z1, S²), x ~ N(z2, 1)."""
    with pyro.plate("data", len(x)):
        z1 = pyro.sample("z1", dist.Normal(x.new_zeros(()), 1.0))
        z2 = pyro.sample("z2", dist.Normal(z1, S))
        pyro.sample("x", dist.Normal(z2, 1.0), obs=x)


def log_p(x: Tensor) -> Estimate:
    return Estimate(Normal(0.0, math.sqrt(2 + S**2)).log_prob(x), torch.zeros(len(x)), "exact")


def posterior1(x: Tensor) -> Normal:
    return Normal(ABOVE * x, math.sqrt(1 - ABOVE))


def posterior2(z1: Tensor, x: Tensor) -> Normal:
    return Normal(BELOW * (z1 / S**2 + x), math.sqrt(BELOW))


def guide(wrong1: float = 0.0, wrong2: float = 0.0, wide2: float = 1.0) -> Callable[[Tensor], None]:
    """The posterior, with means shifted by so many units and the second sd multiplied."""

    def run(x: Tensor) -> None:
        first = posterior1(x)
        with pyro.plate("data", len(x)):
            z1 = pyro.sample("z1", dist.Normal(first.loc + wrong1, first.scale))
            second = posterior2(z1, x)
            pyro.sample("z2", dist.Normal(second.loc + wrong2, wide2 * second.scale))

    return run


def close(found: Estimate, truth: Tensor | float, sigmas: float = 4.0, extra: float = 1e-9) -> None:
    assert bool(((found.value - truth).abs() <= sigmas * found.stderr + extra).all()), (found, truth)


def adds_up(found: SiteAttribution) -> None:
    total = torch.stack([t.value for t in found.terms.values()]).sum(0)
    torch.testing.assert_close(total, found.gap.value, atol=1e-10, rtol=0)
    torch.testing.assert_close(found.log_p.value - found.elbo.value, found.gap.value, atol=1e-10, rtol=0)


def test_an_exact_guide_has_nothing_to_attribute() -> None:
    found = attribute_sites(Target(model, guide(), X))
    adds_up(found)
    assert found.sites == ("z1", "z2")
    for term in found.terms.values():
        torch.testing.assert_close(term.value, torch.zeros(4), atol=1e-6, rtol=0)
    assert found.flags == ("",) * 4


def test_a_guide_that_is_wrong_in_the_first_site_only() -> None:
    """Its second site is exact: the inner weights are constant, the second term zero draw by draw."""
    found = attribute_sites(Target(model, guide(wrong1=0.7), X), log_p=log_p(X), num_outer=400)
    adds_up(found)
    torch.testing.assert_close(found.terms["z2"].value, torch.zeros(4), atol=1e-10, rtol=0)
    torch.testing.assert_close(found.shortfall["z1"], torch.zeros(4), atol=1e-10, rtol=0)
    close(found.terms["z1"], 0.49 / 2 / (1 - ABOVE))
    assert bool((found.pareto_k["z1"] == -torch.inf).all())


@pytest.mark.parametrize(("wrong", "wide"), [(0.4, 1.0), (0.0, 1.5), (-0.3, 0.8)])
def test_a_guide_that_is_wrong_in_the_second_site_only(wrong: float, wide: float) -> None:
    found = attribute_sites(Target(model, guide(wrong2=wrong, wide2=wide), X), log_p=log_p(X), num_outer=300)
    adds_up(found)
    truth = -math.log(wide) + (wide**2 + wrong**2 / BELOW - 1) / 2
    extra = 3 * float(found.shortfall["z1"].max())
    close(found.terms["z2"], truth, extra=extra)
    close(found.terms["z1"], 0.0, extra=extra)
    assert float(found.terms["z2"].stderr.max()) < 0.1
    assert not any(found.flags)


def test_both_sites_wrong_and_a_guide_that_ignores_the_first() -> None:
    scale = 0.9

    def factorised(x: Tensor) -> None:
        first = posterior1(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z1", dist.Normal(first.loc + 0.2, 0.7 * first.scale))
            pyro.sample("z2", dist.Normal(posterior2(first.loc, x).loc, scale * math.sqrt(BELOW)))

    first = posterior1(X)
    q1 = Normal(first.loc + 0.2, 0.7 * first.scale)
    slope = BELOW / S**2
    spread = slope**2 * (0.7**2 * first.scale**2 + 0.2**2)  # E (mean of z2 | z1 − that of the guide)²
    truth = {
        "z1": kl_divergence(q1, first),
        "z2": -math.log(scale) + (scale**2 + spread / BELOW - 1) / 2,
    }
    found = attribute_sites(Target(model, factorised, X), log_p=log_p(X), num_outer=400, num_inner=256)
    adds_up(found)
    for name, value in truth.items():
        close(found.terms[name], value, extra=3 * float(found.shortfall["z1"].max()))


def test_sites_come_in_the_order_of_the_guide() -> None:
    """Drawn from below upwards: q(z2) wrong, q(z1 | z2) exact."""
    var2 = 1 / (1 / (1 + S**2) + 1)

    def upwards(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z2 = pyro.sample("z2", dist.Normal(var2 * x + 0.5, math.sqrt(var2)))
            pyro.sample("z1", dist.Normal(z2 / (1 + S**2), math.sqrt(S**2 / (1 + S**2))))

    found = attribute_sites(Target(model, upwards, X), log_p=log_p(X), num_outer=300)
    adds_up(found)
    assert found.sites == ("z2", "z1")
    torch.testing.assert_close(found.terms["z1"].value, torch.zeros(4), atol=1e-10, rtol=0)
    close(found.terms["z2"], 0.25 / 2 / var2)


def test_errors_are_honest() -> None:
    """z-scores of 60 data: mean within 4/√60 and spread near one."""
    x = torch.linspace(-3.0, 3.0, 60)
    found = attribute_sites(Target(model, guide(0.5, 0.3), x), log_p=log_p(x))
    for name, truth in (("z1", 0.25 / 2 / (1 - ABOVE)), ("z2", 0.09 / 2 / BELOW)):
        z = (found.terms[name].value - truth) / found.terms[name].stderr
        assert abs(float(z.mean())) < 0.6
        assert 0.75 < float(z.std()) < 1.35


def test_heavy_tails_behind_a_site_are_flagged_with_their_direction() -> None:
    found = attribute_sites(Target(model, guide(wide2=0.3), X), log_p=log_p(X))
    adds_up(found)
    assert all("'z1' is too high and that of 'z2' too low" in flag for flag in found.flags)
    assert bool((found.shortfall["z1"] > 0.01).all())
    few = attribute_sites(Target(model, guide(wide2=0.3), X), log_p=log_p(X), num_inner=10)
    assert bool(few.pareto_k["z1"].isnan().all())
    # The fewer inner draws, the more is given to the site before.
    assert float(few.terms["z1"].value.mean()) > float(found.terms["z1"].value.mean())


@pytest.mark.slow
def test_three_sites_of_other_shapes_and_one_site() -> None:
    """A hierarchy with vectors and a positive site; the sum is log p − ELBO of `importance` within errors."""

    def deep(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(0.0, 1.0))
            b = pyro.sample("b", dist.Normal(a.unsqueeze(-1) * torch.ones(2), 1.0).to_event(1))
            c = pyro.sample("c", dist.Gamma(2.0, b[..., 0].exp()))
            pyro.sample("x", dist.Normal(c + b[..., 1], 1.0), obs=x)

    def q(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(0.1 * x, 0.9))
            b = pyro.sample("b", dist.Normal(0.5 * a.unsqueeze(-1) * torch.ones(2), 1.1).to_event(1))
            pyro.sample("c", dist.LogNormal(0.3 - b[..., 0], 0.6))

    target = Target(deep, q, X)
    found = attribute_sites(target)
    adds_up(found)
    assert found.sites == ("a", "b", "c")
    plain = importance(target, num_samples=4000).info
    close(found.elbo, plain["elbo"], extra=4 * float(plain["elbo_stderr"].max()))
    assert bool((found.terms["c"].value > 0).all())
    assert found.table().count("\n") == 4

    def one(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def q_one(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 + 0.3, math.sqrt(0.5)))

    single = attribute_sites(Target(one, q_one, X), num_outer=200)
    close(single.terms["z"], 0.09)
    adds_up(single)


def test_bad_arguments_are_named() -> None:
    target = Target(model, guide(), X)
    for options in ({"num_outer": 1}, {"num_inner": 1}):
        with pytest.raises(ValueError, match="at least 2"):
            attribute_sites(target, **options)
    with pytest.raises(ValueError, match="log_p has 2 data"):
        attribute_sites(target, log_p=log_p(X[:2]))
    refined = decompose(target, num_samples=64, families=["full covariance"], log_p=log_p(X)).refined
    with pytest.raises(ProgramError, match=r"refined\.program"):
        attribute_sites(refined.target())
    with pytest.raises(ProgramError, match=r"refined\.program"):
        refined.target().latent_terms(refined.target().propose(2)[0])
    sited = attribute_sites(Target(model, refined.program("full covariance"), X), log_p=log_p(X))
    adds_up(sited)
    for term in sited.terms.values():
        close(term, 0.0, extra=1e-3)
    auto = AutoNormal(model)
    auto(X)
    with pytest.raises(ProgramError, match="by way of"):
        attribute_sites(Target(model, auto, X))
