"""All data, of which some at a time become a target: held in memory, or read from where they lie.

A batch of data is the same target whoever asks for it: the same rows with the keys that they have among all data, so
the second of two equal ones knows that it is the second wherever the first is evaluated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from elbowroom.entrances.said import said
from elbowroom.inference.programs.datum_keys import content_digests, likes_before, numbered_keys
from elbowroom.inference.target import Target


class Rowed(Protocol):
    """What data may be read from: an array, a memory map, or anything with a length and slices of rows."""

    def __len__(self) -> int:
        """How many rows there are."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Some of them, as an array or a tensor `[R, ...]`."""


Data = str | Path | Rowed | Sequence[str | Path | Rowed]
"""Where the rows are: a `.npy` file, or what has rows; several for programs with several per-datum arguments."""


@dataclass(frozen=True)
class NpyFile:
    """The array of a `.npy` file: of it is read what is asked for, and let go of again."""

    path: Path

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, rows: slice) -> np.ndarray:
        some = np.array(self._mapped()[rows])  # the map is closed again, or all that was ever read would count as used
        return some.astype(some.dtype.newbyteorder("="), copy=False)

    @cached_property
    def _length(self) -> int:
        return len(self._mapped())

    def _mapped(self) -> np.ndarray:
        try:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{self.path}: cannot be mapped as an .npy of numbers ({error})") from error
        if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "biuf":
            raise ValueError(f"{self.path}: data must be an .npy with a row of numbers for each datum")
        return array


class Rows(Protocol):
    """All data of programs."""

    @property
    def target(self) -> Target:
        """The programs, pinned to these data or to some like them."""

    def __len__(self) -> int:
        """How many data there are."""

    def batch(self, begin: int, end: int, likes: np.ndarray | None) -> Target:
        """The programs pinned to the data from one to another, with the keys that these have among all."""

    def first(self, many: int) -> Target:
        """The programs pinned to the first data: of these nothing needs to be known of the others."""


@dataclass(frozen=True)
class Held:
    """The data of a target."""

    target: Target

    def __post_init__(self) -> None:
        if not self.target.sliceable:
            raise ValueError(f"these data cannot be cut into shards: {self.target.why_whole()}")

    def __len__(self) -> int:
        return len(self.target)

    def batch(self, begin: int, end: int, likes: np.ndarray | None) -> Target:
        return self.target.select(range(begin, end))

    def first(self, many: int) -> Target:
        return self.batch(0, min(many, len(self)), None)


@dataclass(frozen=True)
class Stored:
    """Data that are read when they are asked for, for the programs of a target of some others like them.

    Attributes:
        target: the programs, pinned to a few data.
        sources: of each per-datum argument, in the order of `target.data`.
    """

    target: Target
    sources: tuple[Rowed, ...]
    _kinds: list[tuple[torch.dtype, tuple[int, ...], torch.device]] = field(init=False)

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.target.per_datum):
            raise ValueError(
                f"data: got {len(self.sources)}, expected one for each of the programs' per-datum arguments "
                f"{list(self.target.per_datum)}"
            )
        if len({len(source) for source in self.sources}) != 1:
            raise ValueError(f"data must have as many rows each, got {[len(source) for source in self.sources]}")
        if not len(self):
            raise ValueError("data: got no rows, expected at least one")
        kinds = [(value.dtype, tuple(value.shape[1:]), value.device) for value in self.target.data]
        object.__setattr__(self, "_kinds", kinds)

    def __len__(self) -> int:
        return len(self.sources[0])

    def batch(self, begin: int, end: int, likes: np.ndarray | None) -> Target:
        tensors = self.tensors(begin, end)
        digests = content_digests(tensors, end - begin)
        assert likes is not None
        return self.target.over(tensors, numbered_keys(digests, likes))

    def first(self, many: int) -> Target:
        return self.batch(0, min(many, len(self)), likes_before(self.digests(0, min(many, len(self)))))

    def digests(self, begin: int, end: int) -> np.ndarray:
        """Hashes of the values of some of the data, `[R]` uint64."""
        return content_digests(self.tensors(begin, end), end - begin)

    def tensors(self, begin: int, end: int) -> list[Tensor]:
        """Some of the data as the programs take them.

        Raises:
            ValueError: if they have another shape.
        """
        found = []
        for source, (dtype, shape, device) in zip(self.sources, self._kinds, strict=True):
            rows = source[slice(begin, end)]
            value = rows if isinstance(rows, Tensor) else torch.from_numpy(np.ascontiguousarray(rows))
            if value[0].numel() != math.prod(shape):
                raise ValueError(f"data have rows of shape {tuple(value.shape[1:])}, and the programs take {shape}")
            # Memory of torch's own, which begins at a round address: last bits of matrix products depend on that, too.
            fresh = torch.empty((len(value), *shape), dtype=dtype, device=device)
            found.append(fresh.copy_(value.reshape(fresh.shape)))
        return found


def rows_of(target: Target, data: Data | None) -> Rows:
    """The data of a target, or others for the programs of a target of some like them.

    Raises:
        ValueError: if the data cannot be cut, or do not fit the programs.
        FileNotFoundError: if there is no such file.
    """
    if data is None:
        return Held(target)
    several = tuple(data) if isinstance(data, list | tuple) else (data,)
    return Stored(target, tuple(map(_source, several)))


def _source(one: Any) -> Rowed:
    """What rows are read from, by itself or by its path.

    Raises:
        TypeError, FileNotFoundError: naming what was got, and what to give.
    """
    expected = "give an .npy file with a row of numbers for each datum, or an array or memory map of such rows"
    if isinstance(one, str | Path):
        if "\0" in str(one) or not _is_file(Path(one)):
            raise FileNotFoundError(f"data: there is no file {str(one)[:200]!r}; {expected}")
        return NpyFile(Path(one))
    kind = getattr(getattr(one, "dtype", None), "kind", None)
    slices = hasattr(one, "__len__") and hasattr(one, "__getitem__") and not isinstance(one, str | bytes | type)
    if not slices or isinstance(one, list | tuple | nn.Module) or (kind is not None and kind not in "biuf"):
        raise TypeError(f"data: got {said(one)}; {expected}")
    return one


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False
