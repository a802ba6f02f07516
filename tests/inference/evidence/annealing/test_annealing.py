"""Annealed importance sampling: exact where it can be, unbiased always, the same however it is cut."""

import math
from dataclasses import replace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.inference import Estimate, Target, importance, quadrature, weights
from elbowroom.inference.estimate import NORMAL_95
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced
from elbowroom.inference.evidence.annealing import schedule
from elbowroom.inference.evidence.annealing.ais import anneal
from elbowroom.inference.evidence.annealing.randomness import FORWARD, PARTICLES, PILOT, REVERSE
from elbowroom.inference.evidence.annealing.results import few
from elbowroom.inference.evidence.annealing.tuning import tune
from elbowroom.inference.evidence.annealing.walk import conditional_ess, log_weights, thermodynamic
from elbowroom.inference.mcmc.path import Ends, Path
from elbowroom.inference.mcmc.transition import Kernel, Move
from toys.failure_budget import sigmas
from toys.programs import TRIPLES, Ppca, conjugate, data, normal_evidence, normal_guide, normal_model

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


# Exact answers: the guide is the posterior, so the path stands still -------------------------------------------------


@pytest.mark.parametrize(
    ("schedule_name", "num_steps"), [("adaptive", 1), ("sigmoid", 2), ("linear", 5), ("adaptive", 20)]
)
def test_exact_guide_makes_every_weight_the_evidence(schedule_name: str, num_steps: int) -> None:
    problem = Ppca.make(6, 2, 0.7)
    x = problem.sample(4)
    target = Target(problem.model, problem.guide, x)
    estimate = anneal(target, num_steps=num_steps, schedule=schedule_name, search=False)
    truth = problem.evidence(x)
    assert (estimate.info["log_weights"] - truth).abs().max() < 1e-10
    torch.testing.assert_close(estimate.value, truth, **TIGHT)
    torch.testing.assert_close(estimate.info["thermodynamic"].value, truth, **TIGHT)
    assert bool(estimate.info["constant_weights"].all()) and bool((estimate.stderr == 0).all())
    assert set(estimate.flags) == {""} and estimate.bound == "lower"


def test_exact_guide_in_float32() -> None:
    torch.set_default_dtype(torch.float32)
    x = data(6).float()
    estimate = anneal(Target(normal_model, normal_guide(1.0), x), num_steps=10)
    assert bool(estimate.info["constant_weights"].all())
    torch.testing.assert_close(estimate.value, normal_evidence(x.double()), rtol=1e-5, atol=1e-5)


def test_one_step_is_importance_sampling() -> None:
    """Without a transition log w is log p(x, z) − log q(z), so the value has importance sampling's law."""
    x = data(6) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(0.8), x)
    estimate = anneal(target, num_steps=1, num_chains=4000)
    z, log_q = target.propose(4000, start=FORWARD)
    torch.testing.assert_close(estimate.info["log_weights"], sum(target.log_joint(z)) - log_q, **TIGHT)


# Unbiased for any number of temperatures -----------------------------------------------------------------------------


def relative_evidence(start: str, num_steps: int) -> tuple[float, float]:
    """Mean of w / p(x) over 8,000 repeats of one datum, each tuned on two pilot chains of its own; standard error."""
    x = torch.full((8_000,), 4.0)
    target = Target(normal_model, normal_guide(0.7), x)
    estimate = anneal(
        target, num_steps=num_steps, num_chains=2, num_pilot=2, start=start, memory_bytes=2**32, search=False
    )
    relative = (estimate.info["log_weights"] - normal_evidence(x)).exp().mean(0)
    return relative.mean().item(), (relative.std() / math.sqrt(len(relative))).item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "num_steps"),
    [("prior", 2), *(pytest.param(*c, marks=pytest.mark.slow) for c in [("guide", 2), ("guide", 12), ("prior", 12)])],
)
def test_weights_are_unbiased_although_kernels_were_adapted(start: str, num_steps: int) -> None:
    """E[w] = p(x), because kernels and temperatures were frozen before the chains began."""
    mean, error = relative_evidence(start, num_steps)
    assert abs(mean - 1) < sigmas(4) * error
    assert error < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("start", ["guide", "prior"])
def test_adapting_on_the_same_chains_would_be_seen(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: kernels scaled by the spread of the very chains they move bias the weights."""
    frozen = Path.step

    def adapting(path: Path, ends: Ends, beta: Tensor, kernel: Kernel, *noise: Tensor) -> tuple[Ends, Move]:
        return frozen(path, ends, beta, replace(kernel, scale=ends.u.std(0)), *noise)

    monkeypatch.setattr(Path, "step", adapting)
    mean, error = relative_evidence(start, 12)
    assert abs(mean - 1) > 8 * error


def test_roles_read_different_random_numbers() -> None:
    target = conjugate().target()
    path = Path(Coordinates.of(target), "guide")
    first = [path.draw(2, 0, role).u for role in (0, FORWARD, PILOT, REVERSE, PARTICLES)]
    for i, one in enumerate(first):
        for other in first[:i]:
            assert not bool((one == other).any())


# Right in law --------------------------------------------------------------------------------------------------------


def check_law(estimate: Estimate, truth: Tensor, error: Tensor | float = 0.0) -> None:
    z = (estimate.value - truth) / (estimate.stderr.square() + torch.as_tensor(error).square()).sqrt()
    assert z.abs().max() < sigmas(len(z)), z
    assert estimate.stderr.max() < 0.25, "the test would see nothing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "schedule_name"),
    [("guide", "sigmoid"), ("prior", "adaptive"), pytest.param("prior", "linear", marks=pytest.mark.slow)],
)
def test_ppca_with_a_bad_guide(start: str, schedule_name: str) -> None:
    problem = Ppca.make(20, 4, 0.7)
    x = problem.sample(8)

    def guide(x: Tensor) -> None:
        q = problem.posterior(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(q.mean + 0.3, 0.4).to_event(1))

    target = Target(problem.model, guide, x)
    num_steps = 60 if start == "guide" else 150 if schedule_name == "adaptive" else 400
    estimate = anneal(target, num_steps=num_steps, num_chains=256, start=start, schedule=schedule_name)
    check_law(estimate, problem.evidence(x))
    integral = estimate.info["thermodynamic"]
    z = (integral.value - problem.evidence(x)) / integral.stderr
    assert z.abs().max() < sigmas(len(z))
    if schedule_name == "adaptive":
        assert bool((integral.stderr < 0.25).all())


def test_correlated_posterior() -> None:
    """A mean-field guide of a posterior with correlation 0.9: the approximation gap is annealed away."""
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]])
    x = data(6, 2)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.MultivariateNormal(torch.zeros(2), covariance))
            pyro.sample("x", dist.Normal(z, 2.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 5, 0.4).to_event(1))

    truth = torch.distributions.MultivariateNormal(torch.zeros(2), covariance + 4 * torch.eye(2)).log_prob(x)
    estimate = anneal(Target(model, guide, x), num_steps=40, num_chains=200)
    check_law(estimate, truth)
    assert bool((importance(Target(model, guide, x), num_samples=200).info["elbo"] < truth - 0.2).all())


@pytest.mark.slow
def test_positive_latents() -> None:
    """Gamma–Poisson: z ~ Gamma(a, b), x ~ Poisson(z); p(x) is negative binomial."""
    x = torch.tensor([0.0, 1.0, 3.0, 7.0, 20.0])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(2.0, 0.5))
            pyro.sample("x", dist.Poisson(z), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.LogNormal(((x + 1) / 1.5).log(), 0.6))

    truth = torch.distributions.NegativeBinomial(2.0, probs=torch.tensor(1 / 1.5)).log_prob(x)
    for start in ("guide", "prior"):
        check_law(anneal(Target(model, guide, x), num_steps=40, num_chains=300, start=start), truth)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("convolution", marks=pytest.mark.slow), "regression"])
def test_other_programs(name: str) -> None:
    """A small VAE against quadrature, and programs of other shapes against plenty of importance samples."""
    target = TRIPLES[name]().target()
    if name == "convolution":
        reference = quadrature(target)
    else:
        reference = importance(target, num_samples=200_000)
        assert not any(reference.flags)
    check_law(anneal(target, num_steps=40, num_chains=200), reference.value, reference.stderr)


# Pieces --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_steps", [1, 2, 7, 100])
def test_schedules_rise_from_zero_to_one(num_steps: int) -> None:
    grid = schedule.sigmoid(16)
    adapted = schedule.equal_length(grid, data(17, 3).square() * torch.tensor([1.0, 1e6, 0.0]), num_steps)
    for betas in (schedule.linear(num_steps), schedule.sigmoid(num_steps), *adapted.T):
        assert len(betas) == num_steps + 1 and betas[0] == 0 and betas[-1] == 1
        assert bool((betas.diff() > 0).all())


def test_adapted_schedule_is_even_in_thermodynamic_length() -> None:
    """V = β: ∫ √V ∝ β^1.5, of which a fifth stays as the grid is: here linear."""
    grid = torch.linspace(0, 1, 1001)
    betas = schedule.equal_length(grid, grid.unsqueeze(1).expand(-1, 2), 10)
    length = 0.8 * betas**1.5 + 0.2 * betas
    torch.testing.assert_close(length, schedule.linear(10).unsqueeze(1).expand(-1, 2), rtol=0, atol=1e-4)


def test_conditional_ess_is_even_along_an_adapted_schedule() -> None:
    problem = Ppca.make(40, 2, 0.5)
    x = problem.sample(4)
    target = Target(problem.model, problem.guide, x)
    least = {}
    for name in ("adaptive", "linear"):
        least[name] = anneal(target, num_steps=40, num_chains=64, start="prior", schedule=name).info["conditional_ess"]
    assert bool((least["adaptive"].amin(0) > 2 * least["linear"].amin(0)).all())


def test_reductions_of_a_known_path() -> None:
    """Constant differences: every reduction is known."""
    betas = schedule.sigmoid(5).unsqueeze(1).expand(-1, 2)
    seen = torch.tensor([-3.0, 4.0]).expand(5, 6, 2)
    torch.testing.assert_close(log_weights(betas, seen), seen[0])
    torch.testing.assert_close(thermodynamic(betas, seen).value, seen[0, 0])
    torch.testing.assert_close(conditional_ess(betas, seen), torch.ones(5, 2))
    # One step from weights 1 and 3 times as large: (Σ W v)² / Σ W v² with W = ½.
    two = torch.tensor([0.0, math.log(3.0)]).reshape(1, 2, 1)
    step = torch.tensor([[0.0], [1.0]])
    torch.testing.assert_close(conditional_ess(step, two), torch.tensor([[4.0 / 5.0]]))


def test_pilot_chains_find_step_sizes_and_scales() -> None:
    """Posterior scales 0.1 and 1 are found within a factor of two, and transitions are accepted as often as wanted."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, torch.tensor([0.1, 100.0])).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x), 2), 1.0).to_event(1))

    path = Path(Coordinates.of(Target(model, guide, data(5, 2))), "prior")
    tuning = tune(path, 30, 8, 3, 0)
    scale = tuning.log_scale[-1].exp() / torch.tensor([0.0995, 1.0])
    assert bool((scale < 2).all()) and bool((scale > 0.5).all())
    assert tuning.num_evaluations == 256 + 8 * (1 + 3 * (30 + 2 * 8))


@pytest.mark.slow
def test_no_more_points_are_evaluated_at_once_than_the_budget_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where kernels are tuned, for which the start is drawn from 256 times whatever the number of chains."""
    target, size = Target(normal_model, normal_guide(0.8), data(40)), {"num_steps": 4, "num_chains": 4, "num_pilot": 4}
    seen: list[int] = []
    evaluate = Traced.__call__

    def watching(self: Traced, u: Tensor) -> Any:
        seen.append(u.shape[:2].numel())
        return evaluate(self, u)

    monkeypatch.setattr(Traced, "__call__", watching)
    whole = anneal(target, search=False, **size)
    assert max(seen) == 256 * 40
    seen.clear()
    pieces = anneal(target, search=False, memory_bytes=2**17, **size)
    assert max(seen) < 256 * 40 / 4
    torch.testing.assert_close(whole.value, pieces.value)


# Flags and bad input -------------------------------------------------------------------------------------------------


def test_nan_stays_with_its_datum() -> None:
    x = data(5)
    bad = x[2].item()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, torch.where(x == bad, torch.nan, 1.0)), obs=x)

    estimate = anneal(Target(model, normal_guide(0.8), x), num_steps=10)
    clean = anneal(Target(normal_model, normal_guide(0.8), x), num_steps=10)
    for b in range(5):
        assert bool(estimate.value[b].isnan()) == (b == 2)
        assert ("NaN" in estimate.flags[b]) == (b == 2)
    others = [0, 1, 3, 4]
    torch.testing.assert_close(estimate.value[others], clean.value[others], **TIGHT)


def test_nan_guide_of_a_positive_latent_is_no_zero_weight() -> None:
    x = data(3)
    bad = x[2].item()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.HalfNormal(1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.LogNormal(torch.where(x == bad, torch.nan, 0.0), 0.5))

    estimate = anneal(Target(model, guide, x), num_steps=5)
    assert "NaN" in estimate.flags[2] and bool(estimate.value[2].isnan()) and bool(estimate.value[:2].isfinite().all())


def test_nothing_but_zero_weights_is_flagged() -> None:
    """Draws of the guide outside the prior's support weigh nothing; the rest of them count."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.HalfNormal(1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.where(x > 2, -50.0, x / 2), 1.0))

    x = torch.tensor([3.0, 1.0, -0.5])
    estimate = anneal(Target(model, guide, x), num_steps=10, num_chains=400)
    assert "every weight is zero" in estimate.flags[0] and estimate.value[0] == -torch.inf
    outside = estimate.info["log_weights"].isneginf().double().mean(0)[1:]
    assert bool((outside > 0.2).all()) and bool((outside < 0.8).all())
    truth = math.log(2) + normal_evidence(x) + torch.special.log_ndtr(x / math.sqrt(2.0))
    assert ((estimate.value - truth) / estimate.stderr)[1:].abs().max() < sigmas(2)


@pytest.mark.slow
def test_few_effective_chains_are_flagged() -> None:
    """One step from a prior that is far from the posterior."""
    problem = Ppca.make(100, 5, 0.1)
    estimate = anneal(Target(problem.model, problem.guide, problem.sample(3)), num_steps=1, start="prior")
    assert all("effective of 16 chains" in flag and "too low" in flag for flag in estimate.flags)
    many = anneal(Target(problem.model, problem.guide, problem.sample(3)), num_steps=200, start="prior")
    assert bool((many.info["spread"] < estimate.info["spread"] / 50).all())


def test_one_chain_does_not_know_its_error() -> None:
    estimate = anneal(conjugate().target(), num_steps=5, num_chains=1)
    assert bool((estimate.stderr == torch.inf).all()) and all("num_chains" in flag for flag in estimate.flags)


def test_guide_without_a_density_is_sent_to_the_prior() -> None:
    x = data(3)

    class Implicit(dist.Normal):
        def log_prob(self, value: Tensor) -> Tensor:
            raise NotImplementedError("no density")

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    target = Target(normal_model, guide, x)

    def unknown(z: Any) -> Tensor:
        raise NotImplementedError("no density")

    target.log_guide = unknown  # type: ignore[method-assign]
    target.select = lambda index: target  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="Use start='prior'"):
        anneal(target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps must be an integer from 1 .* got 0"),
        ({"num_chains": 0}, "num_chains must be an integer from 1 .* got 0"),
        ({"num_leapfrog": 0}, "num_leapfrog must be an integer from 1 .* got 0"),
        ({"num_pilot": 1}, "num_pilot must be at least 2, got 1"),
        ({"start": "posterior"}, "start must be one of guide, prior, got 'posterior'"),
        ({"schedule": "geometric"}, "schedule must be one of sigmoid, linear, adaptive, got 'geometric'"),
        ({"memory_bytes": 10}, "memory_bytes=10 is too small"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anneal(conjugate().target(), **options)


def test_discrete_and_absent_latents_are_refused() -> None:
    with pytest.raises(ValueError, match="discrete"):
        anneal(TRIPLES["drawn_discrete"]().target())

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.tensor([0.5, 0.5])))
            pyro.sample("x", dist.Normal(k.double(), 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pass

    with pytest.raises(ValueError, match="no continuous latent"):
        anneal(Target(model, guide, data(3)))


def test_what_is_reported() -> None:
    target = conjugate().target()
    estimate = anneal(target, num_steps=10, num_chains=6, num_pilot=4, num_leapfrog=2, search=False)
    assert estimate.info["log_weights"].shape == (6, 5)
    assert estimate.info["betas"].shape == (11, 5) and estimate.info["acceptance"].shape == (9, 5)
    assert estimate.info["conditional_ess"].shape == (10, 5)
    assert estimate.info["num_evaluations"] == 6 * (1 + 9 * 2) + estimate.info["num_pilot_evaluations"]
    torch.testing.assert_close(estimate.value, weights.log_marginal(estimate.info["log_weights"]))
    torch.testing.assert_close(estimate.info["spread"], estimate.info["log_weights"].std(0))
    assert not estimate.value.requires_grad and estimate.info["seconds"] > 0


@pytest.mark.slow
def test_compiled_densities_give_the_same() -> None:
    target = conjugate(s=0.7).target()
    plain, compiled = (anneal(target, num_steps=10, compile=flag, search=False) for flag in (False, True))
    torch.testing.assert_close(compiled.info["log_weights"], plain.info["log_weights"], **TIGHT)


def test_an_error_from_few_chains_makes_a_95_percent_interval() -> None:
    """16 chains, 400 copies of a datum: the delta method alone covers too rarely."""
    x = data(1, 3).expand(400, 3)
    target = Target(few_model, few_guide, x)
    estimate = anneal(target, num_steps=4, num_chains=16, seed=5, search=False)
    exact = torch.distributions.Normal(0.0, 2.0**0.5).log_prob(x).sum(1)
    inside = (estimate.value - exact).abs() <= NORMAL_95 * estimate.stderr
    assert 0.95 - inside.double().mean() < sigmas() * (0.95 * 0.05 / 400) ** 0.5
    delta = weights.log_marginal_stderr(estimate.info["log_weights"])
    assert ((estimate.value - exact).abs() <= NORMAL_95 * delta).double().mean() < inside.double().mean() - 0.03


def few_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


def few_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2 + 0.1, 0.6).to_event(1))


def test_what_few_chains_make_of_an_error() -> None:
    """Weights that are nearly equal: Student's t of 15 degrees. One large of 16: few effective ones, and skew."""
    almost = 1e-4 * torch.tensor([1.0, -1.0] * 8).unsqueeze(1)
    torch.testing.assert_close(few(almost), torch.tensor([2.131450 / NORMAL_95]), rtol=1e-3, atol=0)
    log_w = torch.tensor([3.0] + [0.0] * 15).unsqueeze(1)
    w = log_w.exp() / log_w.exp().mean()
    t = stats.t.ppf(0.975, weights.ess(log_w).item() - 1)
    gamma = ((w - 1).pow(3).mean() / w.var(correction=0) ** 1.5).item()
    assert few(log_w).item() == pytest.approx(t * (1 + t * gamma / 12) / NORMAL_95)
    assert few(-log_w).item() == pytest.approx(stats.t.ppf(0.975, weights.ess(-log_w).item() - 1) / NORMAL_95)
