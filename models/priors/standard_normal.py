"""p(z) = N(0, I)."""

import pyro.distributions as dist
import torch
from torch import Tensor


def standard_normal(loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
    """The prior N(0, I_D), the same for every datum: batch shape `[]`, event shape `[D]`.

    Args:
        loc: zeros `[D]`.
        scale: ones `[D]`.
    """
    return dist.Normal(loc, scale).to_event(1)


def draw_standard_normal(num_samples: int, loc: Tensor, *, seed: int) -> Tensor:
    """Draws `[N, D]` of loc's dtype and device, a function of the seed alone: no global random state is used."""
    generator = torch.Generator(device=loc.device).manual_seed(seed)
    return torch.randn((num_samples, *loc.shape), generator=generator, dtype=loc.dtype, device=loc.device)
