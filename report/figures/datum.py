"""How is a datum drawn? What it is decides: an image, a sequence, a bag of words, an image with a label.

    drawn_figure(kind, drawn)              data from the model
    redrawn_figure(kind, drawn, again)     data, and what the model makes of them

with `kind` a name in `elbowroom.datasets.KINDS`; a new kind is one line of `DRAWN`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.said import said
from elbowroom.report.figures.bags import MOST_BAGS, bags_figure
from elbowroom.report.figures.images import prior_samples_figure, reconstruction_figure
from elbowroom.report.figures.sequences import sequences_figure
from elbowroom.report.figures.style import Picture

_MEANS, _DRAWS = "E[x|z] for {} draws of z from the prior", "{} data drawn from the model"


@dataclass(frozen=True)
class Drawn:
    """Data of one kind.

    Attributes:
        x: `[N, ...]`.
        others: what else the programs are called with, a row for each datum: a mask, labels.
        image_shape: of one datum, if it is known to be an image.
        means: whether x is E[x|z], not a draw of x.
        words: of the columns, if x are bags of words and they are known.
    """

    x: Tensor
    others: tuple[Tensor, ...] = ()
    image_shape: Sequence[int] | None = None
    means: bool = False
    words: Sequence[str] = ()

    @property
    def shape(self) -> Sequence[int]:
        """As what picture a datum is drawn: its own shape, or for data that are no pictures one near the square."""
        if self.image_shape is not None:
            return self.image_shape
        size = self.x[0].numel()
        height = next(h for h in range(math.isqrt(size), 0, -1) if size % h == 0)
        return height, size // height

    @property
    def title(self) -> str:
        """What x is."""
        return _MEANS if self.means else _DRAWS


class Drawing(NamedTuple):
    """How data of one kind are drawn.

    Attributes:
        samples: data from the model.
        pairs: data, and what the model makes of them.
        is_picture: whether one datum is seen as a small image, of which many in a row show how they change.
    """

    samples: Callable[[Drawn], Picture]
    pairs: Callable[[Drawn, Tensor], Picture]
    is_picture: bool = True


@checked
def drawn_figure(kind: str, drawn: Drawn) -> Picture:
    """Data from the model, drawn as what they are.

    Args:
        kind: what a datum is, a name in `elbowroom.datasets.KINDS`.
        drawn: the data.

    Raises:
        ValueError: if their shapes are not those of the kind.
    """
    return _drawing(kind).samples(drawn)


@checked
def redrawn_figure(kind: str, drawn: Drawn, again: Tensor) -> Picture:
    """Data, and what the model makes of them, drawn as what they are.

    Args:
        kind: what a datum is, a name in `elbowroom.datasets.KINDS`.
        drawn: the data.
        again: their reconstructions, of as many values.

    Raises:
        ValueError: if their shapes are not those of the kind.
    """
    return _drawing(kind).pairs(drawn, again)


@checked
def is_picture(kind: str) -> bool:
    """Whether one datum of this kind is seen as a small image, of which many in a row show how they change.

    Raises:
        ValueError: for a kind that is not known.
    """
    return _drawing(kind).is_picture


def _drawing(kind: str) -> Drawing:
    if kind not in DRAWN:
        raise ValueError(f"kind: got {said(kind)}, expected one of {', '.join(map(repr, DRAWN))}")
    return DRAWN[kind]


def _images(drawn: Drawn) -> Picture:
    return prior_samples_figure(drawn.x, drawn.shape, title=drawn.title)


def _image_pairs(drawn: Drawn, again: Tensor) -> Picture:
    return reconstruction_figure(drawn.x, again, drawn.shape)


def _labelled_images(drawn: Drawn) -> Picture:
    """In the order of their labels."""
    if not drawn.others:
        return _images(drawn)
    y = drawn.others[0].cpu()
    order = torch.argsort(y, stable=True)
    labels = ", ".join(f"{label} ({int((y == label).sum())})" for label in y.unique().tolist())
    return prior_samples_figure(drawn.x[order], drawn.shape, title=f"{drawn.title}, by label: {labels}")


def _completed(drawn: Drawn, x: Tensor) -> Tensor:
    """Whole images: the upper half that is given above the lower one."""
    return torch.cat([drawn.others[0].flatten(1).cpu(), x.flatten(1).cpu()], 1)


def _completions(drawn: Drawn) -> Picture:
    return _images(replace(drawn, x=_completed(drawn, drawn.x)))


def _completed_pairs(drawn: Drawn, again: Tensor) -> Picture:
    return _image_pairs(replace(drawn, x=_completed(drawn, drawn.x)), _completed(drawn, again))


def _image_data(drawn: Drawn) -> Drawn:
    """Images `[N, C, H, W]` say their shape themselves; flat ones do not."""
    return replace(drawn, image_shape=tuple(drawn.x.shape[1:])) if drawn.x.ndim == 4 else drawn


def _sequences(drawn: Drawn) -> Picture:
    return sequences_figure({"": drawn.x}, _mask(drawn), title=drawn.title.format(len(drawn.x)))


def _sequence_pairs(drawn: Drawn, again: Tensor) -> Picture:
    rows = {"data x": drawn.x, "mean of p(x|z)": again.reshape(drawn.x.shape)}
    return sequences_figure(rows, _mask(drawn), title=f"{len(drawn.x)} data and their reconstructions")


def _mask(drawn: Drawn) -> Tensor | None:
    return drawn.others[0] if drawn.others else None


def _bags(drawn: Drawn) -> Picture:
    x = _shares(drawn.x[:MOST_BAGS])
    shown = f", the first {len(x)}" if len(x) < len(drawn.x) else ""
    title = f"{drawn.title.format(len(drawn.x))}{shown}: shares of their words"
    return bags_figure({"": x}, drawn.words or None, title=title)


def _bag_pairs(drawn: Drawn, again: Tensor) -> Picture:
    rows = {"data x": _shares(drawn.x), "mean of p(x|z)": _shares(again)}
    return bags_figure(
        rows, drawn.words or None, title=f"{len(drawn.x)} data and their reconstructions: shares of the data's words"
    )


def _shares(x: Tensor) -> Tensor:
    """Of each word in its bag: a model's mean may be that of one word, or of as many as the bag has."""
    return x / x.sum(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)


_FLAT = Drawing(_images, _image_pairs)
_WITH_LABELS = Drawing(_labelled_images, _image_pairs)

DRAWN: Mapping[str, Drawing] = MappingProxyType(
    {
        **dict.fromkeys(("binary", "real", "unit", "counts", "levels"), _FLAT),
        "image": Drawing(lambda d: _images(_image_data(d)), lambda d, again: _image_pairs(_image_data(d), again)),
        "labelled": _WITH_LABELS,
        "partly-labelled": _WITH_LABELS,
        "completion": Drawing(_completions, _completed_pairs),
        "sequence": Drawing(_sequences, _sequence_pairs, is_picture=False),
        "bag": Drawing(_bags, _bag_pairs, is_picture=False),
    }
)
"""Kind of data -> how it is drawn."""
