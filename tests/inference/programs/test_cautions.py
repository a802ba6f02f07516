"""Reasons to doubt log q, known before sampling: in the flags of all that uses it, and of nothing that does not."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import constraints

from elbowroom import inference
from elbowroom.inference import (
    ProgramError,
    Target,
    adapted_importance,
    agreement,
    anneal,
    anneal_reverse,
    attribute_sites,
    audit_target,
    bidirectional,
    bounds,
    bracket,
    bridge,
    calibrate,
    check_program,
    compare,
    decompose,
    hmc,
    importance,
    latent_use,
    quadrature,
    smc,
)
from toys.estimators import ESTIMATORS, stand_in
from toys.programs import data, normal, normal_evidence, normal_guide, normal_model
from toys.selections import rest_slow

X = data(4)
SMALL: dict[str, Any] = {"num_steps": 5, "num_chains": 4, "num_pilot": 4}


def beside(extra: Callable[[Tensor], Any]) -> Callable[[Tensor], None]:
    """The exact posterior, and something beside it."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, math.sqrt(0.5)))
            extra(x)

    return guide


with_factor = beside(lambda x: pyro.factor("loss", 3.0 * x.clamp_min(0.0), has_rsample=False))
"""A training loss, for data above zero."""


FACTOR = Target(normal_model, with_factor, X)
ABOVE = (X > 0).tolist()


def told(flags: Any, site: str = "'loss'") -> list[bool]:
    return [site in flag for flag in flags]


def test_a_factor_is_named_for_the_data_that_it_is_of() -> None:
    assert told(FACTOR.cautions) == ABOVE and any(ABOVE) and not all(ABOVE)
    found = importance(FACTOR, num_samples=50)
    assert told(found.flags) == ABOVE
    torch.testing.assert_close(found.value, normal_evidence(X) - 3.0 * X.clamp_min(0.0))  # it counts in log q
    assert FACTOR.select([2, 0]).cautions == (FACTOR.cautions[2], FACTOR.cautions[0])
    alone = [Target(normal_model, with_factor, X[b : b + 1]).cautions[0] for b in range(4)]
    assert tuple(alone) == FACTOR.cautions
    assert any("'loss'" in note for note in check_program(normal_model, with_factor, X).notes)


def test_left_out_as_the_caution_says_the_evidence_is_right() -> None:
    assert "poutine.block(guide, hide=['loss'])" in "".join(FACTOR.cautions)
    target = Target(normal_model, poutine.block(with_factor, hide=["loss"]), X)
    found = importance(target, num_samples=50)
    assert found.flags == ("",) * 4
    torch.testing.assert_close(found.value, normal_evidence(X), rtol=1e-10, atol=1e-10)


def test_a_factor_of_zero_is_none() -> None:
    guide = beside(lambda x: pyro.factor("loss", torch.zeros_like(x), has_rsample=False))
    assert Target(normal_model, guide, X).cautions == ("",) * 4


def test_a_guide_that_observes_what_the_model_does_not() -> None:
    guide = beside(lambda x: pyro.sample("label", dist.Bernoulli(0.3), obs=(x > 0).double()))
    assert all("site 'label'" in text for text in Target(normal_model, guide, X).cautions)


@pytest.mark.parametrize(
    "call",
    rest_slow(
        [
            lambda t: importance(t, num_samples=50),
            lambda t: bounds(t, num_samples=50)["elbo"],
            lambda t: bounds(t, num_samples=50)["upper-2"],
            lambda t: bounds(t, num_samples=50)["harmonic"],
            lambda t: anneal(t, **SMALL),
            lambda t: smc(t, num_particles=4, num_runs=2, num_steps=5, num_pilot=4),
            lambda t: anneal_reverse(t, stand_in(t), allow_failed=True, **SMALL),
            lambda t: bridge(t, stand_in(t), proposal="guide"),
            lambda t: agreement(t, stand_in(t), num_samples=60).kl_q_p,
            lambda t: agreement(t, stand_in(t), num_samples=60, exact=quadrature(t)).kl_p_q,
            lambda t: decompose(t, families=["mean-field"], num_samples=32),
            lambda t: decompose(t, families=["mean-field"], num_samples=32).amortization,
            lambda t: decompose(t, families=["mean-field"], num_samples=32).elbo,
            lambda t: attribute_sites(t, num_outer=4, num_inner=4),
            lambda t: compare(t, num_samples=50, mcmc=False).posteriors["importance"],
        ],
        7,
    ),
)
def test_what_uses_log_q_is_flagged(call: Callable[[Target], Any]) -> None:
    assert told(call(FACTOR).flags) == ABOVE


@pytest.mark.parametrize(
    "call",
    [
        lambda t: quadrature(t),
        lambda t: bounds(t, num_samples=50)["prior"],
        lambda t: bounds(t, num_samples=50, draws=stand_in(t))["harmonic"],
        lambda t: anneal(t, start="prior", **SMALL),
        lambda t: smc(t, start="prior", num_particles=4, num_runs=2, num_steps=5, num_pilot=4),
        lambda t: bridge(t, stand_in(t)),
        lambda t: adapted_importance(t, stand_in(t), num_samples=50).lower,
        lambda t: hmc(t, num_warmup=10, num_draws=20),
        lambda t: importance(decompose(t, families=["mean-field"], num_samples=32).refined.target(), num_samples=50),
        lambda t: decompose(t, families=["mean-field"], num_samples=32).log_p,
        lambda t: compare(t, num_samples=50, mcmc=False).posteriors["guide"],
    ],
)
def test_what_does_not_use_log_q_is_not(call: Callable[[Target], Any]) -> None:
    assert told(call(FACTOR).flags) == [False] * 4


def test_quadrature_says_which_of_its_numbers_are_the_guides() -> None:
    found = quadrature(FACTOR)
    torch.testing.assert_close(found.value, normal_evidence(X), rtol=0.0, atol=1e-5)
    assert found.info["cautions"] == FACTOR.cautions
    assert "cautions" not in quadrature(Target(normal_model, normal_guide(1.0), X)).info


@pytest.mark.slow
def test_reports_on_all_data_name_the_site() -> None:
    used = latent_use(FACTOR, num_samples=20)
    for estimate in (used.rate, used.mutual_information, used.marginal_kl):
        assert told(estimate.flags) == [True]
    assert any(told(calibrate(FACTOR, num_simulations=20, num_draws=5).flags))
    both = bidirectional(FACTOR, num_refresh=1, **SMALL)
    assert told(both.lower.flags) == told(both.upper.flags) == ABOVE
    found = agreement(FACTOR, stand_in(FACTOR), num_samples=60)
    assert [not good for good in found.uses["model comparison"]] >= ABOVE
    assert all("'loss'" in why for why, above in zip(found.why_not["tails"], ABOVE, strict=True) if above)


def test_a_bracket_believes_what_does_not_use_log_q() -> None:
    found = bracket(FACTOR, budget=20.0)
    assert found.settled.all()
    torch.testing.assert_close(found.lower.value, normal_evidence(X), rtol=0.0, atol=1e-4)


@pytest.mark.slow
def test_the_verdict_of_an_audit_says_it() -> None:
    x = data(6)
    audit = audit_target(Target(normal_model, with_factor, x), budget=20.0, num_simulations=20)
    assert any("in doubt" in f.sentence and "'loss'" in f.sentence and f.tone == "warning" for f in audit.findings)


# Guides that cannot reach all that the model can ---------------------------------------------------------------------


def three_real(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x), 3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "name"),
    [
        (lambda m: dist.Uniform(m - 0.05, m + 0.05), "Uniform"),
        (lambda m: dist.HalfNormal(0.7 * torch.ones_like(m)), "HalfNormal"),
    ],
)
def test_a_narrow_guide_is_told_before_sampling(family: Any, name: str) -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", family(x / 2).to_event(1))

    target = Target(three_real, guide, torch.tensor([[0.3, -0.5, 1.0]]))
    assert f"site 'z' ({name}) cannot reach the whole support of the model's (Normal)" in target.cautions[0]
    assert "ELBO stands" in importance(target, num_samples=50).flags[0]
    exact = normal(0.0, math.sqrt(2.0), torch.tensor([0.3, -0.5, 1.0])).sum()
    truth = hmc(target, num_warmup=50, num_draws=200)
    assert told(adapted_importance(target, truth, num_samples=4000).lower.flags, "cannot reach") == [False]
    found = adapted_importance(target, truth, num_samples=4000).lower
    assert abs(float(found.value - exact)) < 5 * float(found.stderr) + 1e-6


def test_only_the_data_whose_bounds_are_narrow_are_flagged() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Uniform(-1.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Uniform(torch.where(x > 0, -0.5, -1.0), torch.ones_like(x)))

    target = Target(model, guide, X)
    assert told(target.cautions, "cannot reach") == ABOVE
    assert told(importance(target, num_samples=50).flags, "cannot reach") == ABOVE


def test_hidden_elements_need_not_be_reached() -> None:
    """A masked latent follows its prior, whatever the guide would draw there."""
    used = torch.tensor([True, False])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).mask(used).to_event(1))
            pyro.sample("x", dist.Normal(z[..., 0], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            loc = torch.stack([x / 2, torch.zeros_like(x)], -1)
            low = torch.tensor([-math.inf, 0.0])
            fn = dist.Normal(loc, math.sqrt(0.5)) if bool(low.isinf().all()) else _Half(loc, math.sqrt(0.5))
            pyro.sample("z", fn.mask(used).to_event(1))

    assert Target(model, guide, X).cautions == ("",) * 4


class _Half(dist.Normal):  # type: ignore[misc]
    """Says that its second element is positive."""

    @property
    def support(self) -> Any:
        return constraints.interval(torch.tensor([-math.inf, 0.0]), torch.tensor([math.inf, math.inf]))


# Priors that are not normalised --------------------------------------------------------------------------------------


def flat(wrap: Callable[[Any], Any]) -> tuple[Callable[[Tensor], None], Callable[[Tensor], None]]:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", wrap(dist.ImproperUniform(constraints.real, (), ())))
            pyro.sample("x", dist.Normal(z.reshape(x.shape), 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            fn = dist.Normal(x, 1.0)
            pyro.sample(
                "z", fn if wrap(dist.Normal(0.0, 1.0)).event_shape == () else dist.Normal(x[:, None], 1.0).to_event(1)
            )

    return model, guide  # fmt: skip


WRAPPERS: list[Callable[[Any], Any]] = [
    lambda fn: fn,
    lambda fn: fn.mask(True),
    lambda fn: fn.expand([1]).to_event(1),
    lambda fn: fn.expand([1]).mask(torch.tensor([True])).to_event(1),
]

NO_EVIDENCE = sorted(set(ESTIMATORS) - {"hmc", "hmc without jumps", "nuts", "audit", "calibrate around data"})


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_an_improper_prior_is_seen_through_wrappers(wrap: Callable[[Any], Any]) -> None:
    model, guide = flat(wrap)
    with pytest.raises(ProgramError, match=r"prior of site 'z' is improper.*no evidence to estimate"):
        importance(Target(model, guide, X), num_samples=10)
    assert any("improper priors: z" in note for note in check_program(model, guide, X).notes)


@pytest.mark.parametrize("name", rest_slow(NO_EVIDENCE, 8))
def test_every_estimator_refuses_an_improper_prior_by_name(name: str) -> None:
    model, guide = flat(lambda fn: fn)
    draws_of = Target(normal_model, normal_guide(1.0), X)  # of the same shapes, to be refused before they are looked at
    target = Target(model, guide, X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toys.estimators.stand_in", lambda t, num_draws=60: stand_in(draws_of))
        with pytest.raises(ProgramError, match=r"prior of site 'z' is improper.*proper prior; hmc and nuts"):
            ESTIMATORS[name].call(target, 0, None)


@pytest.mark.slow
def test_chains_may_run_where_only_the_posterior_is_proper() -> None:
    model, guide = flat(lambda fn: fn)
    draws = hmc(Target(model, guide, X), num_warmup=100, num_draws=400)
    torch.testing.assert_close(draws.mean[:, 0], X, rtol=0.0, atol=0.3)
    assert inference.ProgramError is ProgramError
