"""Target against densities written by hand, for every kind of program it promises to evaluate."""

import math
from functools import cache
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyro import poutine
from pyro.infer import Trace_ELBO
from scipy import stats

from elbowroom.inference import Target, importance
from toys.failure_budget import BUDGET, sigmas
from toys.programs import TRIPLES, Triple, conjugate, constrained, data, normal, normal_guide, normal_model, ppca

S = 4
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@cache
def made(name: str) -> tuple[Triple, Target]:
    """Programs of each kind, and their target: made once."""
    triple = TRIPLES[name]()
    return triple, triple.target()


@pytest.fixture(params=sorted(TRIPLES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def triple(name: str) -> Triple:
    return made(name)[0]


@pytest.fixture
def target(name: str) -> Target:
    return made(name)[1]


def test_densities_are_those_written_by_hand(triple: Triple, target: Target) -> None:
    z, log_q = target.propose(S)
    expected_q, expected_prior, expected_likelihood = triple.densities(z)
    prior, likelihood = target.log_joint(z)
    for found, expected in (
        (log_q, expected_q),
        (target.log_guide(z), expected_q),
        (prior, expected_prior),
        (likelihood, expected_likelihood),
    ):
        assert found.shape == (S, len(target))
        torch.testing.assert_close(found, expected, **EXACT)


def test_densities_anywhere_not_only_at_the_guides_draws(triple: Triple, target: Target) -> None:
    """Values drawn for one datum are handed to another, and for another sample."""
    z = {name: value.roll((1, 1), (0, 1)) for name, value in target.propose(S)[0].items()}
    if "u" in z:  # its support depends on the datum
        z["u"] = target.propose(S, seed=3)[0]["u"]
    expected_q, expected_prior, expected_likelihood = triple.densities(z)
    torch.testing.assert_close(target.log_guide(z), expected_q, **EXACT)
    prior, likelihood = target.log_joint(z)
    torch.testing.assert_close(prior, expected_prior, **EXACT)
    torch.testing.assert_close(likelihood, expected_likelihood, **EXACT)


def test_log_weights_and_shapes(target: Target) -> None:
    z, log_q = target.propose(S, seed=5)
    torch.testing.assert_close(target.log_weights(S, seed=5), sum(target.log_joint(z)) - log_q, **EXACT)
    assert len(target.latent_names) == sum(math.prod(shape) for shape in target.latents.values())
    for name, shape in target.latents.items():
        assert z[name].shape == (S, len(target), *shape)


def test_a_datum_does_not_see_the_others(target: Target) -> None:
    z, log_q = target.propose(S)
    prior, likelihood = target.log_joint(z)
    rows = [3, 0, 3] if len(target) > 3 else [0, 0]
    some = target.select(rows)
    z_some, log_q_some = some.propose(S)
    for name in z:
        torch.testing.assert_close(z_some[name], z[name][:, rows], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(log_q_some, log_q[:, rows], **EXACT)
    for found, expected in zip(some.log_joint(z_some), (prior, likelihood), strict=True):
        torch.testing.assert_close(found, expected[:, rows], **EXACT)


def test_entry_depends_on_its_own_latents_alone(triple: Triple, target: Target) -> None:
    if not triple.continuous:
        return
    z = {name: value.detach().requires_grad_() for name, value in target.propose(S)[0].items()}
    s, b = 2, len(target) - 1
    for evaluate in (lambda: sum(target.log_joint(z)), lambda: target.log_guide(z)):
        gradients = torch.autograd.grad(evaluate()[s, b], list(z.values()), allow_unused=True)
        assert any(gradient is not None for gradient in gradients)
        for gradient in gradients:
            if gradient is None:
                continue
            elsewhere = torch.ones(S, len(target), dtype=torch.bool)
            elsewhere[s, b] = False
            assert bool((gradient[elsewhere] == 0).all())
    joint = torch.autograd.grad(sum(target.log_joint(z)).sum(), list(z.values()))
    assert any(bool((gradient[s, b] != 0).any()) for gradient in joint)


def test_gradient_is_that_of_the_densities_by_hand(triple: Triple, target: Target) -> None:
    if not triple.continuous:
        return
    z = {name: value.detach().requires_grad_() for name, value in target.propose(S)[0].items()}
    _, prior, likelihood = triple.densities(z)
    expected = torch.autograd.grad((prior + likelihood).sum(), list(z.values()))
    found = torch.autograd.grad(sum(target.log_joint(z)).sum(), list(z.values()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_latent_terms_sum_to_the_totals(target: Target) -> None:
    z, log_q = target.propose(S)
    terms = target.latent_terms(z)
    assert list(terms) == list(target.latents)
    q, p = ([pair[i].reshape(S, len(target), -1).sum(-1) for pair in terms.values()] for i in (0, 1))
    torch.testing.assert_close(sum(q), log_q, **EXACT)
    torch.testing.assert_close(sum(p), target.log_joint(z)[0], **EXACT)


def test_latent_terms_are_kept_apart_where_both_factorise() -> None:
    triple = TRIPLES["hierarchical"]()
    target = triple.target()
    q, p = target.latent_terms(target.propose(S)[0])["z2"]
    assert q.shape == p.shape == (S, 5, 2)
    full = ppca().target()  # its guide has a full covariance
    q, p = full.latent_terms(full.propose(S)[0])["z"]
    assert q.shape == p.shape == (S, 5)


def test_elbo_is_trace_elbos_on_the_same_draws(triple: Triple, target: Target) -> None:
    """Replaying the draws through Pyro's own `Trace_ELBO` gives the same number, particle by particle."""
    if triple.model.__qualname__.startswith(("rescaled", "counting_rows")):
        return  # Pyro keeps the program's scales, which Target undoes
    z, log_q = target.propose(S)
    log_w = sum(target.log_joint(z)) - log_q
    nesting = target.structure.nesting
    for s in range(S):
        values = {name: _in_program(target, name, z[name][s : s + 1]) for name in z}
        guide = poutine.replay(triple.guide, trace=_trace_with(triple, values))
        with pyro.validation_enabled(False):  # it refuses NaN behind a mask, and batch dims without a plate
            loss = Trace_ELBO(max_plate_nesting=nesting).loss(triple.model, guide, *triple.args, **triple.kwargs)
        assert -loss == pytest.approx(log_w[s].sum().item(), rel=1e-11)


def _trace_with(triple: Triple, values: dict[str, torch.Tensor]) -> Any:
    trace = poutine.trace(triple.guide).get_trace(*triple.args, **triple.kwargs)
    for name, value in values.items():
        trace.nodes[name]["value"] = value.reshape(trace.nodes[name]["value"].shape)
    return trace


def _in_program(target: Target, name: str, value: torch.Tensor) -> torch.Tensor:
    """One sample `[1, B, ...]` with the data plate where the program has it."""
    if target.structure.data_dim is None or target.structure.nesting == 1:
        return value[0]
    inner = len(target.structure.latents[name].inner)
    shape = target.structure.latents[name]
    full = value.reshape(len(target), *shape.inner, *shape.event)
    return full.movedim(0, inner + 1 + target.structure.data_dim)


def test_elbo_is_trace_elbos_in_expectation() -> None:
    """Fresh draws on both sides: equal within the sum of both standard errors."""
    triple = conjugate(s=0.6, num_data=6)
    estimate = importance(triple.target(), num_samples=4000)
    elbo = Trace_ELBO(num_particles=100, vectorize_particles=True, max_plate_nesting=1)
    losses = torch.tensor([-elbo.loss(triple.model, triple.guide, *triple.args) for _ in range(40)])
    error = torch.hypot(estimate.info["elbo_stderr"].norm(), losses.std() / math.sqrt(40))
    assert abs(estimate.info["elbo"].sum() - losses.mean()) < sigmas() * error


# Unconstrained coordinates -------------------------------------------------------------------------------------------


def test_unconstrained_joint_is_the_joint_times_the_jacobian() -> None:
    triple = constrained()
    target, (x,) = triple.target(), triple.args
    z, _ = target.propose(S)
    u = target.unconstrain(z)
    log_joint, log_jacobian, back = target.log_joint_unconstrained(u)
    for name in z:
        torch.testing.assert_close(back[name], z[name], **EXACT)
    # r = eᵘ; p = σ(u); u = x σ(u); the simplex by stick breaking, z_i = σ(u_i − log(K − i)) of what is left
    torch.testing.assert_close(u["r"], z["r"].log(), **EXACT)
    torch.testing.assert_close(u["p"], z["p"].logit(), **EXACT)
    torch.testing.assert_close(u["u"], (z["u"] / x).logit(), rtol=1e-10, atol=1e-10)
    rest = 1 - z["w"][..., 0]
    first, second = z["w"][..., 0], z["w"][..., 1] / rest
    by_hand = z["r"].log() + (z["p"] * (1 - z["p"])).log() + (z["u"] * (1 - z["u"] / x)).log()
    by_hand = by_hand + (first * (1 - first)).log() + (second * (1 - second)).log() + rest.log()
    torch.testing.assert_close(log_jacobian, by_hand, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_joint, sum(target.log_joint(z)) + by_hand, rtol=1e-10, atol=1e-10)


def test_log_jacobian_is_the_determinant_of_the_map() -> None:
    """Of all latents of one datum together, by automatic differentiation."""
    target = constrained().target().select([2])
    u = {name: value[:1] for name, value in target.unconstrain(target.propose(1)[0]).items()}
    names = list(u)
    sizes = [u[name].numel() for name in names]

    def transform(flat: torch.Tensor) -> torch.Tensor:
        parts = {n: v.reshape(u[n].shape) for n, v in zip(names, flat.split(sizes), strict=True)}
        z = target.log_joint_unconstrained(parts)[2]
        return torch.cat([z[n].flatten()[: sizes[i]] for i, n in enumerate(names)])  # K − 1 simplex coordinates

    jacobian = torch.autograd.functional.jacobian(transform, torch.cat([u[n].flatten() for n in names]))
    found = target.log_joint_unconstrained(u)[1]
    torch.testing.assert_close(found.squeeze(), jacobian.det().abs().log(), rtol=1e-9, atol=1e-9)


def test_support_that_depends_on_another_latent() -> None:
    x = data(4).exp()

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            top = pyro.sample("top", dist.HalfNormal(2.0))
            z = pyro.sample("z", dist.Uniform(torch.zeros_like(top), top))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            top = pyro.sample("top", dist.LogNormal(x.log(), 0.3))
            pyro.sample("z", dist.Uniform(torch.zeros_like(top), top))

    target = Target(model, guide, x)
    z, _ = target.propose(S)
    log_joint, log_jacobian, back = target.log_joint_unconstrained(target.unconstrain(z))
    torch.testing.assert_close(back["z"], z["z"], **EXACT)
    fraction = z["z"] / z["top"]
    by_hand = z["top"].log() + (z["top"] * fraction * (1 - fraction)).log()
    torch.testing.assert_close(log_jacobian, by_hand, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_joint, sum(target.log_joint(z)) + by_hand, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_one_datum_whose_latents_have_batch_dims_and_no_plate(shape: tuple[int, ...]) -> None:
    """plate=None: a forgotten `.to_event` is no mistake, for all is summed."""
    y = torch.tensor(0.7)

    def model(y: torch.Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(shape), 1.0))
        pyro.sample("y", dist.Normal(z.flatten(-len(shape)).sum(-1), 1.0), obs=y)

    def guide(y: torch.Tensor) -> None:
        pyro.sample("z", dist.Normal(torch.ones(shape), 0.5))

    target = Target(model, guide, y, plate=None)
    z, log_q = target.propose(S)
    assert target.latents == {"z": shape} and log_q.shape == (S, 1)
    torch.testing.assert_close(log_q, normal(1.0, 0.5, z["z"]).flatten(2).sum(-1), **EXACT)
    prior, likelihood = target.log_joint(z)
    torch.testing.assert_close(prior, normal(0.0, 1.0, z["z"]).flatten(2).sum(-1), **EXACT)
    torch.testing.assert_close(likelihood, normal(z["z"].flatten(2).sum(-1), 1.0, y), **EXACT)


def test_mixture_priors_have_unconstrained_coordinates() -> None:
    """A Gaussian mixture as prior: torch knows no bijection to its support, which is that of its components."""
    x, locs = data(5), torch.tensor([-2.0, 1.0])

    def mixture(fn: Any) -> Any:
        return dist.MixtureSameFamily(dist.Categorical(torch.tensor([0.3, 0.7])), fn)

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", mixture(dist.Normal(locs, 1.0)))
            r = pyro.sample("r", mixture(dist.LogNormal(locs, 1.0)))
            pyro.sample("x", dist.Normal(z + r, 1.0), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x, 1.0))
            pyro.sample("r", dist.LogNormal(0.0, 1.0))

    target = Target(model, guide, x)
    z, _ = target.propose(S)
    prior = [
        (torch.tensor([0.3, 0.7]).log() + normal(locs, 1.0, v.unsqueeze(-1))).logsumexp(-1)
        for v in (z["z"], z["r"].log())
    ]
    torch.testing.assert_close(target.log_joint(z)[0], prior[0] + prior[1] - z["r"].log(), **EXACT)
    u = target.unconstrain(z)
    torch.testing.assert_close(u["z"], z["z"], **EXACT)
    torch.testing.assert_close(u["r"], z["r"].log(), **EXACT)
    log_joint, log_jacobian, _ = target.log_joint_unconstrained(u)
    torch.testing.assert_close(log_jacobian, z["r"].log(), **EXACT)
    torch.testing.assert_close(log_joint, sum(target.log_joint(z)) + log_jacobian, **EXACT)


def test_lkj_correlations_have_unconstrained_coordinates() -> None:
    x = data(3, 8, 2)

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            factor = pyro.sample("L", dist.LKJCholesky(2, 1.5))
            q = dist.MultivariateNormal(torch.zeros(2), scale_tril=factor.unsqueeze(-3)).expand((*factor.shape[:-2], 8))
            pyro.sample("x", q.to_event(1), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("L", dist.LKJCholesky(2, 1.0))

    target = Target(model, guide, x)
    z, _ = target.propose(S)
    prior, likelihood = target.log_joint(z)
    rho = z["L"][..., 1, 0]
    torch.testing.assert_close(  # p(ρ) ∝ (1 − ρ²)^(η − 1); dρ = dL_21, so the factor's density is the same
        prior, 0.5 * (1 - rho**2).log() - math.log(math.pi / 2), rtol=1e-10, atol=1e-10
    )
    by_hand = torch.distributions.MultivariateNormal(torch.zeros(2), scale_tril=z["L"].unsqueeze(2)).log_prob(x).sum(-1)
    torch.testing.assert_close(likelihood, by_hand, **EXACT)
    u = target.unconstrain(z)
    assert u["L"].shape == (S, 3, 1)
    log_joint, log_jacobian, _ = target.log_joint_unconstrained(u)
    torch.testing.assert_close(log_jacobian, (1 - rho**2).log(), rtol=1e-9, atol=1e-9)  # ρ = tanh u
    torch.testing.assert_close(log_joint, prior + likelihood + log_jacobian, **EXACT)


# Supports ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [False, True])
def test_values_outside_the_support_have_no_density(event: bool) -> None:
    """Exponential and Uniform return finite numbers or NaN there with validation off."""
    x = data(5)

    def wrap(fn: Any) -> Any:
        return fn.expand([5, 2]).to_event(1) if event else fn

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", wrap(dist.Exponential(torch.ones(()))))
            b = pyro.sample("b", wrap(dist.Gamma(torch.tensor(2.0), torch.tensor(1.0))))
            total = (a + b).sum(-1) if event else a + b
            pyro.sample("x", dist.Normal(total, 1.0), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("a", wrap(dist.Normal(torch.zeros(()), 1.0)))
            pyro.sample("b", wrap(dist.Normal(torch.ones(()), 1.0)))

    target = Target(model, guide, x)
    z, log_q = target.propose(20)
    prior, likelihood = target.log_joint(z)
    outside = (z["a"] < 0) | (z["b"] <= 0)
    outside = outside.any(-1) if event else outside
    assert bool(outside.any()) and not bool(outside.all())
    assert torch.equal(prior == -torch.inf, outside)
    assert bool(likelihood.isfinite().all()) and bool(log_q.isfinite().all())
    terms = target.latent_terms(z)
    p = sum(pair[1].reshape(20, 5, -1).sum(-1) for pair in terms.values())
    torch.testing.assert_close(p, prior, **EXACT)


def test_a_masked_latent_follows_its_prior() -> None:
    x, used = data(5), torch.tensor([True, False, True, False, True])

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            with poutine.mask(mask=used):
                z = pyro.sample("z", dist.Exponential(2.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)), poutine.mask(mask=used):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    target = Target(model, guide, x)
    z, log_q = target.propose(50)
    prior, _ = target.log_joint(z)
    expected = math.log(2.0) - 2.0 * z["z"]
    torch.testing.assert_close(prior, torch.where(z["z"] < 0, -torch.inf, expected), **EXACT)
    assert bool((z["z"][:, used] < 0).any()) and bool((z["z"][:, ~used] > 0).all())  # the guide's, and the prior's
    torch.testing.assert_close(log_q, torch.where(used, normal(0.0, 1.0, z["z"]), expected), **EXACT)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)


def test_the_guides_factors_weigh_in_its_density() -> None:
    """A guide may correct its density by hand with pyro.factor; Trace_ELBO counts it, and so does Target."""
    x = data(5)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.factor("correction", 0.25 * z, has_rsample=True)

    target = Target(normal_model, guide, x)
    z, log_q = target.propose(S)
    torch.testing.assert_close(log_q, normal(0.0, 1.0, z["z"]) + 0.25 * z["z"], **EXACT)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)


def test_deterministic_sites_count_nothing() -> None:
    triple = ppca()

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            loc = pyro.deterministic("loc", z.sum(-1, keepdim=True) * torch.ones(6), event_dim=1)
            pyro.deterministic("total", loc.sum(-1))
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def outside(x: torch.Tensor) -> None:
        """The site is in no plate and all its dims are batch dims."""
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            loc = z.sum(-1, keepdim=True) * torch.ones(6)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)
        pyro.deterministic("loc", loc, event_dim=0)

    for program, layout in (*((model, layout) for layout in (None, "plate", "fold", "loop")), (outside, None)):
        target = Target(program, triple.guide, *triple.args, layout=layout)
        z, _ = target.propose(S)
        prior, likelihood = target.log_joint(z)
        torch.testing.assert_close(prior, normal(0.0, 1.0, z["z"]).sum(-1), **EXACT)
        expected = normal(z["z"].sum(-1, keepdim=True), 1.0, triple.args[0]).sum(-1)
        torch.testing.assert_close(likelihood, expected, **EXACT)


# Arguments -----------------------------------------------------------------------------------------------------------


def test_the_model_may_observe_some_rows_of_a_subsampled_plate() -> None:
    """A plate that draws its rows is given all of them: the target is all data, in their order."""
    x = data(50)

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x), subsample_size=7) as rows:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x), subsample_size=7) as rows:
            pyro.sample("z", dist.Normal(x[rows] / 2, math.sqrt(0.5)))

    target = Target(model, guide, x)
    assert target.structure.whole == ("data",) and target.sliceable
    torch.testing.assert_close(target.log_weights(S), normal(0.0, math.sqrt(2.0), x).expand(S, 50), **EXACT)
    few = target.select([9, 2])  # fewer than the plate asks for
    torch.testing.assert_close(few.log_weights(S), normal(0.0, math.sqrt(2.0), x[[9, 2]]).expand(S, 2), **EXACT)


def test_which_arguments_are_per_datum() -> None:
    triple = TRIPLES["hierarchical"]()
    assert triple.target().per_datum == {0: 0, 1: 0}
    x, weight = data(3, 4), torch.eye(3)  # a square matrix looks as if it had a row for each of three data

    def model(x: torch.Tensor, weight: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(torch.nn.functional.pad(z @ weight, (0, 1)), 1.0).to_event(1), obs=x)

    def guide(x: torch.Tensor, weight: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x[..., :3] / 2, 0.7).to_event(1))

    told = Target(model, guide, x, weight, per_datum=[0])
    assert told.per_datum == {0: 0}
    assert len(told.select([1])) == 1
    with pytest.raises(ValueError, match=r"per_datum.*'nothing'.*tensor with 3 rows"):
        Target(model, guide, x, weight, per_datum=["nothing"])


def test_per_datum_keyword() -> None:
    x, offset = data(4), data(4, seed=3)

    def model(x: torch.Tensor, *, offset: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(offset, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: torch.Tensor, *, offset: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal((x + offset) / 2, math.sqrt(0.5)))

    target = Target(model, guide, x, offset=offset)
    assert set(target.per_datum) == {0, "offset"}
    expected = normal(offset, math.sqrt(2.0), x)
    torch.testing.assert_close(target.log_weights(2), expected.expand(2, 4), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(target.select([2]).log_weights(2), expected[2:3].expand(2, 1), rtol=1e-12, atol=1e-12)


def test_select_by_mask_negative_index_and_range() -> None:
    target = conjugate().target()
    whole = target.log_weights(2)
    keep = torch.tensor([True, False, False, True, True])
    for index, rows in ((keep, [0, 3, 4]), ([-1], [4]), (range(1, 3), [1, 2]), (torch.tensor([4, 0]), [4, 0])):
        torch.testing.assert_close(target.select(index).log_weights(2), whole[:, rows], **EXACT)
    for bad in ([], [5], [[0, 1]], torch.tensor([True, False])):
        with pytest.raises(IndexError, match="index"):
            target.select(bad)


def test_z_of_the_wrong_shape_is_told() -> None:
    target = ppca().target()
    with pytest.raises(ValueError, match=r"z\['z'\] has shape \(3, 5\), expected .*\(3, 5, 2\)"):
        target.log_joint({"z": torch.zeros(3, 5)})
    with pytest.raises(ValueError, match=r"lacks the latent sites \['z'\]"):
        target.log_guide({"w": torch.zeros(3, 5, 2)})
    with pytest.raises(ValueError, match="num_samples must be an integer from 1"):
        target.propose(0)


def test_gradients_reach_the_programs_parameters() -> None:
    """Reparametrised draws carry gradients to the guide, log densities to both programs."""
    x = data(5)
    loc, log_scale, shift = (torch.tensor(v, requires_grad=True) for v in (0.3, -0.2, 0.1))

    def model(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(shift, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()))

    def elbo() -> torch.Tensor:
        return Target(model, guide, x).log_weights(3, seed=1).mean()

    gradients = torch.autograd.grad(elbo(), (loc, log_scale, shift))
    step = 1e-6
    for parameter, gradient in zip((loc, log_scale, shift), gradients, strict=True):
        with torch.no_grad():
            parameter += step
            up = elbo()
            parameter -= 2 * step
            down = elbo()
            parameter += step
        assert gradient.item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-6, abs=1e-8)


def test_sample_prior_draws_from_the_prior() -> None:
    triple = TRIPLES["hierarchical"]()
    z = triple.target().sample_prior(2000, seed=2)
    y = triple.args[1]
    assert stats.kstest((z["z1"] - y).flatten().numpy(), "norm").pvalue > BUDGET
    assert stats.kstest(((z["z2"] - z["z1"].unsqueeze(-1)) / 0.6).flatten().numpy(), "norm").pvalue > BUDGET
    assert abs(z["z1"][:, 0].mean()) < sigmas() / math.sqrt(2000)


def test_prior_draws_and_the_guides_draws_are_independent_under_one_seed() -> None:
    """Else the rank of a prior draw among the guide's, as calibration asks for it, would be no rank at all."""
    triple = conjugate(num_data=3)
    prior, guide = triple.target().sample_prior(3000, seed=4)["z"], triple.target().propose(3000, seed=4)[0]["z"]
    correlation = torch.cat([prior, guide], 1).T.corrcoef()
    off = correlation[~torch.eye(6, dtype=torch.bool)]
    assert off.abs().max() < sigmas(15) / math.sqrt(3000)


@settings(max_examples=8, deadline=None)
@given(
    num_data=st.integers(1, 7),
    num_samples=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
    name=st.sampled_from(["conjugate", "ppca"]),
)
def test_permutation_and_size_of_the_batch_change_nothing(
    num_data: int, num_samples: int, order: Any, name: str
) -> None:
    x = data(num_data, 6, seed=num_data) if name == "ppca" else data(num_data, seed=num_data)
    triple = TRIPLES[name]()
    target = Target(triple.model, triple.guide, x)
    rows = list(range(num_data))
    order.shuffle(rows)
    whole = target.log_weights(num_samples)
    assert whole.shape == (num_samples, num_data)
    torch.testing.assert_close(Target(triple.model, triple.guide, x[rows]).log_weights(num_samples), whole[:, rows])
    for b in rows[:2]:
        alone = Target(triple.model, triple.guide, x[b : b + 1])
        torch.testing.assert_close(alone.log_weights(num_samples), whole[:, b : b + 1], **EXACT)


def test_float32_programs_stay_float32() -> None:
    torch.set_default_dtype(torch.float32)
    target = Target(normal_model, normal_guide(0.9), data(4).float())
    z, log_q = target.propose(S)
    assert z["z"].dtype == log_q.dtype == target.log_weights(S).dtype == torch.float32
    assert target.dtype == torch.float32


def test_weighted_draws_give_posterior_expectations() -> None:
    """E[f(z) | x] by self-normalised weights of `propose` and `log_joint`, in the error of their delta method."""

    def guide(x: torch.Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.4 * x, 0.8))

    x = data(4)
    target = Target(normal_model, guide, x)
    z, log_q = target.propose(4000, seed=1)
    prior, likelihood = target.log_joint(z)
    weights = (prior + likelihood - log_q).softmax(0)
    for values, truth in ((z["z"], x / 2), (z["z"].square(), x.square() / 4 + 0.5)):
        mean = (weights * values).sum(0)
        stderr = (weights.square() * (values - mean).square()).sum(0).sqrt()
        assert bool(((mean - truth).abs() < sigmas(8) * stderr).all())
