"""Chains that walk along a frozen path, and all that is reduced from the densities on their way."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.annealing.randomness import Randomness
from elbowroom.inference.evidence.annealing.tuning import Frozen
from elbowroom.inference.mcmc.path import Ends, Path


@dataclass(frozen=True)
class Walk:
    """The densities that chains met on their way, and how readily they moved.

    Attributes:
        differences: log joint − log start before the first and after each transition, `[T, C, B]`, nats.
        acceptance: mean acceptance of each transition over chains, `[T − 1, B]`.
    """

    differences: Tensor
    acceptance: Tensor


def walk(
    path: Path,
    ends: Ends,
    frozen: Frozen,
    order: Iterable[int],
    randomness: Randomness,
    tick: Callable[[], object] = lambda: None,
) -> Walk:
    """Make one transition at each temperature whose index is in `order`, from `ends` on."""
    differences, acceptance = [ends.difference], []
    for t in order:
        beta = frozen.betas[t]
        kernel = frozen.tuning.kernel(beta, t, len(ends.u))
        ends, move = path.step(ends, beta, kernel, *randomness.at(t))
        differences.append(ends.difference)
        acceptance.append(move.acceptance.mean(0))
        tick()
    nothing = ends.log_start.new_empty(0, ends.u.shape[1])
    return Walk(torch.stack(differences), torch.stack(acceptance) if acceptance else nothing)


def log_weights(betas: Tensor, differences: Tensor) -> Tensor:
    """log w = Σ_t (β_t − β_{t−1}) d_{t−1} of chains going from β_0 to β_T, `[C, B]`, nats (Neal 2001, equation 3)."""
    return (_increments(betas) * differences).sum(0)


class ThermodynamicInfo(TypedDict):
    """What thermodynamic integration says besides log p(x).

    Keys:
        trapezoid_bias: the rule's own error to leading order, which was taken off, `[B]`, nats.
        chain_stderr: the chains' delta-method error, `[B]`, nats.
    """

    trapezoid_bias: Tensor
    chain_stderr: Tensor


def thermodynamic(betas: Tensor, differences: Tensor) -> Estimate[ThermodynamicInfo]:
    """log p(x) = ∫_0^1 E_β[log joint − log start] dβ by the trapezoidal rule (Gelman & Meng 1998, equation 9).

    The expectations are over the chains' states with their weights so far. The leading term of the rule's own error,
    Σ δ² (V_t − V_{t−1}) / 12 with V_t the variance of the integrand, its derivative in β, is taken off (Friel, Hurn &
    Wyse 2014, equation 7), and its size is a part of `stderr` besides the chains' delta-method error. Both know only
    where the chains have been. `info`: see `ThermodynamicInfo`.
    """
    step = _increments(betas)  # [T, 1, B]
    log_w = torch.cat([torch.zeros_like(differences[:1]), (step * differences).cumsum(0)])  # [T + 1, C, B]
    at_points = torch.cat([differences, differences[-1:]])  # no transition at β_T
    share = log_w.softmax(1)
    mean = torch.where(share > 0, share * at_points, 0.0).sum(1, keepdim=True)
    centred = torch.where(share > 0, at_points - mean, 0.0)
    variance = (share * centred.square()).sum(1, keepdim=True)
    rule = torch.zeros_like(mean)  # trapezoid coefficients
    rule[:-1] += 0.5 * step
    rule[1:] += 0.5 * step
    num_chains = differences.shape[1]
    influence = (rule * num_chains * share * centred).sum(0)  # [C, B]
    chain = influence.std(0) / math.sqrt(num_chains) if num_chains > 1 else torch.full_like(mean[0, 0], torch.inf)
    bias = (step.square() * (variance[1:] - variance[:-1]) / 12).sum((0, 1))
    info: ThermodynamicInfo = {"trapezoid_bias": bias, "chain_stderr": chain}
    return Estimate((rule * mean).sum((0, 1)) - bias, torch.hypot(chain, bias), "none", info)


def conditional_ess(betas: Tensor, differences: Tensor) -> Tensor:
    """Conditional effective share of the chains at each step, (Σ W v)² / Σ W v², `[T, B]`, in (0, 1].

    W are the normalised weights before the step and v its increments (Zhou, Johansen & Aston 2016, equation 3.6).
    """
    increments = _increments(betas) * differences
    before = torch.cat([torch.zeros_like(increments[:1]), increments[:-1]]).cumsum(0).log_softmax(1)
    return (2 * (before + increments).logsumexp(1) - (before + 2 * increments).logsumexp(1)).exp()


def _increments(betas: Tensor) -> Tensor:
    return (betas[1:] - betas[:-1]).unsqueeze(1)
