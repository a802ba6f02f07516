"""Importance sampling from mixtures fitted to posterior draws: both bounds, and what they cannot see."""

import math
from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, Target, adapted_importance, hmc
from elbowroom.reference import problem
from toys.failure_budget import sigmas
from toys.programs import Ppca, data, normal_evidence, normal_guide, normal_model


def packed(target: Target, z: dict[str, Tensor], num_chains: int = 4) -> Draws:
    """Independent draws `[S, B, ...]` in the place of a sampler's."""
    chains = {name: value.unflatten(0, (num_chains, -1)) for name, value in z.items()}
    return Draws(chains, target.latent_names, {"diverging": torch.zeros(next(iter(chains.values())).shape[:3])}, {})


def conjugate(num_data: int = 5, size: int = 400) -> tuple[Target, Draws, Tensor]:
    x = data(num_data) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(0.8), x)
    return target, packed(target, {"z": x / 2 + math.sqrt(0.5) * data(size, num_data, seed=3)}), normal_evidence(x)


def test_errors_are_of_the_size_they_say() -> None:
    """Standardised errors of 300 data have mean zero and variance one, on both sides."""
    target, draws, truth = conjugate(300)
    found = adapted_importance(target, draws, num_samples=1000)
    assert (found.lower.bound, found.upper.bound) == ("lower", "upper")
    for side in found:
        score = (side.value - truth) / side.stderr
        assert abs(score.mean()) < sigmas(4) / math.sqrt(300)
        assert abs(score.square().mean() - 1) < sigmas(4) * math.sqrt(2 / 300)
        assert sum(map(bool, side.flags)) < 60 and side.info["delta_stderr"].max() < 0.05  # k̂ is noisy
    assert bool((found.upper.value >= found.lower.value).all())


def test_bounds_in_expectation_from_few_weights() -> None:
    """Where Jensen's bias is large: the mean lower value is below and the mean upper one above the truth."""
    target, draws, truth = conjugate(2000, 200)
    centre = draws.z["z"].mean((0, 1))
    wide = replace(draws, z={"z": centre + 2.0 * (draws.z["z"] - centre)})
    found = adapted_importance(target, wide, num_samples=16)
    low, high = found.lower.value - truth, found.upper.value - truth
    assert low.mean() < -4 * low.std() / math.sqrt(2000)
    assert high.mean() > 4 * high.std() / math.sqrt(2000)
    assert low.mean() > -0.3 and high.mean() < 0.5


def test_several_latents_on_both_sides() -> None:
    made = Ppca.make(30, 6, 0.5)
    x = made.sample(10)
    target = Target(made.model, made.guide, x)
    found = adapted_importance(target, packed(target, target.propose(1000, seed=5)[0]))
    for side in found:
        score = (side.value - made.evidence(x)) / side.stderr
        assert score.abs().max() < sigmas(20) and side.stderr.max() < 0.05


def test_positive_latents() -> None:
    """Gamma–Poisson: the log-Jacobian counts."""
    x = torch.tensor([0.0, 1.0, 3.0, 20.0])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(2.0, 0.5))
            pyro.sample("x", dist.Poisson(z), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.LogNormal(((x + 1) / 1.5).log(), 0.6))

    target = Target(model, guide, x)
    z = {"z": torch.distributions.Gamma(2 + x, 1.5).sample((1000,))}
    truth = torch.distributions.NegativeBinomial(2.0, probs=torch.tensor(1 / 1.5)).log_prob(x)
    for side in adapted_importance(target, packed(target, z)):
        assert ((side.value - truth) / side.stderr).abs().max() < sigmas(8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["modes-large", "modes-small"])
def test_chains_find_the_mode_that_the_guide_misses(name: str) -> None:
    reference = problem(name)
    target = reference.target()
    found = adapted_importance(target, hmc(target, num_chains=4, num_warmup=100, num_draws=250))
    for side in found:
        assert ((side.value - reference.log_evidence) / side.stderr).abs().max() < sigmas(16)


def test_draws_of_one_mode_make_both_sides_low() -> None:
    """What the documentation warns of: draws that miss a mode miss it on both sides."""
    reference = problem("modes-large")
    target = reference.target()
    found = adapted_importance(target, packed(target, target.propose(1000)[0]))
    for side in found:
        error = side.value - reference.log_evidence
        assert bool((error < -0.02).all()) and bool((error > -0.5).all())


@pytest.mark.parametrize(("limit", "flagged"), [(4.5, False), (0.5, True)])
def test_programs_that_are_nan_where_the_draws_are(limit: float, flagged: bool) -> None:
    """Far out it is no matter; among the draws a flag says so, for that datum alone."""
    x = torch.tensor([0.0, 1.0])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)
            pyro.factor("broken", torch.where((z > limit) & (x == 0), torch.nan, 0.0))

    target = Target(model, normal_guide(0.5), x)
    z = {"z": x / 2 + math.sqrt(0.5) * data(400, 2, seed=3)}
    found = adapted_importance(target, packed(target, z))
    for side in found:
        assert ("the programs return NaN at" in side.flags[0]) == flagged
        assert "NaN" not in side.flags[1]
    if flagged:
        assert abs(found.lower.value[0] - normal_evidence(x)[0]) > 0.1
    assert abs(found.lower.value[1] - normal_evidence(x)[1]) < sigmas() * found.lower.stderr[1]


def test_bad_arguments() -> None:
    target, draws, _ = conjugate(3)
    for size, least in ((1, "at least 2 \\(two halves\\)"), (0, "an integer from 1"), (-4, "an integer from 1")):
        with pytest.raises(ValueError, match=rf"num_samples must be {least}.*got {size}"):
            adapted_importance(target, draws, num_samples=size)
    with pytest.raises(ValueError, match="draws has 2 data, the target has 3: select the same data for both"):
        adapted_importance(target, draws.select([0, 1]))
