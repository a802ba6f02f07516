"""One netCDF-4 file of columns, written a piece at a time and read back as estimates."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from elbowroom.entrances.visible import visible
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.shards.columns import FIRST, KEY, Columns, estimates_of, number, text_of

PIECE = 4096
"""Rows that are written at a time, and compressed together."""

_NATS = ("value", "stderr")
_COLUMN = "column"
_KINDS = {torch.float64: "f8", torch.float32: "f4", torch.int64: "i8", torch.int32: "i4", torch.bool: "i1"}


@dataclass(frozen=True)
class Schema:
    """What a table holds.

    Attributes:
        num_rows: of it.
        numbers: column -> its dtype.
        texts: columns of texts.
        attributes: what is said of the whole.
    """

    num_rows: int
    numbers: Mapping[str, torch.dtype]
    texts: tuple[str, ...]
    attributes: Mapping[str, str]


def write_table(path: Path, schema: Schema, pieces: Iterable[tuple[Any, Columns]]) -> None:
    """Write pieces of rows, each with the indices of its data."""
    import h5netcdf
    import h5py

    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"datum": schema.num_rows}
        file.attrs.update({name: visible(value) for name, value in schema.attributes.items()})
        size = (min(PIECE, max(schema.num_rows, 1)),)
        packed: dict[str, Any] = {"chunks": size, "compression": "gzip", "compression_opts": 4, "shuffle": True}
        index = file.create_variable("datum", ("datum",), "i8", **packed)
        made = {}
        for column, dtype in schema.numbers.items():
            made[column] = file.create_variable(_name(column), ("datum",), _KINDS[dtype], **packed)
            if column.split("/")[-1] in _NATS:
                made[column].attrs["units"] = "nats"
            if dtype is torch.bool:
                made[column].attrs["dtype"] = "bool"  # as xarray has it
        for column in schema.texts:
            made[column] = file.create_variable(_name(column), ("datum",), h5py.string_dtype(), chunks=size)
        for column, variable in made.items():
            variable.attrs[_COLUMN] = column
        begin = 0
        for rows, columns in pieces:
            end = begin + len(columns)
            index[begin:end] = np.asarray(rows, np.int64)
            for column, dtype in schema.numbers.items():
                made[column][begin:end] = number(columns, column, dtype).numpy().astype(_KINDS[dtype])
            for column in schema.texts:
                made[column][begin:end] = np.array([visible(text) for text in text_of(columns, column)], object)
            begin = end


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        estimates: name -> estimate of all its rows.
        data: the index of each row's datum in the whole dataset, `[R]`.
        keys: which datum it is, `[R]` uint64, as of `datum_keys`.
        first: log w of the guide's first draw for it, `[R]`, nats.
        attributes: what is said of the whole.
    """

    estimates: Mapping[str, Estimate[Any]]
    data: torch.Tensor
    keys: np.ndarray
    first: torch.Tensor
    attributes: Mapping[str, str]


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        OSError: if there is none, or it is no netCDF-4 file.
        ValueError: if it is no table of shards.
    """
    import h5netcdf

    with h5netcdf.File(path, "r") as file:
        attributes = {name: str(value) for name, value in file.attrs.items()}
        if "datum" not in file.variables or "constants" not in attributes:
            raise ValueError(f"{path} is no table of merged shards (it has no 'datum' or no 'constants')")
        numbers: dict[str, torch.Tensor] = {}
        texts: dict[str, tuple[str, ...]] = {}
        for variable in file.variables.values():
            column = variable.attrs.get(_COLUMN)
            if column is None:
                continue
            values = variable[...]
            if values.dtype.kind in "OSU":
                texts[column] = tuple(one.decode() if isinstance(one, bytes) else str(one) for one in values)
            else:
                kind = bool if "dtype" in variable.attrs else values.dtype
                numbers[column] = torch.from_numpy(values.astype(kind))
        data = torch.from_numpy(np.asarray(file.variables["datum"][...], np.int64))
    constants = {name: tuple(values) for name, values in json.loads(attributes["constants"]).items()}
    keys = numbers[KEY].numpy().view(np.uint64)
    return Table(estimates_of(Columns(numbers, texts, constants)), data, keys, numbers[FIRST], attributes)


def _name(column: str) -> str:
    """The variable of a column: `importance`, `importance_stderr`, `importance_ess`, `importance_iwae_5`."""
    return column.removesuffix("/value").replace("/info/", "/").replace("/", "_")
