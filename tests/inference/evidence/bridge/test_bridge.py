"""Bridge sampling from exact and from sampled posterior draws."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, Target, quadrature
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bridge import proposals
from elbowroom.inference.evidence.bridge.bridge import bridge
from elbowroom.inference.evidence.bridge.fixed_point import optimal_bridge
from toys.failure_budget import sigmas
from toys.programs import TRIPLES, Ppca, data, normal_evidence, normal_guide, normal_model

PROPOSALS = ["mixture", "gaussian", "guide"]
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def packed(target: Target, z: dict[str, Tensor], num_chains: int = 4) -> Draws:
    """Independent draws `[S, B, ...]` in the place of a sampler's."""
    chains = {name: value.unflatten(0, (num_chains, -1)) for name, value in z.items()}
    diverging = torch.zeros(next(iter(chains.values())).shape[:3], dtype=torch.bool)
    return Draws(chains, target.latent_names, {"diverging": diverging}, {})


def exact(x: Tensor, size: int = 2000) -> dict[str, Tensor]:
    """p(z | x) of the conjugate model."""
    return {"z": x / 2 + math.sqrt(0.5) * data(size, len(x), seed=3)}


def test_exact_guide_as_proposal_has_no_error() -> None:
    problem = Ppca.make(64, 5, 0.5)
    x = problem.sample(4)
    target = Target(problem.model, problem.guide, x)
    estimate = bridge(target, packed(target, target.propose(800, seed=5)[0]), proposal="guide")
    torch.testing.assert_close(estimate.value, problem.evidence(x), **TIGHT)
    assert bool((estimate.stderr < 1e-10).all()) and estimate.bound == "none"
    assert bool((estimate.info["num_iterations"] <= 2).all())


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_errors_are_of_the_size_they_say(proposal: str) -> None:
    """Standardised errors of 200 data have variance one: no bias, no over- or understatement."""
    x = data(200) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(0.8), x)
    estimate = bridge(target, packed(target, exact(x, 1000)), proposal=proposal)
    z = (estimate.value - normal_evidence(x)) / estimate.stderr
    assert abs(z.mean()) < sigmas(2) / math.sqrt(200)
    assert abs(z.square().mean() - 1) < sigmas(2) * math.sqrt(2 / 200)
    assert estimate.stderr.max() < 0.05


@pytest.mark.parametrize("proposal", ["mixture", "gaussian"])
def test_ppca(proposal: str) -> None:
    problem = Ppca.make(30, 6, 0.5)
    x = problem.sample(10)
    target = Target(problem.model, problem.guide, x)
    estimate = bridge(target, packed(target, target.propose(2000, seed=5)[0]), proposal=proposal)
    z = (estimate.value - problem.evidence(x)) / estimate.stderr
    assert z.abs().max() < sigmas(10) and estimate.stderr.max() < 0.05


@pytest.mark.parametrize("proposal", PROPOSALS)
def test_positive_latents(proposal: str) -> None:
    """Gamma–Poisson: the posterior is Gamma(a + x, b + 1), p(x) negative binomial."""
    x = torch.tensor([0.0, 1.0, 3.0, 20.0])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(2.0, 0.5))
            pyro.sample("x", dist.Poisson(z), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.LogNormal(((x + 1) / 1.5).log(), 0.6))

    target = Target(model, guide, x)
    z = {"z": torch.distributions.Gamma(2 + x, 1.5).sample((2000,))}
    estimate = bridge(target, packed(target, z), proposal=proposal)
    truth = torch.distributions.NegativeBinomial(2.0, probs=torch.tensor(1 / 1.5)).log_prob(x)
    score = (estimate.value - truth) / estimate.stderr
    assert score.abs().max() < sigmas(4) and estimate.stderr.max() < 0.1


def test_two_modes_and_correlated_draws() -> None:
    """Markov chains of two well separated modes: the mixture holds both, and the error knows of autocorrelation."""
    x = torch.zeros(40)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 3.0))
            pyro.sample("x", dist.Normal(z.abs() - 4, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x)), 4.0))

    target = Target(model, guide, x)
    truth = quadrature(Target(model, guide, x[:1])).value
    # An autoregressive copula: Gaussian marginals in each mode, the sign drawn afresh for each draw.
    grid = torch.linspace(1e-4, 12, 20_001)
    density = (-0.5 * (grid / 3) ** 2 - 0.5 * ((grid - 4) / 0.5) ** 2).exp()
    cumulative = density.cumsum(0) / density.sum()
    noise, walk = data(4, 600, 40, seed=8), [data(4, 40, seed=9)]
    for t in range(600):
        walk.append(0.8 * walk[-1] + 0.6 * noise[:, t])
    size = grid[torch.searchsorted(cumulative, torch.special.ndtr(torch.stack(walk[1:], 1)).contiguous())]
    z = size * data(4, 600, 40, seed=10).sign()
    draws = packed(target, {"z": z.flatten(0, 1)})
    found = {proposal: bridge(target, draws, proposal=proposal) for proposal in PROPOSALS}
    for estimate in found.values():
        score = (estimate.value - truth) / estimate.stderr
        assert score.abs().max() < sigmas(3 * 40)
        assert abs(score.square().mean() - 1) < sigmas(3) * math.sqrt(2 / 40)
    assert found["gaussian"].stderr.mean() > 1.5 * found["mixture"].stderr.mean()


def test_the_fixed_point_is_one() -> None:
    """r = mean_j [l / (s₁ l + s₂ r)] / mean_i [1 / (s₁ l + s₂ r)] with the values put in; shifts go through."""
    posterior, other, effective = data(300, 3) + 1, data(200, 3, seed=2) - 1, torch.tensor([300.0, 100.0, 10.0])
    log_r, num_iterations, converged = optimal_bridge(posterior, other, effective)
    share = effective / (effective + 200)
    u, v, r = posterior.exp(), other.exp(), log_r.exp()
    right = (v / (share * v + (1 - share) * r)).mean(0) / (1 / (share * u + (1 - share) * r)).mean(0)
    torch.testing.assert_close(r, right, rtol=1e-8, atol=0)
    assert bool(converged.all()) and bool((num_iterations < 100).all())
    shifted, _, _ = optimal_bridge(posterior - 5000, other - 5000, effective)
    torch.testing.assert_close(shifted, log_r - 5000, rtol=0, atol=1e-6)


def test_fitted_densities_are_evaluated_in_double_precision_the_guides_in_its_own() -> None:
    x = data(3).float()
    coordinates = Coordinates.of(Target(normal_model, normal_guide(0.8), x))
    points, whole = (x / 2).double() + math.sqrt(0.5) * data(400, 3), Plan(3, 3, 400)
    for name, dtype in (("mixture", torch.float64), ("gaussian", torch.float64), ("guide", torch.float32)):
        g = proposals.PROPOSALS[name](coordinates, points.unsqueeze(-1), 50, 0, whole)
        assert g.dtype == dtype and g.draws.dtype == torch.float64
        assert g.log_density(g.draws.to(g.dtype)).dtype == dtype


def test_flags() -> None:
    """Draws that are no reference, NaN data and samples that do not overlap are flagged; others are answered."""
    x = data(4)
    bad = x[1].item()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, torch.where(x == bad, torch.nan, 1.0)), obs=x)

    target = Target(model, normal_guide(0.8), x)
    z = exact(x, 1200)
    z["z"][:300, 3] += 3.0  # one chain of another mind
    estimate = bridge(target, packed(target, z))
    assert estimate.flags[0] == "" and estimate.flags[2] == ""
    assert "not finite" in estimate.flags[1] and "the draws are no reference (R-hat" in estimate.flags[3]
    assert ((estimate.value - normal_evidence(x)) / estimate.stderr)[[0, 2]].abs().max() < sigmas(2)

    def far(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 + 9.0, 0.7))

    apart = Target(normal_model, far, x)
    lost = bridge(apart, packed(apart, exact(x, 1200)), proposal="guide")
    assert all("relative error" in flag or "did not settle" in flag or "finite" in flag for flag in lost.flags)


def test_bad_input() -> None:
    x = data(3)
    target = Target(normal_model, normal_guide(0.8), x)
    draws = packed(target, exact(x, 80))
    with pytest.raises(ValueError, match="proposal must be one of mixture, gaussian, guide, got 'flow'"):
        bridge(target, draws, proposal="flow")
    with pytest.raises(ValueError, match="draws has 3 data, the target has 2"):
        bridge(target.select([0, 1]), draws)
    with pytest.raises(ValueError, match="at least 8"):
        bridge(target, packed(target, exact(x, 24)))
    other = TRIPLES["ppca"]().target().select([0, 1, 2])
    with pytest.raises(ValueError, match=r"draws are of the latents \['z'\] .*, the target has \['z\[0\]', 'z\[1\]'\]"):
        bridge(other, draws)

    def unknown(z: Any) -> Tensor:
        raise NotImplementedError("no density")

    target.log_guide = unknown  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="Use proposal='mixture'"):
        bridge(target, draws, proposal="guide")
