"""The variational bound of a diffusion in continuous time, term by term (Kingma et al. 2021, sections 4 and 5).

    log P(x) ≥ E log P(x|z_0) − KL(q(z_1|x) ‖ N(0, I)) − ½ (γ_1 − γ_0) E_t e^−γ_t |v − v̂(z_t, γ_t)|²
    z_t = α_t v + σ_t ε,    γ_t = γ_0 + (γ_1 − γ_0) t,    t ~ U(0, 1)

v `[*, P]` are the values that stand for x, and all is in nats per datum.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from elbowroom.densities.denoiser import signal_and_noise

Denoise = Callable[[Tensor, Tensor], Tensor]
"""z `[*, P]` and γ `[*]` to v̂ `[*, P]`."""

_NODES = 1001  # of the lattice over ε: its step is less than what log P(x|z_0) changes over


def prior_term(v: Tensor, last: Tensor) -> Tensor:
    """KL(q(z_1|x) ‖ N(0, I)) at γ_1 = `last`, `[*]`."""
    alpha, sigma = signal_and_noise(last)
    return 0.5 * ((alpha * v).square() + sigma.square() - 1 - 2 * sigma.log()).sum(-1)


def denoising_term(denoise: Denoise, v: Tensor, times: Tensor, noise: Tensor, ends: tuple[float, float]) -> Tensor:
    """½ (γ_1 − γ_0) e^−γ |v − v̂|² at times `[*]` and with noise `[*, P]`, `[*]`: its mean over both is the integral.

    Args:
        denoise: v̂.
        v: `[P]` or `[*, P]`.
        times: t in [0, 1].
        noise: ε.
        ends: γ_0 and γ_1.
    """
    gamma = ends[0] + (ends[1] - ends[0]) * times
    alpha, sigma = (part.unsqueeze(-1) for part in signal_and_noise(gamma))
    error = v - denoise(alpha * v + sigma * noise, gamma)
    return 0.5 * (ends[1] - ends[0]) * (error.square().sum(-1) * torch.exp(-gamma))


def level_logits(z: Tensor, shares: Tensor, values: Tensor, first: Tensor) -> Tensor:
    """log P(x_p = k | z_0), `[*, P, K]`: ∝ π_pk N(z_p; α_0 v_k, σ_0²), with the share π_pk of a level in the data.

    Args:
        z: z_0, `[*, P]`.
        shares: π, `[P, K]`.
        values: v_k, `[K]`.
        first: γ_0.
    """
    alpha, sigma = signal_and_noise(first)
    distance = (z.unsqueeze(-1) - alpha * values) / sigma
    return log_softmax(shares.log() - 0.5 * distance.square(), -1)


def reconstruction_table(shares: Tensor, values: Tensor, first: Tensor) -> Tensor:
    """E log P(x_p = k | z_0) for z_0 ~ N(α_0 v_k, σ_0²), `[P, K]`, by a lattice of 1001 points over ε."""
    alpha, sigma = signal_and_noise(first)
    noise = torch.linspace(-9, 9, _NODES, dtype=shares.dtype, device=shares.device)
    weights = torch.exp(-0.5 * noise.square()) * (18 / (_NODES - 1) / math.sqrt(2 * math.pi))
    columns = []
    for level, value in enumerate(values):
        z = (alpha * value + sigma * noise).unsqueeze(-1).expand(-1, len(shares))
        columns.append(weights @ level_logits(z, shares, values, first)[..., level])
    return torch.stack(columns, -1)
