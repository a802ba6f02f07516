"""One lattice of decoded points that serves all data, where the model makes the same of a point whatever the datum."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.exploration.decoding import Decoder, is_shared
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.looking import DECODED
from elbowroom.inference.exploration.overview import one_of
from elbowroom.inference.exploration.planes import with_window
from elbowroom.inference.exploration.result import Decoded, View
from elbowroom.inference.target import Target

SHARED = 48
"""Points along each axis of the lattice."""

_WIDEST = 3.0
"""Times as wide as the map that the lattice may become for the sake of a view."""

_NARROWEST = 0.1
"""Steps of the lattice that a window must have: between two points nothing is seen of what lies there."""

_TOGETHER = 128
"""Views that are decoded at once."""


def serves_all(target: Target, decoder: Decoder, frame: Frame) -> bool:
    """Whether the model makes the same of a point whatever the datum, asked at a few points of the map."""
    return is_shared(target, decoder.observation, frame.points(frame.lattice(3)).reshape(-1, 1, len(frame.origin)))


def on_the_map(
    coordinates: Coordinates, decoder: Decoder, frame: Frame, views: Sequence[View]
) -> tuple[Decoded, tuple[View, ...]]:
    """The lattice, and the views: with a lattice of their own where the window is far wider, narrower or elsewhere.

    Of more than two latents the map is no more than a plane, and views have theirs in any case.
    """
    if len(frame.origin) > len(frame.axes):
        return _lattice(coordinates, decoder, frame), tuple(views)
    served = [_is_served(frame.window, view.frame.window) for view in views]
    inside = [view for view, is_in in zip(views, served, strict=True) if is_in]
    others = [view for view, is_in in zip(views, served, strict=True) if not is_in]
    decoded = _lattice(coordinates, decoder, _covering(frame, inside))
    own: dict[int, Decoded] = {}
    for start in range(0, len(others), _TOGETHER):
        some = others[start : start + _TOGETHER]
        rows = coordinates.at(torch.tensor([view.datum for view in some]))
        lattices = decoder.lattice(rows, [view.frame for view in some], DECODED)
        own |= {view.datum: lattice for view, lattice in zip(some, lattices, strict=True)}
    return decoded, tuple(replace(view, decoded=own.get(view.datum)) for view in views)


def _is_served(window: Tensor, other: Tensor) -> bool:
    """Whether a view with the other window is well seen on the lattice of the map's."""
    width = window.diff()
    wide = torch.maximum(window[:, 1], other[:, 1]) - torch.minimum(window[:, 0], other[:, 0])
    near = bool((wide[:, None] <= _WIDEST * width).all())
    return near and bool((other.diff() >= _NARROWEST * width / (SHARED - 1)).all())


def _covering(frame: Frame, views: Sequence[View]) -> Frame:
    """The map, and the windows of views."""
    windows = torch.stack([frame.window, *(view.frame.window for view in views)])
    return with_window(frame, torch.stack([windows[..., 0].amin(0), windows[..., 1].amax(0)], 1))


def _lattice(coordinates: Coordinates, decoder: Decoder, frame: Frame) -> Decoded:
    return decoder.lattice(one_of(coordinates), [frame], SHARED)[0]
