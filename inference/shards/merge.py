"""The files of all chunks as one table, read and written a piece at a time: every datum stands in it exactly once.

What is written, and in which order, does not depend on how the data were cut into chunks: pieces begin at multiples of
a number of their own, so the file is the same to the bit whatever the chunks were and whoever evaluated them.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elbowroom.entrances import checked
from elbowroom.inference.saving.durable import replacing
from elbowroom.inference.saving.places import LocalPlace, place_of
from elbowroom.inference.saving.state_file import StateError
from elbowroom.inference.shards.attempts import Attempts
from elbowroom.inference.shards.chunk_files import ChunkFiles
from elbowroom.inference.shards.columns import Columns, joined, merged_constants
from elbowroom.inference.shards.plan import Plan
from elbowroom.inference.shards.table_file import PIECE, Schema, write_table

FILE = "evidence.nc"
"""The merged table's name in a folder of shards."""

_NAMED = 10  # missing ranges that an error names


class MissingShards(StateError):
    """Some data have no finished chunk; the message names them.

    Attributes:
        ranges: (first datum, one after the last) of what is missing.
    """

    def __init__(self, message: str, ranges: list[tuple[int, int]]) -> None:
        super().__init__(message)
        self.ranges = ranges


@checked
def merge_shards(output: str | Path, *, file: str | Path | None = None, partial: bool = False) -> Path | str:
    """Write the chunks of a folder of shards into one netCDF file, and return where that is.

    The table has a row for each datum: `datum` (its index), `key` (which datum it is, by its contents), and for each
    estimate its value and standard error (nats), its flag and its diagnostics; `read_shards` reads it, and so do xarray
    and whatever reads netCDF-4. Memory is that of a few chunks, however many data there are.

    Args:
        output: where the shards are, a folder or a URL.
        file: where the table goes; `evidence.nc` there by default.
        partial: merge what there is; rows that are missing are then not in the table.

    Raises:
        MissingShards: if data are missing, damaged or left out, unless `partial`; the message names them.
        FileNotFoundError: if there are no shards.
        WriteError: if the table cannot be written.
    """
    place = place_of(output)
    plan = Plan.read(place)
    files = ChunkFiles(place, plan)
    whole, schema = _looked_at(files)
    missing = [chunk for chunk in range(plan.num_chunks) if chunk not in whole]
    if missing and (not partial or not whole):
        raise _missing(files, missing)
    told = {**_attributes(plan), "constants": json.dumps({name: list(v) for name, v in schema.constants.items()})}
    final = f"{place.name}/{FILE}" if file is None else str(file)
    num_rows = sum(end - begin for begin, end in map(plan.rows, whole))
    _written(final, Schema(num_rows, schema.numbers, schema.texts, told), _in_pieces(files, whole))
    return Path(final) if "://" not in final else final


@dataclass(frozen=True)
class _Seen:
    """The columns that any chunk has, and what is said of some of the data."""

    numbers: Mapping[str, torch.dtype]
    texts: tuple[str, ...]
    constants: Mapping[str, tuple[Any, ...]]


def _looked_at(files: ChunkFiles) -> tuple[dict[int, None], _Seen]:
    """The chunks that are whole, in order, and what columns they have."""
    whole: dict[int, None] = {}
    numbers: dict[str, torch.dtype] = {}
    texts: set[str] = set()
    constants: dict[str, tuple[Any, ...]] = {}
    for chunk in files.there():
        try:
            columns, made = files.read(chunk)
        except (StateError, FileNotFoundError):
            continue
        whole[chunk] = None
        numbers |= {name: column.dtype for name, column in columns.numbers.items()}
        texts |= columns.texts.keys()
        made_by = {f"made_by/{name}": (value,) for name, value in made.items() if name != "seconds"}
        constants = merged_constants([constants, columns.constants, made_by])
    return whole, _Seen(dict(sorted(numbers.items())), tuple(sorted(texts)), dict(sorted(constants.items())))


def _in_pieces(files: ChunkFiles, chunks: Iterable[int]) -> Iterator[tuple[range | list[int], Columns]]:
    """The rows of all chunks with their indices, `PIECE` of them at a time whatever the chunks are."""
    held: list[Columns] = []
    index: list[int] = []
    for chunk in chunks:
        columns, _ = files.read(chunk)
        held.append(columns)
        index += range(*files.plan.rows(chunk))
        if len(index) >= PIECE:
            columns = joined(held)
            most = len(index) - len(index) % PIECE
            for begin in range(0, most, PIECE):
                yield index[begin : begin + PIECE], _part(columns, begin, begin + PIECE)
            held, index = [_part(columns, most, len(columns))], index[most:]
    if index:
        yield index, joined(held)


def _part(columns: Columns, begin: int, end: int) -> Columns:
    numbers = {name: column[begin:end] for name, column in columns.numbers.items()}
    return Columns(numbers, {name: column[begin:end] for name, column in columns.texts.items()}, columns.constants)


def _written(final: str, schema: Schema, pieces: Iterator[tuple[Any, Columns]]) -> None:
    """Write the table, whole or not at all; behind a URL by way of a temporary file."""
    folder, _, name = final.rpartition("/") if "://" in final else ("", "", final)
    there = place_of(folder)
    if isinstance(there, LocalPlace):
        with replacing(there.path / name) as path:
            write_table(path, schema, pieces)
        return
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / name
        write_table(path, schema, pieces)
        there.put(path, name)


def _attributes(plan: Plan) -> dict[str, str]:
    """What the numbers are of; how they were cut into files is not."""
    record = {name: value for name, value in plan.record().items() if name != "chunk"}
    return {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for name, value in record.items()
    }


def _missing(files: ChunkFiles, chunks: list[int]) -> MissingShards:
    tried = Attempts(files.place).all()
    ranges: list[tuple[int, int]] = []
    for begin, end in map(files.plan.rows, chunks):
        if ranges and ranges[-1][1] == begin:
            ranges[-1] = ranges[-1][0], end
        else:
            ranges.append((begin, end))
    told = ", ".join(f"{begin} … {end - 1}" for begin, end in ranges[:_NAMED])
    told += f" and {len(ranges) - _NAMED} more ranges" if len(ranges) > _NAMED else ""
    reasons = [f"chunk {chunk}: {tried[chunk][-1]}" for chunk in chunks if chunk in tried][:_NAMED]
    damaged = [reason for chunk in chunks[:_NAMED] if (reason := files.why_redone(chunk))]
    why = f" ({'; '.join([*reasons, *damaged])})" if reasons or damaged else ""
    num = sum(end - begin for begin, end in ranges)
    return MissingShards(
        f"{num} of {files.plan.num_data} data are missing in {files.place.name}: {told}{why}. Run shard again with the "
        "same output, which does what is missing, or merge with partial",
        ranges,
    )
