"""Walks through the latent space: traversals of the prior, and straight lines between two data."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.report.figures.images import as_images, show_mosaic, value_range
from elbowroom.report.figures.style import Picture, new_figure, styled

Network = Callable[[Tensor], Any]
"""`[N, ...]` to a tensor `[N, ...]`, or to a distribution whose mean is taken."""

_MOST_ROWS = 12
_CELL = 0.5


@checked
def traversal_figure(
    decode: Network,
    latent_dim: int,
    image_shape: Sequence[int],
    *,
    num_steps: int = 15,
    tail: float = 0.02,
    latents: Sequence[int] | None = None,
    given: str = "",
) -> Picture:
    """What the decoder draws over the standard-normal prior's quantiles.

    Two latents: a map, z[0] to the right and z[1] upwards. Otherwise a row for each latent, the others at 0.

    Args:
        decode: z `[N, D]` (in torch's default dtype) to the mean of p(x|z) or to that distribution.
        latent_dim: D.
        image_shape: (height, width), (height, width, 3) or (3, height, width).
        num_steps: quantiles, evenly spaced in probability from `tail` to 1 − `tail`.
        tail: of the prior's mass on each side that is left out.
        latents: which latents to walk along (default: all, the first 12 of more than 12).
        given: what else the decoder is given, for the title.

    Raises:
        ValueError: if a number is out of range, `tail` not in (0, 0.5), a latent not in 0 … D − 1, or the decoder's
            output has not the values of `image_shape`.
    """
    if latent_dim < 1 or num_steps < 2 or not 0 < tail < 0.5:
        raise ValueError(
            f"got latent_dim={latent_dim}, num_steps={num_steps}, tail={tail}; expected at least 1, at least 2, and a "
            "probability below 0.5"
        )
    chosen = list(range(min(latent_dim, _MOST_ROWS))) if latents is None else [int(d) for d in latents]
    if not chosen or not all(0 <= d < latent_dim for d in chosen):
        raise ValueError(f"latents: got {chosen}, expected some of 0 … {latent_dim - 1}")
    values = ndtri(np.linspace(tail, 1 - tail, num_steps))
    flat = latent_dim == 2 and len(chosen) == 2
    z = _plane(values, chosen) if flat else _lines(values, chosen, latent_dim)  # [R, C, D]
    images = as_images("decode", _mean(decode, torch.as_tensor(z.reshape(-1, latent_dim))), image_shape)
    grid = images.reshape(*z.shape[:2], *images.shape[1:])
    with styled():
        figure = new_figure(1.1 + _CELL * z.shape[1], 1.0 + _CELL * z.shape[0])
        ax = figure.subplots()
        show_mosaic(ax, grid, value_range(images))
        height, width = grid.shape[2] + 1, grid.shape[3] + 1
        shown = range(num_steps)
        ax.set_xticks([(j + 0.5) * width - 1 for j in shown], [f"{values[j]:.1f}" for j in shown])
        if flat:
            ax.set_xlabel(f"z[{chosen[0]}]")
            ax.set_ylabel(f"z[{chosen[1]}]")
            ax.set_yticks([(num_steps - 0.5 - i) * height - 1 for i in shown], [f"{values[i]:.1f}" for i in shown])
            title = "E[x|z] over the latent plane"
        else:
            ax.set_xlabel("value of that latent, the others at 0")
            ax.set_yticks([(i + 0.5) * height - 1 for i in range(len(chosen))], [f"z[{d}]" for d in chosen])
            title = "E[x|z] along " + ("the latent" if latent_dim == 1 else _which(chosen, latent_dim))
        title = f"{title}, from the prior's {tail:.0%} to its {1 - tail:.0%} quantile"
        figure.suptitle(f"{title}, {given}" if given else title, x=0.01, ha="left")
    return figure


@checked
def interpolation_figure(
    decode: Network,
    encode: Network,
    pairs: Sequence[tuple[Tensor, Tensor]],
    image_shape: Sequence[int],
    *,
    num_steps: int = 9,
) -> Picture:
    """A row for each pair of data: the first, E[x|z] along the straight line between their codes, and the second.

    Args:
        decode: z `[N, D]` to the mean of p(x|z) or to that distribution.
        encode: x `[N, ...]` to the mean of q(z|x) or to that distribution.
        pairs: two data each.
        image_shape: (height, width), (height, width, 3) or (3, height, width).
        num_steps: codes on each line, its ends among them.

    Raises:
        ValueError: if there are no pairs, fewer than two steps, or shapes do not fit.
    """
    if not pairs or num_steps < 2:
        raise ValueError(f"got {len(pairs)} pairs and num_steps={num_steps}, expected at least 1 and at least 2")
    first, second = (torch.stack([torch.as_tensor(pair[i]) for pair in pairs]) for i in (0, 1))  # [R, ...]
    ends = [_mean(encode, x) for x in (first, second)]
    share = torch.linspace(0, 1, num_steps).to(ends[0]).reshape(-1, 1)
    z = ends[0].unsqueeze(1) * (1 - share) + ends[1].unsqueeze(1) * share  # [R, C, D]
    between = as_images("decode", _mean(decode, z.flatten(0, 1)), image_shape)
    left, right = as_images("pairs", first, image_shape), as_images("pairs", second, image_shape)
    middle = between.reshape(len(pairs), num_steps, *between.shape[1:])
    limits = value_range(between, left, right)
    with styled():
        figure = new_figure(1.0 + 0.62 * (num_steps + 2), 0.9 + 0.62 * len(pairs))
        width = middle.shape[3]
        axes = figure.subplots(1, 3, width_ratios=[width, num_steps * (width + 1) - 1, width])  # pixels of one size
        panels = (left[:, None], middle, right[:, None])
        titles = ("data", "E[x|z], z on the line between their codes", "data")
        for ax, grid, title in zip(axes, panels, titles, strict=True):
            show_mosaic(ax, grid, limits)
            ax.set_title(title, loc="center")
        figure.suptitle("From one datum to another through the latent space", x=0.01, ha="left")
    return figure


def _plane(values: np.ndarray, latents: list[int]) -> np.ndarray:
    """Points `[R, C, 2]`: the first latent grows to the right, the second upwards."""
    across, up = np.meshgrid(values, values[::-1])
    plane = np.zeros((*across.shape, 2))
    plane[..., latents[0]], plane[..., latents[1]] = across, up
    return plane


def _lines(values: np.ndarray, latents: list[int], latent_dim: int) -> np.ndarray:
    """Points `[R, C, D]`: row r walks along one latent, the others at the prior's mean."""
    lines = np.zeros((len(latents), len(values), latent_dim))
    for row, latent in enumerate(latents):
        lines[row, :, latent] = values
    return lines


def _mean(network: Network, inputs: Tensor) -> Tensor:
    if inputs.is_floating_point() and inputs.dtype == torch.float64:
        inputs = inputs.to(torch.get_default_dtype())
    with torch.no_grad():
        result = network(inputs)
    mean = result.mean if isinstance(result, torch.distributions.Distribution) else result
    if not isinstance(mean, Tensor):
        raise TypeError(f"the network returned {type(result).__name__}, expected a tensor or a distribution")
    return mean.detach().cpu()


def _which(chosen: list[int], latent_dim: int) -> str:
    return "each latent" if len(chosen) == latent_dim else f"{len(chosen)} of {latent_dim} latents"
