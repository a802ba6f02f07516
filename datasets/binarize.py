"""How grey values become zeros and ones, and the check that they have."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elbowroom.datasets import philox
from elbowroom.datasets.arrays import name_rows
from elbowroom.datasets.dataset import Dataset
from elbowroom.entrances import checked

Binarize = Literal["none", "threshold", "static", "dynamic"]
"""How grey values become zeros and ones: not at all, by a threshold, by one draw, by a new draw each time."""


def binarize_rows(
    x: NDArray[np.float32], split: str, mode: str, *, threshold: float = 0.5, seed: int = 0
) -> NDArray[np.float32]:
    """The `[N, P]` values of a split, as the programs or `Dataset.prepare` are to have them.

    - `none`: as they are.
    - `threshold`: 1 where x > threshold, else 0 (a value equal to the threshold, in float32, becomes 0).
    - `static`: one draw of Bernoulli(x), a function of (seed, split) that is the same on every machine.
    - `dynamic`: the training data stay grey (each minibatch is drawn anew by `Dataset.prepare`); the others as in
      `static`, so that held-out numbers can be compared.
    """
    return _MODES[mode](x, split, threshold, seed)


def check_mode(mode: str, threshold: float) -> None:
    """Raise ValueError on an unknown `binarize` or a threshold at which everything would be 0."""
    if mode not in _MODES:
        raise ValueError(f"binarize must be one of {', '.join(_MODES)}, got {mode!r}")
    if not (math.isfinite(threshold) and 0 <= threshold < 1):
        raise ValueError(f"threshold must lie in [0, 1), as grey values lie in [0, 1]; got {threshold}")


@checked
def check_binary(x: Tensor | Dataset, name: str | None = None) -> None:
    """Raise unless a Bernoulli likelihood can be given these data: every value is 0 or 1.

    Args:
        x: values, a datum a row; or a data set, looked at as the programs see it (`prepare` makes the training data
            of `dynamic` binary).
        name: what to call the data in the error.

    Raises:
        ValueError: naming the first rows that hold other values, and the ways out.
    """
    for part, values in _parts(x, name):
        grey = ((values != 0) & (values != 1)).reshape(len(values), math.prod(values.shape[1:]))
        if bool(grey.any()):
            rows = grey.any(1).nonzero().flatten().tolist()
            example = values.reshape(grey.shape)[grey][0].item()
            raise ValueError(
                f"{part}: a Bernoulli likelihood on grey values (such as {example:.6g}; {name_rows(rows)}), but it "
                "gives probability to 0 and 1 alone. Ways out, of which a trained model wants the one that it was "
                "trained with: (1) binarize='threshold', one fixed cut, x > 0.5; (2) binarize='static', one seeded "
                "draw, torch.bernoulli(x), or binarize='dynamic', a new draw for each minibatch of training; (3) a "
                "Normal likelihood (normal-fixed, normal-learned), which takes grey values as they are"
            )


def _parts(x: Tensor | Dataset, name: str | None) -> list[tuple[str, Tensor]]:
    if isinstance(x, Tensor):
        return [(name or "x", x)]
    splits = ["validation", "test"] if x.prepare is not None else ["train", "validation", "test"]
    return [(f"{name or x.name} ({split})", x.split(split)) for split in splits]


def _above(x: NDArray[np.float32], split: str, threshold: float, seed: int) -> NDArray[np.float32]:
    return (x > np.float32(threshold)).astype(np.float32)


def _draw(x: NDArray[np.float32], split: str, threshold: float, seed: int) -> NDArray[np.float32]:
    return philox.bernoulli(x, f"binarize/{split}", seed)


def _draw_held_out(x: NDArray[np.float32], split: str, threshold: float, seed: int) -> NDArray[np.float32]:
    return x if split == "train" else _draw(x, split, threshold, seed)


_MODES: dict[str, Callable[[NDArray[np.float32], str, float, int], NDArray[np.float32]]] = {
    "none": lambda x, split, threshold, seed: x,
    "threshold": _above,
    "static": _draw,
    "dynamic": _draw_held_out,
}
