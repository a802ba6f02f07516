"""What every row of the table is asked, whether it has latents or not."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.datasets import KINDS, Dataset, load
from elbowroom.entrances import checked
from elbowroom.inference import Estimate


@dataclass(frozen=True)
class Digits:
    """Images as zeros and ones or as levels, in three splits.

    Attributes:
        kind: `"binary"` or `"levels"`.
        levels: K; values are 0 … K − 1.
        train, validation, test: `[N, P]`.
        image_shape: (height, width) of a datum.
    """

    kind: str
    levels: int
    train: Tensor
    validation: Tensor
    test: Tensor
    image_shape: tuple[int, int]

    @classmethod
    def of(cls, data: Dataset, limit: int | None = None) -> "Digits":
        """Of a data set: zeros and ones if it was binarised, else the levels that its source holds.

        Args:
            data: images.
            limit: so many test data at equal distances, by default all.

        Raises:
            ValueError: if they are no grey images, or no whole numbers.
        """
        if data.image_shape is None or len(data.image_shape) != 2:
            raise ValueError(
                f"{data.name}: a datum has the shape {data.image_shape}, expected an image (height, width)"
            )
        kind = "levels" if data.binarize == "none" else "binary"
        train, validation, test = (KINDS[kind].arguments(data, split)[0] for split in ("train", "validation", "test"))
        levels = 2 if kind == "binary" else 1 + int(max(x.max() for x in (train, validation, test)))
        return cls(kind, levels, train, validation, evenly(test, limit), (data.image_shape[0], data.image_shape[1]))

    @property
    def some_train(self) -> Tensor:
        """As many training data as there are test data, at equal distances."""
        return evenly(self.train, len(self.test))


class Sides(NamedTuple):
    """log p(x) of each datum, and for some of them from both sides.

    Attributes:
        log_p: an exact value, or one from below, `[B]`.
        lower, upper: how much higher log p(x) is than that at some of the data, from below and from above, `[n]`; None
            where `log_p` is exact, or nobody looked.
    """

    log_p: Estimate
    lower: Estimate | None = None
    upper: Estimate | None = None


@dataclass(frozen=True)
class Fitted:
    """A rival that was fitted.

    Attributes:
        log_p: data `[B, P]` to log p(x), without a look from above.
        both_sides: the same with it; None where `log_p` is exact, or there is no way from above.
        sample: a number of draws and a seed to x `[N, P]`.
        num_parameters: how many numbers were fitted, those of a guide left out.
    """

    log_p: Callable[[Tensor], Estimate]
    sample: Callable[[int, int], Tensor]
    num_parameters: int
    both_sides: Callable[[Tensor], Sides] | None = None


class Rival(NamedTuple):
    """One row.

    Attributes:
        label: what it is, in a few words.
        kinds: `"binary"`, `"levels"`, or both.
        avoids: what it does about its normalising constant.
        cannot: what it cannot do.
        fit: data and a seed to a fitted one.
        needs: the module that it is made of, which an extra installs; empty if it needs none.
    """

    label: str
    kinds: tuple[str, ...]
    avoids: str
    cannot: str
    fit: Callable[[Digits, int], Fitted]
    needs: str = ""

    @property
    def is_here(self) -> bool:
        """Whether what it is made of is installed."""
        return not self.needs or find_spec(self.needs) is not None


@checked
def digits(kind: str = "binary", limit: int | None = None) -> Digits:
    """The embedded digits as zeros and ones, or as 17 levels.

    Raises:
        ValueError: if it is another kind.
    """
    if kind not in ("binary", "levels"):
        raise ValueError(f"kind: got {kind!r}, expected 'binary' or 'levels'")
    return Digits.of(load("digits", binarize="threshold" if kind == "binary" else "none"), limit)


def evenly(x: Tensor, count: int | None) -> Tensor:
    """So many rows at equal distances, the first and the last among them; all if there are no more."""
    if count is None or count >= len(x):
        return x
    if count < 2:
        raise ValueError(f"limit: got {count}, expected at least 2 data: an interval over data needs them")
    return x[torch.linspace(0, len(x) - 1, count).round().long()]
