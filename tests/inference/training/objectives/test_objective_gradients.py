"""Each objective's gradient: by many replicates, against quadrature over the draws' noise."""

import math
from collections.abc import Callable

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference.training import OBJECTIVES
from toys.failure_budget import sigmas
from toys.objectives import AWAY, POSTERIOR, Chain, Place, Replicates, Summed, X, expected, least, leaves, log_evidence

N = 20_000
ALWAYS = sorted(set(OBJECTIVES) - {"semi-supervised", "quantized", "exact"})  # need labels, need codes, draw nothing


def elbo(log_w: Tensor, z: Tensor) -> Tensor:
    return log_w.mean(0)


def power_mean(beta: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda log_w, z: ((beta * log_w).logsumexp(0) - math.log(2)) / beta


OF_TWO_DRAWS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Trace_ELBO": elbo,
    "TraceMeanField_ELBO": elbo,
    "TraceEnum_ELBO": elbo,
    "STL": elbo,
    "score-function": elbo,
    "RenyiELBO": power_mean(1.0),
    "IWAE": power_mean(1.0),
    "DReG": power_mean(1.0),
    "Renyi": power_mean(0.5),
}


def by_quadrature(name: str, place: Place) -> tuple[float, Tensor]:
    at = leaves(place)
    value = expected(OF_TWO_DRAWS[name], at)
    return value.item(), torch.stack(torch.autograd.grad(value, list(at)))


def close(gradients: Tensor, exact: Tensor) -> bool:
    """Whether the mean of the replicates `[3, N]` is the exact gradient within the errors that they show."""
    error = gradients.std(1) / gradients.shape[1] ** 0.5
    return bool(((gradients.mean(1) - exact).abs() <= sigmas(3) * error + 1e-10).all())


@pytest.mark.parametrize("broadcasts", [True, False], ids=["at once", "one by one"])
@pytest.mark.parametrize("name", sorted(OF_TWO_DRAWS))
def test_the_mean_gradient_is_the_exact_one(name: str, broadcasts: bool) -> None:
    value, exact = by_quadrature(name, AWAY)
    found, gradients = Replicates(AWAY, N).gradients(name, 2, broadcasts)
    assert close(gradients, exact)
    assert found == pytest.approx(value, abs=0.03) and not close(gradients, exact + 0.05)


@pytest.mark.parametrize("name", ["IWAE", "Renyi", "score-function", "Trace_ELBO", "TraceEnum_ELBO"])
def test_draws_without_a_gradient_are_trained_by_their_score(name: str) -> None:
    _, exact = by_quadrature(name, AWAY)
    assert close(Replicates(AWAY, 4 * N, reparameterised=False).gradients(name, 2)[1], exact)


@pytest.mark.parametrize("name", ALWAYS)
def test_at_the_posterior_nothing_is_left_to_climb_but_log_p(name: str) -> None:
    """There every weight is p(x): the value is log p(x), θ's gradient that of log p(x), and φ's is zero on average."""
    m = torch.tensor(POSTERIOR.m, requires_grad=True)
    (slope,) = torch.autograd.grad(log_evidence(m), m)
    value, gradients = Replicates(POSTERIOR, N).gradients(name, least(name))
    assert close(gradients, torch.stack([slope, *torch.zeros(2)]))
    if name != "TraceMeanField_ELBO":  # its likelihood is sampled, its KL is not
        assert value == pytest.approx(log_evidence(POSTERIOR.m).item(), abs=1e-10)


@pytest.mark.parametrize("kind", [Chain, Summed], ids=["a chain of two", "a latent summed out"])
@pytest.mark.parametrize(("name", "plain"), [("STL", "Trace_ELBO"), ("DReG", "IWAE"), ("score-function", "Trace_ELBO")])
def test_other_programs_give_the_gradient_of_the_plain_estimate(name: str, plain: str, kind: type[Replicates]) -> None:
    """A draw that the next one hangs on; a finite latent that the guide leaves to the model."""
    ours, theirs = (kind(AWAY, N).gradients(each, 2)[1] for each in (name, plain))
    error = ((ours.var(1) + theirs.var(1)) / N).sqrt()
    assert ((ours.mean(1) - theirs.mean(1)).abs() < sigmas(3) * error).all() and error.max() < 0.05


def test_the_importance_weighted_bound_of_a_sum_is_below_its_logarithm_and_above_the_elbo() -> None:
    """log p(x) = log Σ_k p(k) N(x; m + 2k, 2)."""
    k = torch.tensor([0.0, 1.0])
    weights = torch.tensor([0.6, 0.4]).log()
    log_p = (weights + dist.Normal(AWAY.m + 2 * k, 2**0.5).log_prob(torch.tensor(X))).logsumexp(0).item()
    elbo, bound = (Summed(AWAY, N // 4).gradients(name, 50)[0] for name in ("Trace_ELBO", "IWAE"))
    assert elbo + 0.03 < bound < log_p and bound == pytest.approx(log_p, abs=0.02)


@pytest.mark.parametrize("name", ["STL", "DReG", "score-function"])
def test_at_the_posterior_the_guides_gradient_has_no_noise(name: str) -> None:
    assert Replicates(POSTERIOR, 100).gradients(name, 3)[1][1:].abs().max() < 1e-10
    assert Replicates(POSTERIOR, 100).gradients("IWAE", 3)[1][1:].std() > 0.1


def test_wake_sleep() -> None:
    """θ's gradient is IWAE's; φ's is that of log q at self-normalised draws, exactly so for K = 2."""
    at, held = leaves(AWAY), leaves(AWAY)
    value = expected(power_mean(1.0), at)
    (theta,) = torch.autograd.grad(value, [at.m])

    def fitted(log_w: Tensor, z: Tensor) -> Tensor:
        return (log_w.softmax(0) * dist.Normal(held.a, held.log_s.exp()).log_prob(z)).sum(0)

    constants = Place(*(p.detach() for p in at))
    phi = torch.autograd.grad(expected(fitted, constants), [held.a, held.log_s])
    gradients = Replicates(AWAY, N).gradients("reweighted-wake-sleep", 2)[1]
    assert close(gradients, torch.stack([theta, *phi]))


def test_the_bias_of_wake_phi_halves_when_k_doubles() -> None:
    """Its limit is the gradient of −KL(p(z|x) ‖ q): E_p[(z − a)/s²] in a. The bias is of order 1/K."""
    place = Place(0.2, 1.7, 0.0)
    m, a, s2 = place.m, place.a, math.exp(2 * place.log_s)
    limit = ((X + m) / 2 - a) / s2
    bias, error = [], []
    for num_particles in (16, 32):
        slope = Replicates(place, 2 * N).gradients("reweighted-wake-sleep", num_particles)[1][1]
        bias.append((slope.mean() - limit).item())
        error.append((slope.std() / len(slope) ** 0.5).item())
    ratio = bias[1] / bias[0]
    spread = abs(ratio) * math.hypot(error[0] / bias[0], error[1] / bias[1])
    assert abs(bias[0]) > 10 * error[0] and ratio == pytest.approx(0.5, abs=sigmas() * spread + 0.05)


def test_sleep_phi_climbs_log_q_of_simulated_latents() -> None:
    """(z, x) ~ p: E ∂ log q/∂a = E[(z − a)/s²] = (m − a)/s², and in log s it is E[(z − a)²]/s² − 1."""
    m, a, s2 = AWAY.m, AWAY.a, math.exp(2 * AWAY.log_s)
    gradients = Replicates(AWAY, N).gradients("reweighted-wake-sleep", 2, phi="sleep")[1][1:]
    assert close(gradients, torch.tensor([(m - a) / s2, (1 + (m - a) ** 2) / s2 - 1]))


def test_a_baseline_makes_scores_nearly_as_sharp_as_paths() -> None:
    """Two draws: the variance is within 1.5 times that of the reparameterised gradient."""
    by_path = Replicates(AWAY, N).gradients("Trace_ELBO", 2)[1][1:].var(1)
    by_score = Replicates(AWAY, N).gradients("score-function", 2)[1][1:].var(1)
    assert (by_score < 1.5 * by_path).all()


def log_snr_slope(name: str, counts: tuple[int, ...]) -> float:
    """Slope of log |mean|/sd of the gradient in `a` against log K, by least squares."""
    snr = []
    for num_particles in counts:
        slope = Replicates(AWAY, N).gradients(name, num_particles)[1][1]
        snr.append((slope.mean().abs() / slope.std()).log())
    k = torch.tensor(counts).log()
    return ((k - k.mean()) * (torch.stack(snr) - torch.stack(snr).mean())).sum().item() / (k - k.mean()).square().sum()


def test_how_signal_to_noise_depends_on_k() -> None:
    """Rainforth et al. (2018): √K of the ELBO, 1/√K of the importance-weighted bound; DReG's rises."""
    counts = (2, 8, 32)
    assert log_snr_slope("Trace_ELBO", counts) == pytest.approx(0.5, abs=0.1)
    assert log_snr_slope("IWAE", counts) <= 0.1
    assert log_snr_slope("DReG", counts) > 0.2
