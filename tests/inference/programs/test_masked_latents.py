"""Latents that masks hide: alike in both programs they follow the prior and integrate to one; else they are refused."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro import poutine
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoNormal, AutoNormalMessenger
from torch import Tensor

from elbowroom.inference import (
    ProgramError,
    Target,
    agreement,
    anneal,
    attribute_sites,
    bracket,
    calibrate,
    check_program,
    decompose,
    hmc,
    importance,
    latent_use,
    nuts,
    quadrature,
)
from toys.programs import data, normal
from toys.selections import rest_slow

EXACT = {"rtol": 1e-10, "atol": 1e-10}
X = torch.tensor([[1.5410, -0.2934], [-2.1788, 0.0], [-1.0845, 0.0]], dtype=torch.float64)
M = torch.tensor([[True, True], [True, False], [True, False]])
BOTH = dist.MultivariateNormal(torch.zeros(2).double(), torch.tensor([[2.0, 1.0], [1.0, 3.0]]).double()).log_prob(X)
TRUTH = torch.where(M[:, 1], BOTH, dist.Normal(0.0, math.sqrt(2.0)).log_prob(X[:, 0]))
"""Of the walk where both steps exist, log N(x_1; 0, 2) where one does."""


def model(x: Tensor, m: Tensor) -> None:
    """z_t | z_t−1 a random walk, x_t | z_t; what is absent is masked."""
    with pyro.plate("data", len(x)):
        z = torch.zeros_like(x[:, 0])
        for t in range(2):
            with poutine.mask(mask=m[:, t]):
                z = pyro.sample(f"z_{t}", dist.Normal(z, 1.0))
                pyro.sample(f"x_{t}", dist.Normal(z, 1.0), obs=x[:, t])


def guide(x: Tensor, m: Tensor) -> None:
    with pyro.plate("data", len(x)):
        for t in range(2):
            with poutine.mask(mask=m[:, t]):
                pyro.sample(f"z_{t}", dist.Normal(x[:, t] * 0.6, 0.7))


def walk() -> Target:
    return Target(model, guide, X, M)


def test_log_w_is_that_of_the_masked_programs_and_the_joint_is_proper() -> None:
    target = walk()
    z, log_q = target.propose(6)
    prior, likelihood = target.log_joint(z)
    by_hand = {
        "q": [normal(X[:, t] * 0.6, 0.7, z[f"z_{t}"]) for t in range(2)],
        "p": [normal(0.0, 1.0, z["z_0"]), normal(z["z_0"], 1.0, z["z_1"])],
        "x": [normal(z[f"z_{t}"], 1.0, X[:, t]) for t in range(2)],
    }
    zero = torch.zeros(())
    q, p, x = (sum(torch.where(M[:, t], terms[t], zero) for t in range(2)) for terms in by_hand.values())
    torch.testing.assert_close(prior + likelihood - log_q, p + x - q, **EXACT)
    torch.testing.assert_close(prior, sum(by_hand["p"]), **EXACT)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)
    terms = target.latent_terms(z)
    torch.testing.assert_close(sum(q for q, _ in terms.values()), log_q, **EXACT)
    torch.testing.assert_close(sum(p for _, p in terms.values()), prior, **EXACT)
    hidden = ~M[:, 1]
    torch.testing.assert_close(*(term[:, hidden] for term in terms["z_1"]), **EXACT)
    assert target.structure.masked == ("z_1",) and target.structure.fills is not None and target.structure.fills.all()


def test_what_is_hidden_is_drawn_from_the_prior_given_the_rest() -> None:
    z, _ = walk().propose(4000)
    step = (z["z_1"] - z["z_0"])[:, ~M[:, 1]]
    assert step.mean(0).abs().max() < 5 / math.sqrt(4000)
    assert (step.var(0) - 1).abs().max() < 5 * math.sqrt(2 / 4000)
    assert torch.corrcoef(torch.stack([step[:, 0], z["z_0"][:, 1]]))[0, 1].abs() < 5 / math.sqrt(4000)
    first = Target(model, guide, X[:1], M[:1]).propose(4000)[0]
    torch.testing.assert_close(z["z_1"][:, 0], first["z_1"][:, 0])  # the guide's own, where nothing is hidden


def test_the_elbo_is_pyros() -> None:
    found = importance(walk(), num_samples=4000, search=False)
    pyro.set_rng_seed(0)
    loss = Trace_ELBO(num_particles=4000, vectorize_particles=True, max_plate_nesting=1)
    elbo, stderr = -loss.loss(model, guide, X, M), float(found.info["elbo_stderr"].square().sum().sqrt())
    assert float(found.info["elbo"].sum()) == pytest.approx(elbo, abs=5 * stderr)


@pytest.mark.slow
def test_estimators_know_the_evidence() -> None:
    target = walk()
    exact = quadrature(target)
    torch.testing.assert_close(exact.value, TRUTH, rtol=0.0, atol=2e-5)
    assert not any(exact.flags)
    assert bracket(target, budget=20.0).settled.all()
    annealed = [anneal(target, num_steps=20, start=start, search=False) for start in ("guide", "prior")]
    for estimate in (importance(target), *annealed):
        assert ((estimate.value - TRUTH).abs() < 5 * estimate.stderr + 0.01).all(), estimate
    room = decompose(target, num_samples=64, families=["mean-field", "full covariance"])
    torch.testing.assert_close(room.log_p.value, TRUTH, rtol=0.0, atol=2e-5)
    assert (room.approximation.value.abs() < 0.02).all()  # the posterior is Gaussian


@pytest.mark.slow
def test_chains_and_diagnostics_see_a_proper_latent() -> None:
    target = walk()
    draws = hmc(target, num_warmup=150, num_draws=1000)
    assert not any(draws.flags), draws.flags
    # Behind a mask the walk goes on by itself: var z_1 = var z_0 + 1 = 3/2.
    torch.testing.assert_close(draws.sd[1:, 1].double(), torch.full((2,), math.sqrt(1.5)).double(), rtol=0.1, atol=0.0)
    found = agreement(target, draws)
    assert found.uses["model comparison"].all()
    assert float(latent_use(target, num_samples=50).kl[1]) < 0.6


def test_attribution_names_what_it_cannot_do() -> None:
    with pytest.raises(ProgramError, match=r"\['z_1'\] are masked"):
        attribute_sites(walk())


@pytest.mark.parametrize("layout", ["plate", "fold", "loop"])
def test_every_layout_gives_the_same_numbers(layout: Any) -> None:
    chosen, forced = walk(), Target(model, guide, X, M, layout=layout)
    (z, log_q), (again, same) = chosen.propose(5, seed=3), forced.propose(5, seed=3)
    for name in z:
        torch.testing.assert_close(again[name], z[name], **EXACT)
    torch.testing.assert_close(same, log_q, **EXACT)
    torch.testing.assert_close(sum(forced.log_joint(z)), sum(chosen.log_joint(z)), **EXACT)


def test_a_model_that_takes_one_batch_dim_fills_what_is_hidden_too() -> None:
    def single(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=m[:, 1]):
            z = pyro.sample("z_1", dist.Normal(0.0, 1.0))
            assert z.dim() == 1  # knows of no batch of samples
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[:, 1])

    def guide(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=m[:, 1]):
            pyro.sample("z_1", dist.Normal(x[:, 1], 1.0))

    target = Target(single, guide, X, M)
    assert target.layouts["model"] == "fold"  # vmap comes after it
    z, log_q = target.propose(3)
    loop, log_q_loop = Target(single, guide, X, M, layout="loop").propose(3)
    torch.testing.assert_close(z["z_1"], loop["z_1"], **EXACT)
    torch.testing.assert_close(log_q, log_q_loop, **EXACT)


def test_a_datum_alone_draws_what_it_draws_in_company() -> None:
    whole, log_q = walk().propose(4, seed=5)
    for b in range(3):
        alone, alone_q = Target(model, guide, X[b : b + 1], M[b : b + 1]).propose(4, seed=5)
        for name in whole:
            torch.testing.assert_close(alone[name][:, 0], whole[name][:, b], **EXACT)
        torch.testing.assert_close(alone_q[:, 0], log_q[:, b], **EXACT)
    rest = walk().propose(2, seed=5, start=2)[0]
    torch.testing.assert_close(rest["z_1"], whole["z_1"][2:], **EXACT)


def masked_by(mask: Any, inside: bool) -> tuple[Callable[..., None], Callable[..., None]]:
    """Both programs with an event of 3 whose elements, or which as a whole, are masked."""

    def site(fn: Any) -> Tensor:
        if inside:
            return pyro.sample("z", fn.mask(mask).to_event(1))
        with poutine.mask(mask=mask):
            return pyro.sample("z", fn.to_event(1))

    def own_model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = site(dist.Normal(torch.zeros(len(x), 3, dtype=x.dtype), 2.0))
            kept = torch.as_tensor(mask) if inside else torch.as_tensor(mask).unsqueeze(-1)
            pyro.sample("x", dist.Normal(z, 1.0).mask(kept.expand(len(x), 3)).to_event(1), obs=x)

    def own_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            site(dist.Normal(0.8 * x, math.sqrt(0.8)))

    return own_model, own_guide


@pytest.mark.parametrize(
    ("mask", "inside"),
    rest_slow(
        [
            (torch.tensor([True, False, True]), True),
            (torch.tensor([[True, True, False], [False, True, True], [True, True, True], [False, False, False]]), True),
            (torch.tensor([True, False, False, True]), False),
            (False, False),
            (torch.tensor(False), False),
            (torch.tensor([False]), False),
        ],
        2,
    ),
)
def test_masks_of_elements_and_of_whole_events(mask: Any, inside: bool) -> None:
    """The guide is the exact posterior of what is there: every weight is the evidence of what is there."""
    x = data(4, 3)
    target = Target(*masked_by(mask, inside), x)
    there = torch.as_tensor(mask) if inside else torch.as_tensor(mask).unsqueeze(-1)
    truth = torch.where(there, normal(0.0, math.sqrt(5.0), x), 0.0).sum(-1)
    torch.testing.assert_close(target.log_weights(5), truth.expand(5, 4), **EXACT)
    torch.testing.assert_close(quadrature(target, tolerance=1e-4).value, truth, rtol=0.0, atol=1e-3)


def test_calibration_finds_the_prior_where_it_is_drawn_from() -> None:
    target = Target(*masked_by(torch.tensor([True, False, True]), True), data(4, 3))
    found = calibrate(target, num_simulations=100, num_draws=20)
    assert not any(found.flags) and not any(check.rejected for check in found.checks)


@pytest.mark.slow
def test_a_hidden_latent_whose_prior_is_a_mixture() -> None:
    """Its discrete parent is summed out: drawn from the mixture, whose density counts on both sides."""
    x, m = data(4), torch.tensor([True, False, True, False])
    means = torch.tensor([-2.0, 3.0], dtype=torch.float64)

    def own_model(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Bernoulli(torch.tensor(0.3).double())).long()
            with poutine.mask(mask=m):
                z = pyro.sample("z", dist.Normal(means[k], 1.0))
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def own_guide(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=m):
            pyro.sample("z", dist.Normal(x / 2, 1.5))

    target = Target(own_model, own_guide, x, m)
    share = torch.tensor([0.7, 0.3]).double()
    truth = torch.where(m, (share.log() + normal(means, math.sqrt(2.0), x.unsqueeze(-1))).logsumexp(-1), 0.0)
    torch.testing.assert_close(quadrature(target).value, truth, rtol=0.0, atol=1e-5)
    found = importance(target, num_samples=2000, search=False)
    assert ((found.value - truth).abs() < 5 * found.stderr + 1e-10).all()
    torch.testing.assert_close(found.value[~m], torch.zeros(2).double(), **EXACT)
    z, log_q = target.propose(4000)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)
    assert (z["z"][:, ~m].mean(0) - (share @ means)).abs().max() < 5 * 2.6 / math.sqrt(4000)


@pytest.mark.slow
def test_a_guide_that_reads_what_is_hidden_draws_it_itself() -> None:
    """Left padding: a walk goes on from steps that are hidden. log p(x) is that of the unmasked walk all the same."""
    m = torch.tensor([[True, True], [False, True], [False, True]])

    def reading(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = torch.zeros_like(x[:, 0])
            for t in range(2):
                with poutine.mask(mask=m[:, t]):
                    z = pyro.sample(f"z_{t}", dist.Normal(0.5 * z + 0.4 * x[:, t], 1.1))

    target = Target(model, reading, X, m)
    assert target.structure.masked == ("z_0",)
    assert target.structure.fills is not None and target.structure.fills.tolist() == [True, False, False]
    truth = torch.where(m[:, 0], BOTH, dist.Normal(0.0, math.sqrt(3.0)).log_prob(X[:, 1]))
    torch.testing.assert_close(quadrature(target).value, truth, rtol=0.0, atol=2e-5)
    found = importance(target, num_samples=4000, search=False)
    assert ((found.value - truth).abs() < 5 * found.stderr).all()
    z, log_q = target.propose(3)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)
    terms = target.latent_terms(z).values()
    torch.testing.assert_close(sum(q for q, _ in terms), log_q, **EXACT)
    torch.testing.assert_close(sum(p for _, p in terms), target.log_joint(z)[0], **EXACT)
    assert "the guide draws what is hidden itself" in str(check_program(model, reading, X, m))


def plain(program: Callable[..., None]) -> Callable[..., None]:
    """The program without its masks."""

    def run(x: Tensor, m: Tensor) -> None:
        program(x, torch.ones_like(m))

    return run


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ((model, plain(guide)), r"'z_1' is masked in the model only for 2 data \(first rows: \[1, 2\]\).*not exist"),
        ((plain(model), guide), r"'z_1' is masked in the guide only for 2 data \(first rows: \[1, 2\]\)"),
        ((model, lambda x, m: guide(x, ~m)), r"'z_0' is masked in the guide only for 3 data"),
        ((model, lambda x, m: guide(x, m[[1, 0, 2]])), r"'z_1' is masked in the model only.*and in the guide only"),
    ],
)
def test_masks_that_are_not_alike_are_refused(programs: Any, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        Target(*programs, X, M)


SEEN = torch.tensor([True, True, False, True])
PARTLY = torch.tensor([0.3, -1.0, 0.0, 2.0], dtype=torch.float64)


def partly_observed(x: Tensor, seen: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x, obs_mask=seen)


def partly_guided(x: Tensor, seen: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.8 * x * seen, 0.5 + 0.6 * (~seen)))
        with poutine.mask(mask=~seen):
            pyro.sample("x_unobserved", dist.Normal(z, 0.6))


@pytest.mark.slow
def test_partly_observed_values() -> None:
    target = Target(partly_observed, partly_guided, PARTLY, SEEN)
    truth = torch.where(SEEN, normal(0.0, math.sqrt(1.25), PARTLY), 0.0)
    torch.testing.assert_close(quadrature(target).value, truth, rtol=0.0, atol=1e-5)
    found = importance(target, num_samples=2000, search=False)
    assert ((found.value - truth).abs() < 5 * found.stderr).all()
    assert not any(found.flags)
    kinds = {row[2]: row[1] for row in check_program(partly_observed, partly_guided, PARTLY, SEEN).sites}
    assert kinds["x"] == "deterministic" and kinds["x_observed"] == "observed"
    simulated, _ = target.simulate()
    assert bool((simulated.args[0] != PARTLY)[SEEN].all())


def test_an_autoguide_that_knows_no_masks_is_refused_by_name() -> None:
    auto = AutoNormal(partly_observed)
    auto(PARTLY, SEEN)
    with pytest.raises(ProgramError, match=r"'x_unobserved' is masked in the model only.*poutine\.mask\(mask=~mask\)"):
        Target(partly_observed, auto, PARTLY, SEEN)


def test_a_masked_auxiliary_draw_is_refused() -> None:
    def own_guide(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)):
            for t in range(2):
                with poutine.mask(mask=m[:, t]):
                    u = pyro.sample(f"u_{t}", dist.Normal(0.6 * x[:, t], 0.7), infer={"is_auxiliary": True})
                    pyro.sample(f"z_{t}", dist.Delta(u))

    with pytest.raises(ProgramError, match=r"auxiliary site 'u_1' is masked"):
        Target(model, own_guide, X, M)


def test_a_masked_latent_that_cannot_be_drawn_is_the_guides_own() -> None:
    """Von Mises draws by rejection: the guide draws what is hidden, with its own density, and p(x) is the same."""
    seen = torch.tensor([True, False, False])

    def own_model(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=seen):
            z = pyro.sample("z", dist.VonMises(0.0, 2.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def own_guide(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=seen):
            pyro.sample("z", dist.Uniform(-math.pi, math.pi * torch.ones_like(x)))

    target = Target(own_model, own_guide, X[:, 0], seen)
    found = importance(target, num_samples=4000, search=False)
    assert ((found.value[1:]).abs() < 5 * found.stderr[1:]).all() and not any(found.flags)


@pytest.mark.parametrize("plate", ["data", None])
@pytest.mark.parametrize("outer", [False, True])
def test_masked_latents_in_inner_plates(plate: str | None, outer: bool) -> None:
    """Ragged sets: 3 places a datum, each with a latent of its own where it exists; the guide is the posterior."""
    x, there = data(4, 3), torch.arange(3) < torch.tensor([3, 1, 0, 2])[:, None]
    dims = (-1, -2) if outer else (-2, -1)

    def turned(value: Tensor) -> Tensor:
        return value.T if outer else value

    def program(x: Tensor, there: Tensor, site: Callable[[Tensor], Any], observe: bool) -> None:
        both = (pyro.plate("data", len(x), dim=dims[0]), pyro.plate("places", 3, dim=dims[1]))
        with both[0], both[1], poutine.mask(mask=turned(there)):
            z = pyro.sample("z", site(turned(x)))
            if observe:
                pyro.sample("x", dist.Normal(z, 1.0), obs=turned(x))

    target = Target(
        lambda x, there: program(x, there, lambda x: dist.Normal(torch.zeros_like(x), 2.0), True),
        lambda x, there: program(x, there, lambda x: dist.Normal(0.8 * x, math.sqrt(0.8)), False),
        x,
        there,
        plate=plate,
    )
    truth = torch.where(there, normal(0.0, math.sqrt(5.0), x), 0.0).sum(1)
    truth = truth if plate else truth.sum(0, keepdim=True)
    torch.testing.assert_close(target.log_weights(5), truth.expand(5, len(truth)), **EXACT)
    z, log_q = target.propose(5)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)
    torch.testing.assert_close(z["z"].square().mean(), torch.tensor(4.0), rtol=1.0, atol=0.0, check_dtype=False)


@pytest.mark.slow
def test_pyros_sampler_sees_no_mask_on_a_latent() -> None:
    draws = nuts(walk(), [1], num_chains=1, num_warmup=50, num_draws=200)
    assert 0.8 < float(draws.sd[0, 1]) < 1.8  # √1.5; a flat coordinate would drift


def test_sampling_where_the_prior_is_improper_and_masked() -> None:
    """Nothing to draw from and no evidence: refused by name, not by what a draw of the prior raises."""
    seen = torch.tensor([True, False, False])

    def own_model(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=seen):
            z = pyro.sample("z", dist.ImproperUniform(dist.constraints.real, (), ()))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def own_guide(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=seen):
            pyro.sample("z", dist.Normal(x, 1.0))

    with pytest.raises(ProgramError, match="prior of site 'z' is improper"):
        importance(Target(own_model, own_guide, X[:, 0], seen))


def test_a_guide_without_the_unobserved_values_is_told_how_to_draw_them() -> None:
    def without(x: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.8 * x, 0.5))

    with pytest.raises(ProgramError, match=r"'x_unobserved' is not drawn by the guide \(of obs_mask=mask.*~mask"):
        Target(partly_observed, without, PARTLY, SEEN)


def test_a_prior_masked_away_as_a_whole_is_refused() -> None:
    def own_model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0).mask(False))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def own_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x, 1.0))

    with pytest.raises(ProgramError, match=r"'z' is masked in the model only for 3 data.*ImproperUniform"):
        Target(own_model, own_guide, X[:, 0])


@pytest.mark.slow
@given(st.integers(0, 2**12 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_any_mask_of_elements(bits: int, inside: bool) -> None:
    """The guide is the exact posterior: log w is the evidence of what is there, without error."""
    x = data(4, 3)
    mask = torch.tensor([bool(bits >> i & 1) for i in range(12)]).reshape(4, 3)
    mask = mask if inside else mask[:, 0]
    target = Target(*masked_by(mask, inside), x)
    truth = torch.where(mask if inside else mask[:, None], normal(0.0, math.sqrt(5.0), x), 0.0).sum(-1)
    torch.testing.assert_close(target.log_weights(2), truth.expand(2, 4), **EXACT)


@pytest.mark.slow
def test_left_and_right_padding_in_company_are_as_alone() -> None:
    """Whether a datum's hidden latents are filled from the prior is its own affair."""
    m = torch.tensor([[True, True], [False, True], [True, False]])

    def reading(x: Tensor, m: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = torch.zeros_like(x[:, 0])
            for t in range(2):
                with poutine.mask(mask=m[:, t]):
                    z = pyro.sample(f"z_{t}", dist.Normal(0.5 * z + 0.4 * x[:, t], 1.1))

    whole = Target(model, reading, X, m)
    assert whole.structure.fills is not None and whole.structure.fills.tolist() == [True, False, True]
    z, log_q = whole.propose(4, seed=2)
    torch.testing.assert_close(whole.log_guide(z), log_q, **EXACT)
    for layout in ("loop", "fold"):
        again, same = Target(model, reading, X, m, layout=layout).propose(4, seed=2)
        torch.testing.assert_close(again["z_1"], z["z_1"], **EXACT)
        torch.testing.assert_close(same, log_q, **EXACT)
    for b in range(3):
        for alone in (Target(model, reading, X[b : b + 1], m[b : b + 1]), whole.select([b])):
            own, own_q = alone.propose(4, seed=2)
            for name in z:
                torch.testing.assert_close(own[name][:, 0], z[name][:, b], **EXACT)
            torch.testing.assert_close(own_q[:, 0], log_q[:, b], **EXACT)
    found = importance(whole, num_samples=4000, search=False)
    one = torch.stack([dist.Normal(0.0, math.sqrt(v)).log_prob(x) for v, x in ((3.0, X[1, 1]), (2.0, X[2, 0]))])
    truth = torch.cat([BOTH[:1], one])
    assert ((found.value - truth).abs() < 5 * found.stderr).all()


@pytest.mark.slow
def test_a_guide_that_runs_the_model_is_masked_as_it_is() -> None:
    pyro.set_rng_seed(0)
    messenger = AutoNormalMessenger(model, init_scale=0.8)
    messenger(X, M)
    target = Target(model, messenger, X, M)
    assert target.structure.fills is not None and target.structure.fills.all()
    torch.testing.assert_close(bracket(target, budget=20.0).lower.value, TRUTH, rtol=0.0, atol=1e-4)
    found = importance(target, num_samples=4000, search=False)
    settled = torch.tensor([not flag for flag in found.flags])
    assert ((found.value - TRUTH).abs() < 5 * found.stderr)[settled].all()
