"""Encoder outputs that no posterior can be: named, and kept out of means."""

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.gap.families.family import Family
from elbowroom.inference.gap.families.reading import read_guide
from elbowroom.inference.target import Target

_TIMES = 100.0
"""An sd, or a distance to the prior's mean, beyond so many prior sds in unconstrained coordinates."""

_DRAWS = 256


def exploded(target: Target, seed: int, memory_bytes: int | None = None) -> tuple[str, ...]:
    """For each datum what is wrong with its encoder's output, or an empty string."""
    dim = Coordinates.of(target).dim
    told: list[str] = []
    if dim == 0:
        return ("",) * len(target)
    for _, part in plan(target, _DRAWS, memory_bytes, gradients=True).data(target):
        coordinates = Coordinates(part, dim)
        start = read_guide(coordinates, seed)
        told += told_exploded(coordinates, start.family, start.is_finite, seed)[0]
    return tuple(told)


def told_exploded(
    coordinates: Coordinates, guide: Family, is_finite: Tensor, seed: int
) -> tuple[tuple[str, ...], Family]:
    """For each datum what is wrong with its encoder's output, or an empty string; and the prior as a Gaussian."""
    with torch.no_grad():
        u = coordinates.unconstrain(coordinates.target.sample_prior(_DRAWS, seed=seed)).double()
    # Quantiles: a prior may have heavy tails.
    low, middle, high = u.quantile(torch.tensor([0.1587, 0.5, 0.8413], dtype=u.dtype, device=u.device), dim=0)
    prior = Family.gaussian(middle, ((high - low) / 2).clamp_min(1e-12))
    centre, unit = prior.loc.squeeze(1), prior.scale.squeeze(1)
    scale = guide.scale.squeeze(1)
    sd = scale if guide.is_diagonal else scale.square().sum(-1).sqrt()
    wide, far = sd / unit, (guide.mean - centre).abs() / unit
    names = _names(coordinates)
    told = []
    for b, finite in enumerate(is_finite.tolist()):
        i, j = int(wide[b].argmax()), int(far[b].argmax())
        if not finite:
            told.append("the encoder's output has exploded: its draws or their density are not finite")
        elif wide[b, i] > _TIMES:
            told.append(
                f"the encoder's output has exploded: {names[i]} has sd {float(sd[b, i]):.3g}, "
                f"{float(wide[b, i]):.3g} times the prior's"
            )
        elif far[b, j] > _TIMES:
            told.append(
                f"the encoder's output has exploded: the mean of {names[j]} is {float(far[b, j]):.3g} prior sds away "
                "from the prior's"
            )
        else:
            told.append("")
    return tuple(told), prior


def _names(coordinates: Coordinates) -> list[str]:
    names = coordinates.target.latent_names
    return names if len(names) == coordinates.dim else [f"unconstrained coordinate {d}" for d in range(coordinates.dim)]
