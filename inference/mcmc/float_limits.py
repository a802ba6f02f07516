"""Posterior draws at the limits of floating-point numbers: a sign that nothing else ends the posterior."""

import torch

from elbowroom.inference.mcmc.draws import Draws

_SHARE = 1e-3  # of the draws, from which on they are a sign


def at_limits(draws: Draws) -> tuple[str, ...]:
    """For each datum the reason why its draws are not to be believed, or an empty string.

    Beyond the root of the smallest or of the largest number of a dtype squares under- or overflow. A posterior with
    mass there, such as that of a scale to which a datum at its mean sets no lower limit, ends where the arithmetic
    ends: it may well be improper, and log p(x) infinite.
    """
    count = torch.zeros(len(draws), dtype=torch.long)
    total = 1
    for value in draws.z.values():
        info = torch.finfo(value.dtype)
        size = value.abs()
        outside = ((size > 0) & (size < info.tiny**0.5)) | (size > info.max**0.5)
        count += outside.reshape(*outside.shape[:3], -1).any(-1).sum((0, 1)).cpu()
        total = value.shape[0] * value.shape[1]
    return tuple(_reason(share) if share > _SHARE else "" for share in (count / total).tolist())


def _reason(share: float) -> str:
    return (
        f"{100 * min(share, 1.0):.1f} % of the draws lie at the limits of floating-point numbers: the posterior may be "
        "improper and log p(x) infinite"
    )
