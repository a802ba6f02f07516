"""Which codes lie far outside of all others, and how much of a plane is shown so that the others can be seen.

A code is far out where its distance from the median code is ten times that within which three quarters of the codes lie
(or of the prior's draws around theirs, where these lie wider), measured along each latent by the prior's spread. An
encoder that has exploded for one datum then takes neither the map nor the scale of pictures from the others.
"""

from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.planes import reach_of, with_window

_MOST = 0.75
"""Share of the codes by whose distances it is told which others are far out."""

_FAR = 10.0
"""Times that distance from which on a code is far out."""

_SMALL = 40.0
"""Times as wide as what lies in it that a window may be: wider, it would be a dot."""


def far_out(codes: Tensor, prior: Tensor | None) -> Tensor:
    """Which codes are far outside of all others, or not finite, `[B]`.

    Args:
        codes: `[B, D]`.
        prior: draws of the prior, `[S, D]`; None if there are none to be had.
    """
    finite = codes.isfinite().all(1)
    if not bool(finite.any()):
        return ~finite
    unit = _unit(codes, prior)
    distances, radius = _distances(codes[finite] / unit)
    if prior is not None:
        radius = max(radius, _distances(prior / unit)[1])
    far = ~finite
    far[finite] = distances > _FAR * radius if radius > 0 else False
    return far


def holding(frame: Frame, codes: Tensor, prior: Tensor | None) -> Frame:
    """The plane with a window around codes `[K, D]` and draws of the prior `[S, D]`; around the codes alone, which it
    says, if they would be a dot beside the prior."""
    clouds = [cloud for cloud in (codes, prior) if cloud is not None and len(cloud)]
    if not clouds:
        return with_window(frame, torch.tensor([[-1.0, 1.0]] * len(frame.axes), dtype=torch.float64))
    window = reach_of(frame, *clouds)
    if len(clouds) == 1 or bool((codes == codes[0]).all()):
        return with_window(frame, window)
    of_codes, of_prior = (reach_of(frame, cloud) for cloud in clouds)
    if _is_dot(of_codes, window):
        says = f"{frame.says} The window is the codes' alone: beside all of the prior they would be a dot."
        return replace(frame, window=of_codes, says=says)
    says = (
        f"{frame.says} The prior is a dot: the codes spread very much wider."
        if _is_dot(of_prior, window)
        else frame.says
    )
    return replace(frame, window=window, says=says)


def _is_dot(part: Tensor, window: Tensor) -> bool:
    """Whether next to nothing is seen of a part of a window."""
    return bool((window.diff() > _SMALL * part.diff()).all())


def _unit(codes: Tensor, prior: Tensor | None) -> Tensor:
    """What distances along each latent are measured by, `[D]`: how widely the prior is spread, if that is known."""
    spread = torch.ones(codes.shape[1], dtype=codes.dtype)
    if prior is not None:
        spread = (prior - prior.median(0).values).abs().median(0).values.to(codes.dtype)
    return torch.where(spread > 0, spread, 1.0)


def _distances(points: Tensor) -> tuple[Tensor, float]:
    """How far points `[S, D]` are from their median, `[S]`, and within which distance most are."""
    distances = (points - points.median(0).values).norm(dim=1)
    return distances, float(distances.quantile(_MOST, interpolation="lower"))
