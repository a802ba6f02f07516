"""The bias of IWAE-K, estimated from the weights themselves, and IWAE without its leading term."""

import math

import torch
from torch import Tensor

from elbowroom.inference.weights.reductions import grouped


def jackknife(log_w: Tensor, num_particles: int) -> Tensor:
    """IWAE-K corrected by the first-order jackknife, averaged over groups of K, `[B]`, nats; no bound.

    K·L_K − (K − 1)·mean_i L₋ᵢ with L₋ᵢ the bound on a group without its i-th weight: its bias is O(K⁻²) instead of
    O(K⁻¹) where w has moments enough. Nowozin (2018), "Debiasing evidence approximations", equation 15 with m = 1.

    Raises:
        ValueError: if K is not between 2 and S.
    """
    _check(num_particles)
    bounds = grouped(log_w, num_particles)
    correction = jackknife_correction(members_of_groups(log_w, num_particles))
    return torch.where(bounds == -torch.inf, bounds, bounds + correction).mean(0)


def iwae_bias_jackknife(log_w: Tensor, num_particles: int) -> Tensor:
    """The jackknife's estimate of E[IWAE-K] − log p(x), `[B]`, nats: (K − 1)·(mean_i L₋ᵢ − L_K), averaged over groups.

    Raises:
        ValueError: if K is not between 2 and S.
    """
    _check(num_particles)
    return -jackknife_correction(members_of_groups(log_w, num_particles)).mean(0)


def iwae_bias_delta(relative_variance: Tensor, num_particles: int) -> Tensor:
    """The delta method's estimate of E[IWAE-K] − log p(x), `[B]`, nats: −Var(w) / (2 K (E w)²).

    Nowozin (2018), proposition 1: the leading term for large K, of weights with a finite variance. It overstates the
    bias where K is small against Var(w) / (E w)².

    Args:
        relative_variance: Var(w) / (E w)², `[B]`.
        num_particles: K.
    """
    return -relative_variance / (2 * num_particles)


def jackknife_correction(members: Tensor) -> Tensor:
    """What the jackknife adds to the bound of each group of K weights, `[G, K, B]` to `[G, B]`, nats.

    (K − 1)·(L_K − mean_i L₋ᵢ) = (K − 1)·(log((K − 1)/K) − mean_i log(1 − wᵢ/Σw)), +∞ where one weight is all there
    is, zero where there is none. Never negative, up to rounding: L₋ᵢ lies below L_K on average (Jensen).
    """
    size = members.shape[1]
    total = members.logsumexp(1, keepdim=True)
    top = members.argmax(1, keepdim=True)
    # 1 − w/Σw of the largest weight is summed from the others: the difference would be all rounding.
    others = members.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True) - total
    log_rest = torch.log1p(-(members - total).exp()).scatter(1, top, others)
    correction = (size - 1) * (math.log1p(-1 / size) - log_rest.mean(1))
    return torch.where(total.squeeze(1) == -torch.inf, 0.0, correction)


def members_of_groups(log_w: Tensor, num_particles: int) -> Tensor:
    """The weights of each disjoint group of K samples, `[⌊S/K⌋, K, B]`."""
    return log_w[: len(log_w) - len(log_w) % num_particles].unflatten(0, (-1, num_particles))


def _check(num_particles: int) -> None:
    if num_particles < 2:
        raise ValueError(
            f"num_particles must be at least 2 for the jackknife, got {num_particles}: "
            "from a group of one nothing can be left out"
        )
