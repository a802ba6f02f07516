"""How many data like each one came before, counted once over all data and kept beside the shards.

One worker reads all data, in pieces, and hashes each; equal hashes are then counted bucket by bucket of a file of
hashes. Memory is that of a bucket, a 64th of the hashes; on disk a datum takes four bytes that stay and twelve that do
not.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from elbowroom.inference.programs.datum_keys import likes_before
from elbowroom.inference.progress import Tick
from elbowroom.inference.saving.one_writer import InUseError
from elbowroom.inference.saving.places import LocalPlace, Place

_FOLDER = "likes"
_DONE = "likes.json"
_PART = 1 << 20  # data whose counts are in one file
_BUCKET, _PASSES = 1 << 18, 64  # hashes that are sorted at once, about; more where that takes more passes over all
_READ = 4096  # data that are read at once
_WAIT = 0.5  # seconds between two looks whether another worker is done


class Hashed(Protocol):
    """Data whose hashes can be had."""

    def __len__(self) -> int:
        """How many there are."""

    def digests(self, begin: int, end: int) -> np.ndarray:
        """Hashes of some of them, `[R]` uint64."""


class Counts(Protocol):
    """How many like each of all data came before."""

    def read(self, begin: int, end: int) -> np.ndarray:
        """The counts of some of the data, `[R]`."""


@dataclass(frozen=True)
class Likes:
    """The counts of N data, kept in a place.

    Attributes:
        place: where the shards are.
        num_data: N.
    """

    place: Place
    num_data: int

    def read(self, begin: int, end: int) -> np.ndarray:
        """The counts of some of the data, `[R]` uint32."""
        parts = [
            self.place.read_part(_name(part), 4 * (first - part * _PART), 4 * (last - first))
            for part, first, last in _parts(begin, end)
        ]
        counts = np.frombuffer(b"".join(parts), "<u4")
        if len(counts) != end - begin:
            raise ValueError(f"{self.place.name}: the counts of equal data end too early; remove {_DONE} to count anew")
        return counts


def counted(place: Place, data: Hashed, tick: Tick, waiting: Callable[[], None]) -> Likes:
    """The counts, made by this worker if nobody has made them; while another one makes them, this one waits.

    Args:
        place: where they are kept.
        data: of which.
        tick: called with the number of data that were read.
        waiting: called once if another worker is at it.

    Raises:
        ValueError: if they were made of another number of data.
    """
    told = False
    while not place.has(_DONE):
        try:
            with place.writer(_FOLDER):
                if not place.has(_DONE):
                    _count(place, data, tick)
        except InUseError:
            if not told:
                waiting()
            told = True
            time.sleep(_WAIT)
    made = json.loads(place.read(_DONE))
    if made.get("num_data") != len(data):
        raise ValueError(
            f"{place.name} holds shards of {made.get('num_data')} data, and these are {len(data)}: give another place"
        )
    return Likes(place, len(data))


def _count(place: Place, data: Hashed, tick: Tick) -> None:
    folder = place.path / _FOLDER if isinstance(place, LocalPlace) else Path(tempfile.gettempdir())
    with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as other:
        digests = np.memmap(one, np.uint64, "w+", shape=(len(data),))
        counts = np.memmap(other, "<u4", "w+", shape=(len(data),))
        for begin, end in pieces(len(data), _READ):
            digests[begin:end] = data.digests(begin, end)
            tick(end - begin)
        count_by_buckets(digests, counts, max(_BUCKET, len(data) // _PASSES))
        for part, (begin, end) in enumerate(pieces(len(data), _PART)):
            place.write(_name(part), counts[begin:end].tobytes())
        place.write(_DONE, json.dumps({"num_data": len(data)}).encode())


def count_by_buckets(digests: np.ndarray, counts: np.ndarray, at_once: int) -> None:
    """Write how many equal ones stand before each digest `[N]` into `counts`, about so many digests at a time."""
    buckets = -(-len(digests) // at_once)
    for bucket in range(buckets):
        inside = [
            begin + np.flatnonzero(np.asarray(digests[begin:end]) % np.uint64(buckets) == bucket)
            for begin, end in pieces(len(digests), at_once)
        ]
        index = np.concatenate(inside)
        counts[index] = likes_before(np.asarray(digests[index]))


def pieces(total: int, at_once: int) -> Iterator[tuple[int, int]]:
    """(begin, end) covering 0 … total − 1, at most so many at a time."""
    for begin in range(0, total, at_once):
        yield begin, min(begin + at_once, total)


def _parts(begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(file, begin, end) for the files that hold the counts of some data."""
    while begin < end:
        part = begin // _PART
        last = min(end, (part + 1) * _PART)
        yield part, begin, last
        begin = last


def _name(part: int) -> str:
    return f"{_FOLDER}/{part:06d}.u4"
