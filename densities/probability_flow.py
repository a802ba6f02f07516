"""The probability-flow equation of a diffusion: the same marginals without noise, and so a density (Song et al. 2021).

    dz/dγ = ½ α (α z − v̂(z, γ)),    log p(z_0) = log N(z_1; 0, I) + ∫ div dγ,    div = ½ α (α P − tr ∂v̂/∂z)

with α² = 1/(1 + e^γ), and γ from γ_0 to γ_1. The trace is exact: a pass backwards for each of P values.
"""

import math

import torch
from torch import Tensor

from elbowroom.densities.denoiser import signal_and_noise
from elbowroom.densities.diffusion_bound import Denoise


def log_density_by_flow(denoise: Denoise, z: Tensor, ends: tuple[float, float], num_steps: int) -> Tensor:
    """log p(z_0) of z_0 `[N, P]`, `[N]` in nats, by steps of the classical Runge–Kutta method of order four.

    Args:
        denoise: v̂.
        z: z_0.
        ends: γ_0 and γ_1.
        num_steps: of γ, each of four evaluations of v̂ and its Jacobian.
    """
    step = (ends[1] - ends[0]) / num_steps
    log_det = z.new_zeros(len(z))

    def slopes(at: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
        return _slopes(denoise, at, z.new_tensor(gamma))

    for i in range(num_steps):
        gamma = ends[0] + i * step
        k1, d1 = slopes(z, gamma)
        k2, d2 = slopes(z + 0.5 * step * k1, gamma + 0.5 * step)
        k3, d3 = slopes(z + 0.5 * step * k2, gamma + 0.5 * step)
        k4, d4 = slopes(z + step * k3, gamma + step)
        z = z + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        log_det = log_det + step / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
    return log_det - 0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)


def _slopes(denoise: Denoise, z: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """dz/dγ `[N, P]` and its divergence `[N]`."""
    alpha, _ = signal_and_noise(gamma)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        v = denoise(z, gamma.expand(len(z)))
        columns = [torch.autograd.grad(v[:, p].sum(), z, retain_graph=True)[0][:, p] for p in range(z.shape[1])]
    trace = torch.stack(columns).sum(0)
    return 0.5 * alpha * (alpha * z - v).detach(), 0.5 * alpha * (alpha * z.shape[1] - trace)
