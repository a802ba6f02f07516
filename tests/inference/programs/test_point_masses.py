"""A Delta in a guide is a point mass unless its value moves with the draws: site by site, element by element."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import autoguide
from pyro.infer.autoguide import AutoDelta, AutoGuideList, AutoNormal
from torch import Tensor

from elbowroom.inference import ProgramError, Target, importance, nuts, quadrature
from elbowroom.inference.programs.remarks import by_datum
from toys.programs import data, normal, normal_model

X = data(6)
HELPER = {"is_auxiliary": True}


def drifting(x: Tensor) -> None:
    drift = pyro.sample("drift", dist.Normal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(drift, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def locals_by_helper(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        u = pyro.sample("u", dist.Normal(x * 0.8, 0.45), infer=HELPER)
        pyro.sample("z", dist.Delta(u))


def test_a_point_mass_beside_auxiliary_draws() -> None:
    def guide(x: Tensor) -> None:
        pyro.sample("drift", dist.Delta(torch.tensor(0.1)))
        locals_by_helper(x)

    with pytest.raises(ProgramError, match=r"site 'drift' is a point mass.*condition\(model, data={'drift': value}\)"):
        Target(drifting, guide, X, plate=None)


def test_what_the_refusal_says_gives_the_evidence_at_the_value() -> None:
    at = torch.tensor(0.1)
    model = poutine.block(poutine.condition(drifting, data={"drift": at}), hide=["drift"])

    def guide(x: Tensor) -> None:
        pyro.sample("drift", dist.Delta(at))
        locals_by_helper(x)

    target = Target(model, poutine.block(guide, hide=["drift"]), X)
    found, truth = importance(target, num_samples=4000), normal(0.1, 1.25**0.5, X)
    assert ((found.value - truth).abs() < 5 * found.stderr).all()
    assert not any(found.flags)
    exact = quadrature(Target(model, poutine.block(AutoNormal(model), hide=["drift"]), X))
    torch.testing.assert_close(exact.value, truth, rtol=0.0, atol=1e-5)
    with pytest.raises(ProgramError, match=r"(?s)not a latent site of the model.*poutine\.block\(guide, hide="):
        Target(model, guide, X)


def test_the_recipe_of_autodelta_and_autonormal() -> None:
    guide = AutoGuideList(drifting)
    guide.append(AutoDelta(poutine.block(drifting, expose=["drift"])))
    guide.append(AutoNormal(poutine.block(drifting, hide=["drift"])))
    guide(X)
    with pytest.raises(ProgramError, match="guide site 'drift' is a point mass"):
        Target(drifting, guide, X, plate=None)


@pytest.mark.parametrize("wrap", [lambda fn: fn, lambda fn: fn.to_event(1), lambda fn: fn.mask(True)])
def test_wrappers_hide_no_point_mass(wrap: Callable[[Any], Any]) -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", wrap(dist.Normal(torch.zeros(2), 1.0)) if wrap(_PAIR).event_shape else _PAIR_EVENT)
            pyro.sample("x", dist.Normal(z[..., 0], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            fn = wrap(dist.Delta(torch.zeros(len(x), 2)))
            pyro.sample("z", fn if fn.event_shape else fn.to_event(1))

    with pytest.raises(ProgramError, match="guide site 'z' is a point mass"):
        Target(model, guide, X)


_PAIR = dist.Normal(torch.zeros(2), 1.0)
_PAIR_EVENT = _PAIR.to_event(1)


def test_a_delta_of_which_some_elements_stay_is_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z.sum(-1), 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", dist.Normal(x, 1.0), infer=HELPER)
            pyro.sample("z", dist.Delta(torch.stack([u, torch.zeros_like(u)], -1)).to_event(1))

    with pytest.raises(ProgramError, match=r"'z' is a point mass \(Delta\) in some of its elements"):
        Target(model, guide, X)


def test_a_delta_that_stays_for_some_data_is_refused() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", dist.Normal(x, 1.0), infer=HELPER)
            pyro.sample("z", dist.Delta(torch.where(x > 0, u, x)))

    with pytest.raises(ProgramError, match=r"in some of its elements"):
        Target(normal_model, guide, X)


def test_fewer_draws_than_values_that_follow_from_them_are_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a, b = (pyro.sample(name, dist.Normal(0.0, 1.0)) for name in ("a", "b"))
            pyro.sample("x", dist.Normal(a + b, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", dist.Normal(x, 1.0), infer=HELPER)
            pyro.sample("a", dist.Delta(u))
            pyro.sample("b", dist.Delta(-u))

    with pytest.raises(ProgramError, match=r"\['a', 'b'\] have 12 unconstrained values but follow from 6 auxiliary"):
        Target(model, guide, X)


def test_auxiliary_draws_that_no_latent_carries_are_a_caution() -> None:
    """log q counts the density of u, which the model knows nothing of: every weight is off by it."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", dist.Normal(0.0, 1.0), infer=HELPER)
            pyro.sample("z", dist.Normal(x / 2 + 0.1 * u, 0.7))

    target = Target(normal_model, guide, X)
    assert all("auxiliary" in text and "'u'" in text for text in target.cautions)
    assert all("log q counts" in flag for flag in importance(target, num_samples=100).flags)
    assert by_datum(target.structure.cautions, len(target)) == target.cautions


def shaped(x: Tensor) -> None:
    """Supports with structural zeros and sums: a correlation's factor, a simplex, an ordered vector."""
    pyro.sample("factor", dist.LKJCholesky(3, torch.tensor(1.0)))
    weights = pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", dist.Normal(weights[0], scale), obs=x)


@pytest.mark.parametrize(
    "family",
    ["AutoNormal", "AutoDiagonalNormal", "AutoMultivariateNormal", "AutoLowRankMultivariateNormal", "AutoIAFNormal"],
)
def test_values_are_judged_where_their_supports_are_unconstrained(family: str) -> None:
    """The zeros of a Cholesky factor never move; its coordinates do."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind = getattr(autoguide, family)
        guide = kind(shaped, hidden_dim=[8]) if family == "AutoIAFNormal" else kind(shaped)
        guide(X)
        target = Target(shaped, guide, X, plate=None)
    assert target.cautions == ("",)


def test_discrete_helpers_may_stay_for_a_while() -> None:
    """A value that follows from a coin is moved by some of a few runs."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Bernoulli(torch.tensor(0.5)))
            pyro.sample("x", dist.Normal(k, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            u = pyro.sample("u", dist.Bernoulli(torch.full_like(x, 0.5)), infer=HELPER)
            pyro.sample("k", dist.Delta(u))

    x = data(2)
    found = importance(Target(model, guide, x), num_samples=4000)
    truth = (0.5 * (normal(0.0, 1.0, x).exp() + normal(1.0, 1.0, x).exp())).log()
    assert ((found.value - truth).abs() < 5 * found.stderr).all()


@pytest.mark.slow
def test_easyguides_mix_point_estimates_and_groups() -> None:
    """`map_estimate` is a point mass and named; a `group` draws one auxiliary vector and carries its density."""
    from pyro.contrib.easyguide import EasyGuide

    def model(x: Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
        scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(loc, scale), obs=x)

    class Grouped(EasyGuide):  # type: ignore[misc]
        def guide(self, x: Tensor) -> None:
            group = self.group(match="loc|scale")
            group.sample("packed", dist.Normal(torch.zeros(group.event_shape), 0.7).to_event(1))

    class Mixed(EasyGuide):  # type: ignore[misc]
        def guide(self, x: Tensor) -> None:
            self.map_estimate("scale")
            group = self.group(match="loc")
            group.sample("packed", dist.Normal(torch.zeros(group.event_shape), 0.7).to_event(1))

    truth = quadrature(Target(model, _normal_guide_of_two, X, plate=None)).value
    target = Target(model, Grouped(model), X, plate=None)
    found = importance(target, num_samples=4000)
    assert target.cautions == ("",)
    assert ((found.value - truth).abs() < 5 * found.stderr + 0.02).all()
    with pytest.raises(ProgramError, match="guide site 'scale' is a point mass"):
        Target(model, Mixed(model), X, plate=None)


def _normal_guide_of_two(x: Tensor) -> None:
    pyro.sample("loc", dist.Normal(0.0, 0.7))
    pyro.sample("scale", dist.LogNormal(0.0, 0.7))


def filtering(x: Tensor, start: Tensor) -> None:
    """An initial state that is known, written down as a site."""
    first = pyro.sample("first", dist.Delta(start))
    z = pyro.sample("z", dist.Normal(first, 1.0))
    pyro.sample("both", dist.Delta(first + z))
    pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def exact_filter(x: Tensor, start: Tensor) -> None:
    first = pyro.sample("first", dist.Delta(start))
    z = pyro.sample("z", dist.Normal((first + x) / 2, 0.5**0.5))
    pyro.sample("both", dist.Delta(first + z))


def test_a_point_in_both_programs_is_no_latent() -> None:
    """The guide is exact: every weight is log p(x)."""
    x, start = torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    target = Target(filtering, exact_filter, x, start, plate=None)
    assert list(target.latents) == ["z"] and not target.structure.auxiliary
    truth = normal(0.3, 2**0.5, x)
    torch.testing.assert_close(target.log_weights(20), truth.expand(20, 1).to(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(quadrature(target).value, truth.reshape(1).to(x), rtol=0.0, atol=1e-5)
    z, log_q = target.propose(3)
    torch.testing.assert_close(target.log_guide(z), log_q)
    assert not any(target.cautions)
    draws = nuts(target, num_chains=1, num_warmup=30, num_draws=30)
    assert list(draws.z) == ["z"]


def test_points_at_unequal_values_are_refused() -> None:
    def guide(x: Tensor, start: Tensor) -> None:
        exact_filter(x, start + 0.1)

    with pytest.raises(ProgramError, match="'first' is a point mass"):
        Target(filtering, guide, torch.tensor(1.0), torch.tensor(0.3), plate=None)


def test_points_that_agree_in_one_run_only_are_refused() -> None:
    """Values of a discrete function coincide now and then: here on the noise of seed 0."""

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("low", dist.Delta((z < 3.0).to(x)))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(2.0, 1.0))
        pyro.sample("low", dist.Delta(torch.zeros_like(x)))

    with pytest.raises(ProgramError, match="'low' is a point mass"):
        Target(model, guide, torch.tensor(1.0), plate=None)


@pytest.mark.parametrize("whose", ["model", "guide"])
def test_a_point_that_carries_a_density_is_refused(whose: str) -> None:
    def program(x: Tensor, carries: bool) -> None:
        pyro.sample("d", dist.Delta(torch.tensor(1.0), log_density=torch.tensor(0.7 * carries)))
        pyro.sample("z", dist.Normal(0.0, 1.0))

    def model(x: Tensor) -> None:
        program(x, whose == "model")
        pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    with pytest.raises(ProgramError, match="'d' is a point mass"):
        Target(model, lambda x: program(x, whose == "guide"), torch.tensor(1.0), plate=None)
