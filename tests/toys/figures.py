"""What tests of figures share: every figure once, pictures of four pixels, and a line of a figure by its name."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from elbowroom.inference import importance, quadrature
from elbowroom.report import (
    gap_figure,
    image_rows_figure,
    interpolation_figure,
    loss_figure,
    posterior_figure,
    prior_samples_figure,
    reconstruction_figure,
    traversal_figure,
    versus_figure,
)
from toys.programs import data
from toys.report import DATA, toy
from toys.two_models import reversed_pair

IMAGE = (2, 2)


def decode(z: Tensor) -> Tensor:
    """Pictures of four pixels that say where they come from."""
    return torch.stack([z[:, 0], z[:, -1], z.sum(1), torch.ones(len(z))], 1)


def pictures(number: int, seed: int = 7) -> Tensor:
    """Pictures of four grey pixels."""
    return data(number, 4, seed=seed).sigmoid()


FIGURES: dict[str, Callable[[], Figure]] = {
    "posterior": lambda: posterior_figure(toy().target, toy().comparison, images=toy().x[DATA], image_shape=IMAGE),
    "posterior, one latent": lambda: posterior_figure(toy(1).target, toy(1).comparison),
    "posterior, three latents": lambda: posterior_figure(toy(3).target, toy(3).comparison),
    "loss": lambda: loss_figure([{"epoch": e, "train_loss": 9 / e} for e in range(1, 9)]),
    "reconstruction": lambda: reconstruction_figure(pictures(3), pictures(3, seed=8), IMAGE),
    "image rows": lambda: image_rows_figure({"a": pictures(3), "b": pictures(2)}, IMAGE, title="Images of two origins"),
    "prior samples": lambda: prior_samples_figure(pictures(7), IMAGE),
    "traversal": lambda: traversal_figure(decode, 2, IMAGE),
    "interpolation": lambda: interpolation_figure(decode, lambda x: x, [(pictures(2)[0], pictures(2)[1])], IMAGE),
    "versus": lambda: versus_figure(reversed_pair()),
    "gap": lambda: gap_figure(importance(toy().target, num_samples=100), quadrature(toy().target)),
}


def line_of(ax: Axes, gid: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the only line of that name."""
    (line,) = [line for line in ax.lines if line.get_gid() == gid]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
