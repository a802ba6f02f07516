"""The map of all data: where the mean of q of each falls upon one plane."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.exploration.central import far_out, holding
from elbowroom.inference.exploration.draws import guide_draws
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.planes import of_latents

_SAMPLES = 128
"""Draws of q whose mean is a datum's code."""

_PRIOR = 400
"""Draws of the prior that tell how far it reaches: a map of the latents themselves holds it."""


class Overview(NamedTuple):
    """The plane of the codes; the codes, the mean of q of each datum, `[B, D]`; and which of them are far outside of
    the others, or not finite, `[B]`."""

    frame: Frame
    means: Tensor
    far: Tensor


def overview_of(coordinates: Coordinates, names: Sequence[str], seed: int, memory_bytes: int | None) -> Overview:
    """The latents themselves, one or two of them; of more the plane of the codes' two principal components."""
    means, prior = code_means(coordinates, seed, memory_bytes), prior_draws(coordinates, seed)
    far = far_out(means, prior)
    near = means[~far]
    if coordinates.dim <= 2:
        return Overview(holding(of_latents(names), near, prior), means, far)
    return Overview(holding(_of_components(near), near, None), means, far)


def _of_components(codes: Tensor) -> Frame:
    """The plane of the two principal components of codes `[K, D]`; of none, the first two latents."""
    dim = codes.shape[1]
    centre = codes.mean(0) if len(codes) else codes.new_zeros(dim)
    _, sizes, vectors = torch.linalg.svd(codes - centre, full_matrices=False)
    axes = vectors[:2] if len(vectors) >= 2 else torch.eye(dim, dtype=torch.float64)[:2]
    axes = axes * torch.where(axes.gather(1, axes.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)
    share = float(sizes[:2].square().sum() / sizes.square().sum().clamp_min(1e-300))
    says = (
        f"The plane of the two principal components of the codes, through their mean; {share:.0%} of their variance "
        "lies in it."
    )
    return Frame(centre, axes, axes, torch.zeros(2, 2), ("component 1", "component 2"), says)


def code_means(coordinates: Coordinates, seed: int, memory_bytes: int | None) -> Tensor:
    """The mean of q of every datum, `[B, D]`."""
    means = []
    for rows in torch.arange(len(coordinates.target)).split(256 if coordinates.target.sliceable else 1 << 40):
        some = coordinates.at(rows)
        total = sum(part.sum(0) for part in guide_draws(some, _SAMPLES, seed, memory_bytes))
        means.append(total / _SAMPLES)
    return torch.cat([torch.as_tensor(mean) for mean in means])


def one_of(coordinates: Coordinates) -> Coordinates:
    """One of the data, whatever their order: what holds for all alike is read off it."""
    return coordinates.at(torch.tensor([int(coordinates.target.keys.argmin())]))


def prior_draws(coordinates: Coordinates, seed: int) -> Tensor | None:
    """Draws of the prior of one datum, `[S, D]`; None if there are none to be had."""
    first = one_of(coordinates)
    try:
        with torch.no_grad():
            z = first.target.sample_prior(_PRIOR, seed=seed)
            u = side_by_side(first.target.unconstrain(z)) if not first.real else side_by_side(z)
    except (NotImplementedError, ValueError, RuntimeError):
        return None
    return u[:, 0].double().cpu()
