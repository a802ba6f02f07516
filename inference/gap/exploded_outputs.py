"""Encoder outputs that no posterior can be: named, and kept out of means."""

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.families.family import Family
from elbowroom.inference.families.from_guide import read_guide
from elbowroom.inference.target import Target

_TIMES = 100.0
"""An sd, or a distance to the prior's mean, beyond so many prior sds in unconstrained coordinates."""

_DRAWS = 256


def exploded(target: Target, seed: int, memory_bytes: int | None = None) -> tuple[str, ...]:
    """What is wrong with the encoder's output of each datum, or an empty string."""
    dim = Coordinates.of(target).dim
    reasons: list[str] = []
    if dim == 0:
        return ("",) * len(target)
    for _, part in plan(target, _DRAWS, memory_bytes, gradients=True).data(target):
        coordinates = Coordinates(part, dim)
        start = read_guide(coordinates, seed)
        reasons += why_exploded(coordinates, start.family, start.is_finite, seed)[0]
    return tuple(reasons)


def why_exploded(
    coordinates: Coordinates, guide: Family, is_finite: Tensor, seed: int
) -> tuple[tuple[str, ...], Family]:
    """What is wrong with the encoder's output of each datum, or an empty string; and the prior as a Gaussian.

    Where the prior cannot be drawn from, an output is only asked to be finite, and N(0, I) stands in its place.
    """
    prior, known = _prior(coordinates, guide, seed)
    centre, unit = prior.loc.squeeze(1), prior.scale.squeeze(1)
    unit = unit if known else torch.full_like(unit, torch.inf)
    scale = guide.scale.squeeze(1)
    sd = scale if guide.is_diagonal else scale.square().sum(-1).sqrt()
    far = (guide.mean - centre).abs() / unit
    names, is_finite = coordinates.names, is_finite.cpu()
    reasons = tuple(_reason(names, bool(is_finite[b]), sd[b], sd[b] / unit[b], far[b]) for b in range(len(is_finite)))
    return reasons, prior


def _prior(coordinates: Coordinates, guide: Family, seed: int) -> tuple[Family, bool]:
    """The prior as a Gaussian, and whether it is known."""
    try:
        with torch.no_grad():
            u = coordinates.unconstrain(coordinates.target.sample_prior(_DRAWS, seed=seed)).double()
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        mean = guide.mean
        return Family.gaussian(torch.zeros_like(mean), torch.ones_like(mean)), False
    # Quantiles: a prior may have heavy tails.
    low, middle, high = u.quantile(torch.tensor([0.1587, 0.5, 0.8413], dtype=u.dtype, device=u.device), dim=0)
    return Family.gaussian(middle, ((high - low) / 2).clamp_min(1e-12)), True


def _reason(names: list[str], is_finite: bool, sd: Tensor, wide: Tensor, far: Tensor) -> str:
    """Why a datum's output is not usable, or an empty string.

    Args:
        names: of the D coordinates.
        is_finite: whether the guide's draws and their density are.
        sd: of the guide, `[D]`.
        wide: the same in prior sds, `[D]`.
        far: distance of the guide's mean to the prior's, in prior sds, `[D]`.
    """
    if not is_finite:
        return "the encoder's output has exploded: its draws or their density are not finite"
    i, j = int(wide.argmax()), int(far.argmax())
    if wide[i] > _TIMES:
        return (
            f"the encoder's output has exploded: {names[i]} has sd {float(sd[i]):.3g}, "
            f"{float(wide[i]):.3g} times the prior's"
        )
    if far[j] > _TIMES:
        return (
            f"the encoder's output has exploded: the mean of {names[j]} is {float(far[j]):.3g} prior sds away "
            "from the prior's"
        )
    return ""
