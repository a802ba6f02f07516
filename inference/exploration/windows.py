"""Windows widened until the density at their edges is small beside its highest."""

from collections.abc import Sequence

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.planes import with_window
from elbowroom.inference.exploration.surfaces import on_lattices

_COARSE = 15
"""Points along each axis at which it is looked."""

_ROUNDS, _STEP = 5, 0.35
"""How often a side may be moved out, and by what share of the window."""

_DEPTH = 5.0
"""Nats below the highest density that an edge must be."""


def widened(coordinates: Coordinates, frames: Sequence[Frame], memory_bytes: int | None) -> list[Frame]:
    """The planes of all data of the coordinates, with windows that hold the mass that their draws have missed."""
    found = list(frames)
    for _ in range(_ROUNDS):
        log_joint = on_lattices(coordinates, found, _COARSE, memory_bytes).log_joint.movedim(-1, 0)  # [B, n, …]
        moved = [_moved(frame.window, density) for frame, density in zip(found, log_joint, strict=True)]
        if all(torch.equal(frame.window, window) for frame, window in zip(found, moved, strict=True)):
            break
        found = [with_window(frame, window) for frame, window in zip(found, moved, strict=True)]
    return found


def _moved(window: Tensor, log_density: Tensor) -> Tensor:
    """The window with those sides moved out at which the density is near its highest."""
    highest = log_density.max()
    new = window.clone()
    if not bool(highest.isfinite()):
        return new
    for axis in range(len(window)):
        for side, place in ((0, 0), (1, -1)):
            if float(log_density.select(axis, place).max()) > float(highest) - _DEPTH:
                new[axis, side] += (2 * side - 1) * _STEP * (window[axis, 1] - window[axis, 0])
    return new
