"""Agreement of q with the posterior: exact values on Gaussians, noise that is priced right, modes that are missed."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, Gates, Target, hmc, importance, quadrature
from elbowroom.inference.diagnostics.agreement import Agreement, Limits, agreement
from elbowroom.inference.diagnostics.marginals import GRID_LEVELS
from elbowroom.reference import problem

SD = math.sqrt(0.5)
Q = dist.Normal(0.0, 1.0)


def normal_target(x: Tensor, shift: float = 0.0, scale: float = 1.0) -> Target:
    """z ~ N(0, I), x | z ~ N(z, I): the posterior is N(x/2, ½ I); the guide is off by `shift` sds and `scale`."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros_like(x), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 + shift * SD, scale * SD).to_event(1))

    return Target(model, guide, x)


def as_draws(target: Target, z: Tensor, gates: Gates | None = None) -> Draws:
    """Posterior draws `[C, T, B, N]` made by hand, of a target with one site."""
    flat = z.flatten(0, 1)
    lp = sum(target.log_joint({"z": flat if target.latents["z"] else flat.squeeze(-1)}))
    stats = {"lp": lp.reshape(z.shape[:3]), "diverging": torch.zeros(z.shape[:3], dtype=torch.bool)}
    info = {"method": "hmc", "seconds": 0.0, "num_evaluations": torch.zeros(z.shape[2], dtype=torch.long)}
    value = z if target.latents["z"] else z.squeeze(-1)
    return Draws({"z": value}, target.latent_names, stats, info, gates or Gates(rhat=1.1, ess_per_chain=10))


def normal_draws(target: Target, x: Tensor, num_draws: int, stickiness: float = 0.0) -> Draws:
    """Four stationary autoregressive chains of the posterior of `normal_target`."""
    noise = torch.randn(4, num_draws, *x.shape)
    z = noise.clone()
    for t in range(1, num_draws):
        z[:, t] = stickiness * z[:, t - 1] + math.sqrt(1 - stickiness**2) * noise[:, t]
    return as_draws(target, x / 2 + SD * z)


def outside(central: float, shift: float, scale: float) -> float:
    """P(posterior outside the central interval of N(shift, scale²)) with the posterior N(0, 1)."""
    edge = scale * Q.icdf(torch.tensor((1 + central) / 2))
    return float(Q.cdf(shift - edge) + 1 - Q.cdf(shift + edge))


def test_known_shift_and_scale_are_found_within_their_errors() -> None:
    shift, scale = 0.3, 0.8
    x = torch.randn(40, 2)
    target = normal_target(x, shift, scale)
    found = agreement(target, normal_draws(target, x, 500), num_samples=2000, log_p=quadrature(target))
    kl_q_p = 2 * (-math.log(scale) + (scale**2 + shift**2 - 1) / 2)
    kl_p_q = 2 * (math.log(scale) + (1 + shift**2) / (2 * scale**2) - 0.5)
    pairs = [
        (found.mean_error, found.mean_error_stderr, shift),
        (found.log_sd_ratio, found.log_sd_ratio_stderr, math.log(scale)),
        (found.tail_mass, found.tail_mass_stderr, outside(0.9, shift, scale)),
        (found.far_tail_mass, found.far_tail_mass_stderr, outside(0.99, shift, scale)),
        (found.kl_q_p.value, found.kl_q_p.stderr, kl_q_p),
        (found.kl_p_q.value, found.kl_p_q.stderr, kl_p_q),
    ]
    for value, stderr, truth in pairs:
        score = (value - truth) / stderr
        assert abs(float(score.mean())) < 4 / math.sqrt(len(score)) + 0.15  # within one datum, errors share draws
        assert 0.75 < float(score.std()) < 1.3
    # W₁ between N(0.3, 0.8²) and N(0, 1) by their quantile functions, plus what noise adds.
    w = float(((shift + scale * Q.icdf(GRID_LEVELS)) - Q.icdf(GRID_LEVELS)).abs().mean())
    assert float((found.wasserstein - w).abs().mean()) < 2 * float(found.wasserstein_floor.mean())
    assert float(found.mode_distance.mean()) == pytest.approx(shift, abs=0.05)
    assert bool((found.missed_mass == 0).all())


@pytest.mark.parametrize("stickiness", [pytest.param(0.0, marks=pytest.mark.slow), 0.8])
def test_an_exact_guide_fails_nothing_and_every_error_is_priced_right(stickiness: float) -> None:
    x = torch.randn(150, 2)
    target = normal_target(x)
    found = agreement(target, normal_draws(target, x, 600, stickiness), num_samples=1500)
    assert all(bool(ok.all()) for ok in found.uses.values()), found.why_not
    assert all(not reason for reasons in found.why_not.values() for reason in reasons)
    scores = {
        "mean": found.mean_error / found.mean_error_stderr,
        "sd": found.log_sd_ratio / found.log_sd_ratio_stderr,
        "tail": (found.tail_mass - 0.1) / found.tail_mass_stderr,
        "c2st": (found.c2st - 0.5) / found.c2st_stderr,
    }
    for name, score in scores.items():
        assert abs(float(score.mean())) < 4 / math.sqrt(score.numel()) + 0.12, name
        assert 0.8 < float(score.std()) < 1.2, (name, float(score.std()))
    ratio = float(found.correlation_error.mean() / found.correlation_error_floor.mean())
    assert 0.8 < ratio < 1.2
    # Quantiles forget faster than the mean, whose sample size the floor takes.
    assert 0.6 < float(found.wasserstein.mean() / found.wasserstein_floor.mean()) < 1.2
    assert float(found.kl_q_p.value.abs().max()) < 1e-12
    assert float(found.kl_p_q.value.abs().max()) < 1e-12
    assert bool((found.pareto_k == -torch.inf).all())


@pytest.mark.parametrize("rho", ["0.9", pytest.param("0.3", marks=pytest.mark.slow)])
def test_a_correlation_that_the_family_lacks(rho: str) -> None:
    target = problem(f"correlated-gaussian-{rho}").target()
    found = agreement(target, hmc(target, num_draws=500))
    assert bool(((found.correlation_error - float(rho)).abs() < 4 * found.correlation_error_floor).all())


def test_the_floor_of_a_correlation_counts_its_size() -> None:
    tril = torch.tensor([[1.0, 0.0], [0.9, math.sqrt(1 - 0.81)]])

    def program(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(torch.zeros(2), scale_tril=tril))

    def joint(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(torch.zeros(2), scale_tril=tril))
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    target = Target(joint, program, torch.zeros(100))
    draws = as_draws(target, torch.randn(4, 200, 100, 2) @ tril.T)
    found = agreement(target, draws, num_samples=500)
    ratio = float(found.correlation_error.mean() / found.correlation_error_floor.mean())
    assert ratio == pytest.approx(1.0, abs=4 * 0.76 / math.sqrt(100))  # sd/mean of |Z| is 0.76


@pytest.mark.parametrize(("name", "kept"), [("modes-large", 1), pytest.param("modes-small", 0, marks=pytest.mark.slow)])
def test_a_guide_on_one_of_two_modes_misses_the_others_weight(name: str, kept: int) -> None:
    reference = problem(name)
    target = reference.target()
    found = agreement(target, hmc(target, num_draws=500))
    (x,) = reference.args
    log_weight = torch.tensor([0.1, 0.9]).log() + torch.stack(
        [dist.Normal(c, math.sqrt(36.25)).log_prob(x).sum(-1) for c in (-4.0, 4.0)], -1
    )
    missed = log_weight.softmax(1)[:, 1 - kept]
    assert bool(((found.missed_mass - missed).abs() < 4 * found.missed_mass_stderr).all())
    assert bool((found.missed_mass_stderr < 0.03).all())
    assert not found.uses["tails"].any()
    assert "misses modes" in found.why_not["model comparison"][1 if kept else 0]
    assert bool((found.pareto_k < 0.5).all())  # the weights alone see nothing


@pytest.mark.parametrize(("dim", "shift", "scale"), [(1, 0.0, 0.3), (5, 4.0, 0.5), (30, 0.0, 2.0), (30, 0.0, 0.3)])
def test_a_narrow_a_distant_or_a_wide_guide_misses_no_mode(dim: int, shift: float, scale: float) -> None:
    x = torch.randn(6, dim)
    target = normal_target(x, shift, scale)
    found = agreement(target, normal_draws(target, x, 250), num_samples=400)
    assert bool((found.missed_mass == 0).all())
    truth = outside(0.9, shift, scale)
    assert float((found.tail_mass - truth).abs().max()) < 0.1
    assert not found.uses["intervals"].any()


def mixture_target(weights: Tensor, centres: Tensor, of_guide: Tensor, spread: float, dim: int) -> Target:
    """The posterior is the prior, a mixture in `dim` dimensions; the guide another one with the same components."""
    means = centres.unsqueeze(1) * torch.eye(1, dim)  # apart along the first latent

    def program(mixing: Tensor, name: str) -> Callable[[Tensor], None]:
        def run(x: Tensor) -> None:
            parts = dist.Normal(means, spread).to_event(1)
            with pyro.plate("data", len(x)):
                which = dist.Categorical(mixing.expand(len(x), -1))
                z = pyro.sample("z", dist.MixtureSameFamily(which, parts))
                if name == "model":
                    pyro.sample("x", dist.Normal(0 * z[..., 0], 1.0), obs=x)

        return run

    return Target(program(weights, "model"), program(of_guide, "guide"), torch.zeros(3))


@pytest.mark.parametrize("dim", [1, 2, 40])
def test_modes_on_both_sides_and_in_many_dimensions_are_missed(dim: int) -> None:
    weights, centres = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([-6.0, 0.0, 7.0])
    target = mixture_target(weights, centres, torch.tensor([1e-9, 1.0, 1e-9]), 1.0, dim)
    which = torch.multinomial(weights, 4 * 500 * 3, replacement=True)
    z = torch.randn(4 * 500 * 3, dim)
    z[:, 0] += centres[which]
    found = agreement(target, as_draws(target, z.reshape(4, 500, 3, dim)), num_samples=500)
    assert bool(((found.missed_mass - 0.5).abs() < 4 * found.missed_mass_stderr).all()), found.missed_mass
    assert bool((found.missed_mass_stderr < 0.04).all())


def test_a_guide_that_is_wide_enough_to_cover_narrow_modes_misses_none() -> None:
    centres, x = torch.tensor([-6.0, 5.0, 6.5]), torch.zeros(6)

    def model(x: Tensor) -> None:
        which = dist.Categorical(torch.tensor([0.05, 0.9, 0.05]))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.MixtureSameFamily(which, dist.Normal(centres, 0.05)))
            pyro.sample("x", dist.Normal(0 * z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0 * x, 6.0))

    target = Target(model, guide, x)
    which = torch.multinomial(torch.tensor([0.05, 0.9, 0.05]), 4 * 250 * 6, replacement=True)
    z = (centres[which] + 0.05 * torch.randn(len(which))).reshape(4, 250, 6, 1)
    found = agreement(target, as_draws(target, z), num_samples=1000, log_p=quadrature(target))
    assert bool((found.missed_mass == 0).all()), found.missed_mass


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_a_guide_that_is_too_narrow_on_both_of_two_modes_misses_none(weight: float) -> None:
    weights, centres, x = torch.tensor([weight, 1 - weight]), torch.tensor([-5.0, 5.0]), torch.zeros(8)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.MixtureSameFamily(dist.Categorical(weights), dist.Normal(centres, 1.0)))
            pyro.sample("x", dist.Normal(0 * z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        which = dist.Categorical(weights.expand(len(x), -1))
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MixtureSameFamily(which, dist.Normal(centres, 0.3)))

    target = Target(model, guide, x)
    z = centres[torch.multinomial(weights, 4 * 250 * 8, replacement=True)] + torch.randn(4 * 250 * 8)
    found = agreement(target, as_draws(target, z.reshape(4, 250, 8, 1)), num_samples=1000)
    assert bool((found.missed_mass == 0).all()), found.missed_mass


@pytest.mark.slow
def test_a_guide_with_wrong_weights_on_both_modes_misses_none() -> None:
    target = problem("modes").target()
    found = agreement(target, hmc(target, num_draws=500))
    assert bool((found.missed_mass == 0).all())
    assert not found.uses["means"].any()
    assert "posterior sds" in found.why_not["means"][0]


@pytest.mark.slow
def test_quadrature_takes_the_place_of_chains_where_it_is_given() -> None:
    reference = problem("banana-mean-field")
    target = reference.target()
    draws = hmc(target, num_draws=500)
    exact = quadrature(target, quantiles=GRID_LEVELS.tolist())
    sampled, found = agreement(target, draws), agreement(target, draws, exact=exact)
    assert (sampled.reference, found.reference) == ("hmc", "quadrature")
    assert bool((found.mean_error_stderr < sampled.mean_error_stderr).all())
    combined = (sampled.mean_error_stderr.square() + found.mean_error_stderr.square()).sqrt()
    assert bool(((found.mean_error - sampled.mean_error).abs() < 4 * combined).all())
    assert torch.equal(found.kl_p_q.value, exact.info["kl_p_q"])
    assert found.kl_q_p.bound == "exact"
    torch.testing.assert_close(found.tail_mass, sampled.tail_mass)


@pytest.mark.slow
def test_divergences_by_bounds_and_draws_agree_with_quadrature() -> None:
    """Given log p(x). (On a banana the mean of log p/q under p rests on tails that 2000 draws seldom reach.)"""
    target = problem("correlated-gaussian-0.6").target()
    exact = quadrature(target)
    bounded = agreement(target, hmc(target, num_draws=500), log_p=exact)
    score = (bounded.kl_p_q.value - exact.info["kl_p_q"]) / bounded.kl_p_q.stderr
    assert bool((score.abs() < 4).all())


def test_draws_that_failed_their_gates_are_flagged_unless_quadrature_vouches_for_them() -> None:
    x = torch.randn(3, 1)
    target = normal_target(x)
    strict = Gates(rhat=0.5)
    z = x / 2 + SD * torch.randn(4, 500, 3, 1)
    z[:, :, 2] += 2.0
    draws = as_draws(target, z, strict)
    assert all(agreement(target, draws).flags)
    flags = agreement(target, draws, exact=quadrature(target)).flags
    assert flags[:2] == ("", "")
    assert "off quadrature" in flags[2]
    assert math.isnan(agreement(target, draws).share("means"))


def rows_of(found: Agreement) -> dict[str, Tensor]:
    tensors = {k: v for k, v in vars(found).items() if isinstance(v, Tensor)}
    return tensors | {"kl_q_p": found.kl_q_p.value, "kl_p_q": found.kl_p_q.value}


def test_constrained_latents_are_compared_in_their_own_units() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            r = pyro.sample("z", dist.Gamma(3.0, 1.0))
            pyro.sample("x", dist.Poisson(r), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Gamma(3.0 + x, 2.0))

    x = torch.tensor([0.0, 2.0, 5.0])
    target = Target(model, guide, x)
    found = agreement(target, hmc(target, num_draws=300))
    assert all(bool(ok.all()) for ok in found.uses.values()), found.why_not
    assert float(found.kl_p_q.value.abs().max()) < 1e-10
    # In u = log z the mode is at z = (3 + x)/2, the mean of z.
    assert float(found.mode_distance.max()) < 0.1


def test_a_guide_whose_density_is_unknown_is_compared_by_its_draws() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros_like(x), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            e = pyro.sample("e", dist.Normal(torch.zeros_like(x), 1.0).to_event(1), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Delta(x / 2 + SD * e, event_dim=1))

    x = torch.randn(3, 2)
    target = Target(model, guide, x)
    draws = normal_draws(normal_target(x), x, 300)
    found = agreement(target, draws, num_samples=300)
    assert bool(found.missed_mass.isnan().all())
    assert all("unknown" in flag for flag in found.kl_p_q.flags)
    assert bool(found.uses["means"].all())


def test_limits_can_be_set() -> None:
    x = torch.randn(4, 1)
    target = normal_target(x, 0.4)
    draws = normal_draws(target, x, 1000)
    assert not agreement(target, draws).uses["means"].any()
    assert agreement(target, draws, limits=Limits(mean_error=0.6)).uses["means"].all()
    found = agreement(target, draws, log_p=importance(normal_target(x), num_samples=50))
    assert bool((found.kl_q_p.stderr > 0).all())


def test_what_does_not_belong_together_is_refused() -> None:
    x = torch.randn(4, 1)
    target = normal_target(x)
    draws = normal_draws(target, x, 50)
    with pytest.raises(ValueError, match="draws has 2 data, the target has 4"):
        agreement(target, draws.select([0, 1]))
    with pytest.raises(ValueError, match="num_samples must be at least 50"):
        agreement(target, draws, num_samples=20)
    with pytest.raises(ValueError, match="exact must be the result of quadrature"):
        agreement(target, draws, exact=importance(target, num_samples=50))
    with pytest.raises(ValueError, match="draws are of the latents"):
        agreement(normal_target(torch.randn(4, 2)), draws)
