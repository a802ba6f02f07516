"""The upper bound from the gap of IWAE-K: written out pair by pair, sound in expectation, with an honest error."""

import math

import pytest
import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.weights.power_means import cubo_upper
from elbowroom.inference.weights.ratio_bound import NUM_BINS, ratio_upper
from elbowroom.inference.weights.running import Groups
from toys.failure_budget import sigmas


def normal(num_samples: int, num_data: int, sd: float, seed: int = 0) -> Tensor:
    """log w with E w = 1."""
    generator = torch.Generator().manual_seed(seed)
    return sd * torch.randn(num_samples, num_data, generator=generator) - sd * sd / 2


def bound(log_w: Tensor, num_particles: int, chunk: int = 10**6) -> tuple[Tensor, Tensor]:
    groups = Groups.empty(num_particles, torch.zeros_like(log_w[0]), jackknife=True)
    for part in log_w.split(chunk):
        groups.add(part)
    assert groups.ratios is not None
    return ratio_upper(groups.ratios.sums())


def written_out(log_w: Tensor, num_particles: int) -> Tensor:
    """½ (log r₁ + log r₂) + cosh(log r₁ − log r₂) − 1 + mean log X, r the mean of X_h / X_g over all pairs g ≠ h."""
    log_x = weights.grouped(log_w, num_particles)
    log_r = []
    for half in (log_x[0::2], log_x[1::2]):
        x = half.exp()
        pairs = [x[h] / x[g] for g in range(len(x)) for h in range(len(x)) if g != h]
        log_r.append(torch.stack(pairs).mean(0).log())
    return log_x.mean(0) + (log_r[0] + log_r[1]) / 2 + torch.cosh(log_r[0] - log_r[1]) - 1


@pytest.mark.parametrize(("num_samples", "num_particles"), [(40, 2), (40, 10), (301, 3), (60, 7)])
def test_written_out(num_samples: int, num_particles: int) -> None:
    """However the samples are cut into chunks."""
    log_w = normal(num_samples, 4, 1.0)
    expected = written_out(log_w, num_particles)
    for chunk in (10**6, 7, 1):
        torch.testing.assert_close(bound(log_w, num_particles, chunk)[0], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("num_particles", [2, 5])
def test_an_upper_bound_in_expectation_from_few_weights(num_particles: int) -> None:
    """Where the logarithm of a sample mean of Y/X would be too low; and looser than the tangent of two halves."""
    log_w = normal(4 * num_particles, 40_000, 1.0)
    value, _ = bound(log_w, num_particles)
    assert value.mean() > sigmas() * value.std() / 200
    other = cubo_upper(log_w, 1.0)
    assert other.mean() > 0 and value.mean() > other.mean()


def test_its_width_is_that_of_iwae() -> None:
    """To leading order both are Var w / 2K off: the upper one above, IWAE-K below."""
    log_w = normal(2000, 2000, 0.5, seed=1)
    value, _ = bound(log_w, 20)
    leading = math.expm1(0.25) / 40
    for found in (value, -weights.iwae(log_w, 20)):
        assert abs(found.mean() - leading) < sigmas(2) * found.std() / math.sqrt(2000) + 0.2 * leading


def test_its_error_is_that_over_repetitions() -> None:
    value, stderr = bound(normal(1000, 1000, 0.5, seed=2), 10)
    assert stderr.mean().item() == pytest.approx(value.std().item(), rel=0.08)


def test_equal_weights_leave_no_room() -> None:
    value, stderr = bound(torch.full((400, 3), -7.0), 5)
    torch.testing.assert_close(value, torch.full((3,), -7.0), rtol=1e-12, atol=1e-12)
    assert bool((stderr < 1e-12).all())


def test_too_few_groups_and_groups_without_weight() -> None:
    log_w = normal(40, 3, 1.0)
    assert bound(log_w, 11)[0].tolist() == [math.inf] * 3  # three groups
    log_w[:5, 1], log_w[7, 2] = -torch.inf, torch.nan
    value, stderr = bound(log_w, 5)
    assert value[0].isfinite() and value[1] == math.inf == stderr[1] and value[2].isnan()
    assert NUM_BINS % 2 == 0
