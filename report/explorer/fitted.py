"""A page of at most so many bytes: what is least missed goes first, and the page says in words what went.

Each step of `STEPS` is taken for all data, and only if the page as it would really be is still too large.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.result import ABSENT, Decoded, Exploration, View
from elbowroom.report.explorer.drawn import Drawn
from elbowroom.report.explorer.encoded import Encoder
from elbowroom.report.explorer.payload import flattened, json_text, payload, pictures_changed, view_part

FEWEST_DRAWS = 100
"""So many draws of each view are kept where there is no room for all."""
_SMALLEST = 9  # points along an axis: coarser, a lattice shows nothing


class Content(NamedTuple):
    """What is to be shown, and how a datum of it is drawn."""

    exploration: Exploration
    drawn: Drawn


def fitted(exploration: Exploration, drawn: Drawn, most: int) -> str:
    """The JSON of the page, at most so many bytes.

    Args:
        exploration: as it was computed.
        drawn: how its data are drawn.
        most: bytes of UTF-8.

    Raises:
        ValueError: if what cannot be left out is larger.
    """
    encoder = Encoder()
    content = Content(flattened(exploration, drawn), drawn)
    text = json_text(payload(*content, encoder))
    for step, notice in STEPS:
        if _size(text) <= most:
            return text
        smaller = step(content)
        if smaller is not None:
            content = _with_notice(smaller, notice)
            text = json_text(payload(*content, encoder))
    while _size(text) > most and content.exploration.views:
        content = _with_fewer_views(content, _size(text) - most, encoder)
        text = json_text(payload(*content, encoder))
    if _size(text) > most:
        raise ValueError(
            f"max_bytes: the page needs {_size(text) - most} bytes more even without any plane or picture: "
            "give that much more, or explore fewer data"
        )
    return text


def _size(text: str) -> int:
    return len(text.encode())


def _with_notice(content: Content, notice: str) -> Content:
    exploration = content.exploration
    return content._replace(exploration=replace(exploration, notices=(*exploration.notices, notice)))


def _without_samples(content: Content) -> Content | None:
    def without(decoded: Decoded | None) -> Decoded | None:
        return None if decoded is None else replace(decoded, sample=None)

    return _decoded_changed(content, without)


def _fewer_draws(content: Content) -> Content | None:
    def fewer(draws: Tensor | None) -> Tensor | None:
        return None if draws is None else draws[:: -(-len(draws) // FEWEST_DRAWS)] if len(draws) else draws

    def changed(view: View) -> View:
        guide = fewer(view.guide)
        assert guide is not None
        return replace(view, guide=guide, posterior=fewer(view.posterior))

    if all(len(view.guide) <= FEWEST_DRAWS for view in content.exploration.views):
        return None
    return _views_changed(content, changed)


def _coarser_densities(content: Content) -> Content | None:
    if all(view.log_joint.shape[0] < 2 * _SMALLEST for view in content.exploration.views):
        return None

    def coarser(view: View) -> View:
        return replace(
            view,
            frame=_cut_frame(view.frame, view.log_joint.shape[0]),
            log_joint=_halved(view.log_joint),
            log_prior=_halved(view.log_prior),
            log_q=None if view.log_q is None else _halved(view.log_q),
        )

    return _views_changed(content, coarser)


def _coarser_pictures(content: Content) -> Content | None:
    def coarser(decoded: Decoded | None) -> Decoded | None:
        if decoded is None or decoded.mean.shape[0] < _SMALLEST:
            return decoded
        lines, pictures = decoded.window.shape[0], decoded.mean
        window = torch.stack([_cut(ends, pictures.shape[0]) for ends in decoded.window])
        return Decoded(window, pictures[(slice(None, None, 2),) * lines], None)

    return _decoded_changed(content, coarser)


def _fewer_pixels(content: Content) -> Content | None:
    if content.drawn.kind != "picture" or min(content.drawn.sizes[:2]) < 14:
        return None
    return Content(pictures_changed(content.exploration, content.drawn.halved), content.drawn.half())


def _no_pictures_elsewhere(content: Content) -> Content | None:
    """Of data without a view."""
    exploration = content.exploration
    chosen = [view.datum for view in exploration.views]
    x = torch.full_like(exploration.x, ABSENT)
    x[chosen] = exploration.x[chosen]
    return content._replace(exploration=replace(exploration, x=x))


def _with_fewer_views(content: Content, too_much: int, encoder: Encoder) -> Content:
    """Without the last views: as many as take the bytes that are too much, one at least."""
    views = content.exploration.views
    from_the_end = accumulate(_size(json_text(view_part(view, encoder))) for view in reversed(views))
    left = len(views) - next((n for n, taken in enumerate(from_the_end, 1) if taken >= too_much), len(views))
    shown = f"To keep the page small, planes and pictures are shown of {left} data, those that most need a look."
    others = tuple(notice for notice in content.exploration.notices if not notice.startswith(shown[:40]))
    exploration = replace(content.exploration, views=views[:left], notices=(*others, shown))
    return _no_pictures_elsewhere(content._replace(exploration=exploration)) or content


def _views_changed(content: Content, change: Callable[[View], View]) -> Content:
    views = tuple(change(view) for view in content.exploration.views)
    return content._replace(exploration=replace(content.exploration, views=views))


def _decoded_changed(content: Content, change: Callable[[Decoded | None], Decoded | None]) -> Content | None:
    """None if nothing changes."""
    exploration = content.exploration
    old = [exploration.decoded, *(view.decoded for view in exploration.views)]
    new = [change(decoded) for decoded in old]
    if all(_values(a) == _values(b) for a, b in zip(old, new, strict=True)):
        return None
    views = tuple(replace(view, decoded=decoded) for view, decoded in zip(exploration.views, new[1:], strict=True))
    return content._replace(exploration=replace(exploration, decoded=new[0], views=views))


def _values(decoded: Decoded | None) -> int:
    if decoded is None:
        return 0
    return decoded.mean.numel() + (0 if decoded.sample is None else decoded.sample.numel())


def _halved(values: Tensor) -> Tensor:
    """Every other point along each axis."""
    return values[(slice(None, None, 2),) * values.dim()]


def _cut_frame(frame: Frame, points: int) -> Frame:
    return replace(frame, window=torch.stack([_cut(ends, points) for ends in frame.window]))


def _cut(ends: Tensor, points: int) -> Tensor:
    """The window of every other of so many points: of an even number the last one is not among them."""
    low, high = ends
    return torch.stack([low, low + (high - low) * ((points - 1) // 2 * 2) / (points - 1)])


Step = Callable[[Content], Content | None]

STEPS: tuple[tuple[Step, str], ...] = (
    (_without_samples, "To keep the page small, draws of x given z are left out: under the cursor is the mean."),
    (_fewer_draws, f"To keep the page small, at most about {FEWEST_DRAWS} draws of q and of the chains are shown."),
    (_coarser_densities, "To keep the page small, densities stand at every other point of the lattice."),
    (_coarser_pictures, "To keep the page small, the model was asked at every other point of the lattice."),
    (_fewer_pixels, "To keep the page small, each pixel is the mean of a block of two by two."),
)
"""What is given up, in this order, and what the page then says; the last that is given up are planes."""
