"""What is to be done: which data make a chunk, by which estimator, from which seed.

Data are evaluated in *batches*, which begin at multiples of `batch` in the whole dataset: the last bits of what a
processor computes depend on the shape of what it is given, so a datum must always stand in the same place of the same
batch. A *chunk* is some batches, and one file; so however the data are cut into chunks, and whoever evaluates them, the
numbers are the same to the bit.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from elbowroom.inference.saving.places import Place
from elbowroom.inference.saving.reading import UnreadableError, parse_json
from elbowroom.inference.saving.seal import has_seal, sealed

FILE = "plan.json"
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What all workers agree on.

    Attributes:
        num_data: N.
        batch: data that are evaluated together.
        chunk: data in a file: a multiple of `batch`.
        estimator: by name, one of `ESTIMATORS`.
        options: of the estimator.
        seed: of everything random.
        programs: what the programs say of the first datum, and in which layouts they are run.
    """

    num_data: int
    batch: int
    chunk: int
    estimator: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    programs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_chunks(self) -> int:
        """How many files there will be."""
        return -(-self.num_data // self.chunk)

    def rows(self, chunk: int) -> tuple[int, int]:
        """The first datum of a chunk, and the one after its last."""
        return chunk * self.chunk, min((chunk + 1) * self.chunk, self.num_data)

    def batches(self, chunk: int) -> Iterator[tuple[int, int]]:
        """The same of each of its batches."""
        begin, end = self.rows(chunk)
        for first in range(begin, end, self.batch):
            yield first, min(first + self.batch, end)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"format": _FORMAT, **json.loads(json.dumps(asdict(self)))}

    @property
    def of_numbers(self) -> dict[str, Any]:
        """What the numbers depend on, and not only how they are cut into files."""
        return {name: value for name, value in self.record().items() if name != "chunk"}

    @property
    def digest(self) -> str:
        """A hash of all of it, by which a chunk's file is known."""
        return hashlib.blake2b(json.dumps(self.record(), sort_keys=True).encode(), digest_size=16).hexdigest()

    @classmethod
    def read(cls, place: Place) -> Self:
        """The plan of shards that are there.

        Raises:
            FileNotFoundError: if there are none.
            ValueError: if it was altered, or is of another version.
        """
        try:
            content = place.read(FILE)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"output: no shards at {place.name} (it has no {FILE}); give the place that shard was given"
            ) from error
        try:
            record = parse_json(_named(place), content)
            if not has_seal(_named(place), record) or record.pop("format", None) != _FORMAT:
                raise ValueError(f"{place.name}/{FILE} was not written by this version: begin in another place")
            record.pop("digest")
            return cls(**record)
        except (UnreadableError, TypeError) as error:
            raise ValueError(f"{place.name}/{FILE} is damaged ({error}): begin in another place") from error

    def agreed(self, place: Place) -> None:
        """Write the plan into a place, or see that it is the one that is there.

        Any number of workers may do so at once: they write the same.

        Raises:
            ValueError: naming what is otherwise there.
        """
        if not place.has(FILE):
            place.write(FILE, json.dumps(sealed(self.record()), indent=1).encode())
        there, mine = type(self).read(place).record(), self.record()
        for name, value in mine.items():
            if there[name] != value:
                raise ValueError(
                    f"output={place.name!r} holds shards of another plan: {name} is {there[name]!r} there, and "
                    f"{value!r} here. Ask for the same, or give another place"
                )


def _named(place: Place) -> Path:
    return Path(f"{place.name}/{FILE}")
