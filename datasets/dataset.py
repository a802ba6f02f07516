"""What `load` returns: three named splits, where they came from, and what was done to them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elbowroom.datasets.dequantize import draws_for
from elbowroom.datasets.splits import SPLITS


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named data, a datum a row.

    Attributes:
        name: of the data set, or of the file.
        train: float32 `[N, P]`, flattened; grey under `binarize="dynamic"` and `dequantize="dynamic"` (see `prepare`).
        validation: likewise.
        test: likewise.
        image_shape: (height, width) or (…) of one datum, if it is known to be an image.
        labels: split -> int64 `[N]`; only the splits that have labels.
        vocabulary: the P words of bags of words, in the order of the columns; empty if they are not known.
        binarize: how grey values became zeros and ones.
        threshold: the cut of `binarize="threshold"`.
        dequantize: how noise was added to stored integers: `"none"`, `"static"` or `"dynamic"`.
        seed: of the draw of `static` and `dynamic`; which data are held out does not depend on it.
        scale: what the source's numbers were divided by.
        split_rule: how the splits were made, in words.
        sha256: of the bytes of `files`, one after the other (`cat FILES | sha256sum`); of a folder its pictures'.
        files: what was read, in that order; or a folder of pictures.
        masks: split -> bool `[N, T]`, true where a sequence has a step; only for sequences of different lengths, all
            of whose splits have one. Elsewhere the values are zero.
        grey: whether the source holds other values than zeros and ones.
        notes: what the files hold that was left out, in words.
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    image_shape: tuple[int, ...] | None
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()
    binarize: str = "none"
    threshold: float = 0.5
    dequantize: str = "none"
    seed: int = 0
    scale: float = 1.0
    split_rule: str = ""
    sha256: str = ""
    files: tuple[Path, ...] = ()
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    grey: bool = False
    notes: tuple[str, ...] = ()

    @property
    def prepare(self) -> Callable[..., Tensor | tuple[Tensor, ...]] | None:
        """What training applies to each minibatch under `dynamic`: new pixels or new noise; else None."""
        if self.dequantize == "dynamic":
            return draws_for(self.scale)
        return draw_pixels if self.binarize == "dynamic" else None

    @property
    def unit(self) -> float:
        """What a difference of 1 in the source's numbers is in the data that programs are given."""
        return 1 / self.scale if self.dequantize == "none" else 1 / (self.scale + 1)

    def split(self, name: str) -> Tensor:
        """The `[N, P]` data of a split, or ValueError naming the splits."""
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}")
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def record(self) -> dict[str, Any]:
        """What a run's record says of its data: JSON-able, and enough to tell whether other data are the same."""
        parts = {name: self.split(name) for name in SPLITS}
        return {
            "name": self.name,
            "sizes": {name: len(x) for name, x in parts.items()},
            "num_features": self.train.shape[1],
            "image_shape": None if self.image_shape is None else list(self.image_shape),
            "binarize": self.binarize,
            "threshold": self.threshold if self.binarize == "threshold" else None,
            "dequantize": self.dequantize,
            "seed": self.seed,
            "scale": self.scale,
            "split_rule": self.split_rule,
            "notes": list(self.notes),
            "files": [path.name for path in self.files],
            "sha256": {"source": self.sha256}
            | {name: _digest(x) for name, x in parts.items()}
            | {f"{name} mask": _digest(mask) for name, mask in self.masks.items()},
        }


def draw_pixels(x: Tensor, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
    """One draw of Bernoulli(x), with torch's global generator: a minibatch of `binarize="dynamic"`.

    What else the programs are given (labels, masks) is handed on as it is.
    """
    drawn = torch.bernoulli(x)
    return (drawn, *others) if others else drawn


def _digest(x: Tensor) -> str:
    """Of the values as little-endian float32, row by row: the same on every machine."""
    values = np.ascontiguousarray(x.detach().cpu().numpy(), dtype="<f4")
    return hashlib.sha256(values.data).hexdigest()
