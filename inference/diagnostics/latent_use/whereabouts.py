"""Where the codes of all data lie beside the prior: about 0 ± 1 in its own units, if q was trained towards it."""

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.latent_use.result import LatentUse

_FAR = 1.0  # prior sds between the middle of all codes and the prior's
_NARROW, _WIDE = 0.4, 2.5  # prior sds of all codes
_ERRORS = 2.0  # standard errors


def is_strange(use: LatentUse, num_data: int) -> Tensor:
    """Latents whose aggregate posterior is far from the prior, or less than half or more than twice as wide, `[N]`.

    By more than two standard errors of so many data: few of them lie anywhere by chance.
    """
    mean, sd, n = use.aggregate_mean, use.aggregate_sd, max(2, num_data)
    off, share = _ERRORS * sd / n**0.5, _ERRORS / (2 * n) ** 0.5
    return (mean.abs() - off > _FAR) | (sd * (1 + share) < _NARROW) | (sd * (1 - share) > _WIDE)


def strangest(use: LatentUse) -> int:
    """The active latent whose codes lie farthest from the prior, by KL(N(m, s²) ‖ N(0, 1))."""
    mean, sd = use.aggregate_mean, use.aggregate_sd
    distance = (mean.square() + sd.square() - 1) / 2 - sd.log()
    return int(torch.where(use.active, distance.nan_to_num(-torch.inf), -torch.inf).argmax())
