"""Which plane is looked at around a datum, and how much of it.

One or two latents: the latents themselves. More: the plane through a point of high posterior density, along the two
directions in which posterior and q differ most. With q's mean m and covariance L Lᵀ, y = L⁻¹ (u − m) has covariance I
under q; under the posterior it has second moments S = E[y yᵀ], and along an eigenvector w of S with eigenvalue λ, KL of
the two Gaussians is (λ − 1 − log λ) / 2: the two largest are taken. Where the draws are too few for so many dimensions,
S is taken of each latent by itself; without draws of the posterior the directions are those in which q is widest.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from elbowroom.inference.exploration.frame import Frame

_ENOUGH = 20
"""Draws for each dimension from which on second moments tell directions apart."""

_TAIL = 0.002
"""Of draws on either side that the window need not hold."""

_BEYOND = 40.0
"""Times as wide as the narrowest cloud that a window of all must be for it to hold the posterior alone."""

_MARGIN = 0.15
"""Of the window, beyond the draws on each side."""

_NAMED = 0.4
"""Share of a direction's largest entry from which on a latent is named."""


def plane_of(names: Sequence[str], guide: Tensor, posterior: Tensor | None, centre: Tensor) -> Frame:
    """The plane around one datum, its window around all draws.

    Args:
        names: of the D coordinates.
        guide: draws of q, `[S, D]`.
        posterior: draws of the posterior, `[K, D]`; None if there are none to be relied on.
        centre: a point of high posterior density, `[D]`, through which the plane goes where D > 2.
    """
    dim = guide.shape[1]
    if dim <= 2:
        return windowed(of_latents(names), guide, posterior)
    mean, root = guide.mean(0), _root(guide)
    inverse = torch.linalg.inv(root)
    if posterior is None:
        chosen = torch.linalg.eigh(root @ root.T).eigenvectors[:, -2:].flip(1).T  # [2, D], unit vectors in u
        white = torch.linalg.qr(inverse @ chosen.T).Q.T
    else:
        white = _differing((posterior - mean) @ inverse.T, len(guide))
    white = _signed(white, root)
    axes, duals = white @ root.T, white @ inverse
    origin = mean + (centre - mean) - (duals @ (centre - mean)) @ axes
    frame = Frame(origin, axes, duals, torch.zeros(2, 2), ("direction 1", "direction 2"), "")
    says = _says(names, frame, posterior)
    return windowed(Frame(origin, axes, duals, frame.window, frame.names, says), guide, posterior)


def of_latents(names: Sequence[str]) -> Frame:
    """The latents themselves, one or two of them; the window is not set yet."""
    dim = len(names)
    one = torch.eye(dim, dtype=torch.float64)
    says = "The latent itself." if dim == 1 else "The two latents themselves."
    return Frame(torch.zeros(dim, dtype=torch.float64), one, one, torch.zeros(dim, 2), tuple(names), says)


def windowed(frame: Frame, *clouds: Tensor | None) -> Frame:
    """The plane with a window that holds clouds of points `[S, D]`, but for their outermost; the last cloud alone, if
    one of them would be a dot beside the others: they are very much wider, or far away."""
    known = [cloud for cloud in clouds if cloud is not None]
    window = reach_of(frame, *known)
    narrowest = torch.stack([reach_of(frame, cloud).diff() for cloud in known]).amin(0)
    return with_window(
        frame, reach_of(frame, known[-1]) if bool((window.diff() > _BEYOND * narrowest).any()) else window
    )


def reach_of(frame: Frame, *clouds: Tensor) -> Tensor:
    """How far clouds of points `[S, D]` reach on the plane, but for their outermost, with a margin: `[P, 2]`."""
    levels = torch.tensor([_TAIL, 1 - _TAIL], dtype=torch.float64)
    ends = torch.stack([frame.places(cloud).quantile(levels, 0) for cloud in clouds])
    low, high = ends[:, 0].amin(0), ends[:, 1].amax(0)
    width = (high - low).clamp_min(1e-9)
    return torch.stack([low - _MARGIN * width, high + _MARGIN * width], 1)


def with_window(frame: Frame, window: Tensor) -> Frame:
    """The plane with another window, `[P, 2]`."""
    return Frame(frame.origin, frame.axes, frame.duals, window, frame.names, frame.says)


def _root(draws: Tensor) -> Tensor:
    """A lower triangular root of the covariance of draws `[S, D]`, which constants do not make singular."""
    covariance = draws.T.cov(correction=0)
    floor = 1e-9 * covariance.diagonal().mean().clamp_min(1e-12)
    return torch.linalg.cholesky(covariance + floor * torch.eye(len(covariance), dtype=draws.dtype))


def _differing(y: Tensor, num_guide: int) -> Tensor:
    """The two directions `[2, D]`, of length one, in which draws `[K, D]` differ most from a standard normal."""
    dim = y.shape[1]
    second = y.T @ y / len(y)
    if _ENOUGH * dim > min(len(y), num_guide):
        second = torch.diag(second.diagonal())
    values, vectors = torch.linalg.eigh(second)
    values = values.clamp_min(1e-12)
    apart = (values - 1 - values.log()) / 2
    return vectors[:, apart.topk(2).indices].T


def _signed(white: Tensor, root: Tensor) -> Tensor:
    """Directions whose largest entry, in units of the latents, is positive: the same plane is drawn the same way."""
    axes = white @ root.T
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return white * torch.where(largest < 0, -1.0, 1.0)


def _says(names: Sequence[str], frame: Frame, posterior: Tensor | None) -> str:
    along = [
        f"{ordinal} ({_mostly(names, axis)})" for ordinal, axis in zip(("first", "second"), frame.axes, strict=True)
    ]
    if posterior is None:
        return (
            f"The two directions in which q is widest, the {along[0]} and the {along[1]}, in its standard deviations: "
            "there are no draws of the posterior to hold it against."
        )
    places = frame.places(posterior)
    told = [f"along the {which} {_differs(places[:, i])}" for i, which in enumerate(along)]
    return (
        "The two directions in which posterior and q differ most, in standard deviations of q, through a point of high "
        f"posterior density: {', and '.join(told)}."
    )


def _differs(places: Tensor) -> str:
    """How draws along a direction differ from a standard normal, in words."""
    spread, shift = float(places.std()), float(places.mean())
    width = f"{spread:.2g} times as wide as q" if math.isfinite(spread) else "of no width"
    side = "to the right" if shift > 0 else "to the left"
    moved = f", {abs(shift):.2g} {side} of it" if abs(shift) >= 0.1 else ""
    return f"the posterior is {width}{moved}"


def _mostly(names: Sequence[str], axis: Tensor) -> str:
    """The latents that a direction mostly is."""
    share = axis.abs() / axis.abs().max()
    order = share.argsort(descending=True)
    chosen = [names[int(i)] for i in order[:3] if float(share[i]) >= _NAMED]
    few = int((share >= _NAMED).sum()) <= len(chosen)
    return f"{'' if few and len(chosen) == 1 else 'mostly '}{', '.join(chosen)}{'' if few else ' and others'}"
