"""Tables of numbers in text files (.csv, .tsv, .amat) and .parquet: a datum a row, a column for each value."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.keys import is_label_column

_INDICES = ("", "unnamed: 0", "index", "id")  # names of a first column that may be no data
_SHOWN = 3  # columns that an error names
_LOOKED_AT = 100_000  # lines that are searched for the cell that is no number


class Table(NamedTuple):
    """Values `[N, P]` and the names of the columns; none, if the file has no header."""

    values: NDArray[np.float64]
    names: tuple[str, ...]


def read_delimited(path: Path) -> Arrays:
    """A .csv (commas, semicolons or tabs) or .tsv (tabs) of numbers; a column called label or y holds classes.

    The first line may name the columns.

    Raises:
        ValueError: if a cell is empty or no number, rows differ in length, or a column is an index that somebody wrote
            beside the data; the message names line and column.
    """
    with _text(path):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
        delimiter = "\t" if path.name.lower().endswith(".tsv") else max(",;\t", key=first.count)
        cells = next(csv.reader([first.lstrip("# ")], delimiter=delimiter), [])
        header = not all(map(_is_number, cells))
        if len(cells) > 2 and cells == [str(i) for i in range(len(cells))]:
            raise ValueError(
                f"{path}: the first line counts the columns 0, 1, 2, …, as pandas names them: a header, or a datum? "
                f"Write it without these names (to_csv({path.name!r}, header=False, index=False)), or, if it is a "
                "datum, with a line of names before it"
            )
        return _arrays(Table(_values(path, delimiter, int(header)), tuple(cells) if header else ()), path)


def read_amat(path: Path) -> Arrays:
    """A matrix of text, columns apart by blanks: MNIST as Larochelle and Murray (2011) made zeros and ones of it.

    785 columns are 784 pixels and, last, a class (Larochelle et al. 2007).
    """
    with _text(path):
        values = _values(path, None, 0)
    if values.shape[1] == 785:
        return Arrays({"train": values[:, :784].reshape(-1, 28, 28)}, {"train": values[:, 784]})
    return Arrays({"train": values.reshape(-1, 28, 28) if values.shape[1] == 784 else values})


def read_parquet(path: Path) -> Arrays:
    """A table of numbers, as pandas or Polars write it; a column called label or y holds classes.

    Raises:
        ImportError: without pyarrow, which the extra `parquet` brings.
        ValueError: if it is no such file, or a column holds something else than numbers.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise ImportError(
            f"{path}: .parquet files are read by pyarrow, which is not installed: pip install 'elbowroom[parquet]', or "
            f"convert it where pandas can read it: pandas.read_parquet({path.name!r}).to_csv("
            f"{path.stem + '.csv'!r}, index=False)"
        ) from None
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a .parquet file: {error}") from error
    frame = {name: table[name].to_numpy() for name in table.column_names if not name.startswith("__index_level_")}
    if other := [f"{name!r} ({x.dtype})" for name, x in frame.items() if x.dtype.kind not in "biuf"]:
        raise ValueError(
            f"{path}: {_named(other)} of its {len(frame)} columns hold{'s' if len(other) == 1 else ''} no numbers: "
            "leave them out, or encode them, and write the file again"
        )
    if not frame:
        raise ValueError(f"{path}: a table without columns")
    return _arrays(Table(np.stack([x.astype(np.float64) for x in frame.values()], 1), tuple(frame)), path)


def _arrays(table: Table, path: Path) -> Arrays:
    values, names = table
    _refuse_index(table, path)
    classes = [i for i, name in enumerate(names) if is_label_column(name)]
    if len(classes) > 1:
        raise ValueError(f"{path}: the columns {', '.join(repr(names[i]) for i in classes)} all name classes: keep one")
    if len(classes) == values.shape[1]:
        raise ValueError(f"{path}: it has classes only, the column {names[0]!r}, and no data")
    rest = [i for i in range(values.shape[1]) if i not in classes]
    return Arrays({"train": values[:, rest]}, {"train": values[:, classes[0]]} if classes else {})


def _refuse_index(table: Table, path: Path) -> None:
    """An index that was written along is no datum's value: a first column of no name, or id, that counts the rows."""
    values, names = table
    first = values[0, 0]
    if names and names[0].strip().lower() in _INDICES and np.array_equal(values[:, 0], first + np.arange(len(values))):
        raise ValueError(
            f"{path}: the first column {'has no name' if not names[0] else f'is called {names[0]!r}'} and counts the "
            f"rows {first:.0f}, {first + 1:.0f}, {first + 2:.0f}, …: an index that was written along. Write the file "
            f"without it: pandas.read_csv({path.name!r}, index_col=0).to_csv({path.name!r}, index=False)"
        )


def _values(path: Path, delimiter: str | None, skipped: int) -> NDArray[np.float64]:
    """All numbers, `[N, P]`."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = (line for line in islice(stream, skipped, None) if line.strip())
        first = next(lines, None)
        if first is None:
            raise ValueError(f"{path}: no data: the file has {'a header only' if skipped else 'no line of numbers'}")
        try:
            return np.loadtxt(
                _chained(first, lines), delimiter=delimiter, comments=None, ndmin=2, quotechar='"', dtype=np.float64
            )
        except ValueError as error:
            reason = _culprit(path, delimiter) or str(error)
    raise ValueError(f"{path}: {reason}")


def _culprit(path: Path, delimiter: str | None) -> str:
    """Which line and column of a table is not as the others, in words; empty if it is not found."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows: Iterable[Sequence[str]]
        rows = (line.split() for line in stream) if delimiter is None else csv.reader(stream, delimiter=delimiter)
        names: Sequence[str] = ()
        width = 0
        for number, cells in enumerate(islice(rows, _LOOKED_AT), 1):
            if not cells:
                continue
            if number == 1 and not all(map(_is_number, cells)):
                names = cells
                continue
            width = width or len(cells)
            if len(cells) != width:
                return f"line {number} has {len(cells)} values, the first one {width}: one row for each datum"
            for i, cell in enumerate(cells):
                if not _is_number(cell):
                    column = f"column {names[i]!r}" if i < len(names) else f"column {i + 1}"
                    what = f"is {cell[:20]!r}, no number" if cell.strip() else "is empty"
                    if all(map(_is_number, cell.split())) and cell.strip():
                        return f"line {number}, {column} {what}: columns apart by blanks are read of .amat files"
                    if _is_number(cell.replace(",", ".")):
                        return (
                            f"line {number}, {column} {what}: decimals with commas; pandas.read_csv({path.name!r}, "
                            f"sep={delimiter!r}, decimal=',').to_csv({path.name!r}, index=False)"
                        )
                    return (
                        f"line {number}, {column} {what}. Data are numbers, all of them there: leave out such columns "
                        "or rows, or encode them, and write the file again"
                    )
    return ""


@contextmanager
def _text(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not UTF-8 text ({error}), expected a table of numbers; of another encoding, "
            f"pandas.read_csv({path.name!r}, encoding='latin1').to_csv({path.name!r}, index=False)"
        ) from error


def _chained(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _named(items: Sequence[Any]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(map(str, items[:_SHOWN])) + more
