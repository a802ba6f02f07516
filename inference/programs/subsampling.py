"""Plates that take a subsample: they are given all their rows, so that evidence and guide speak of the same data."""

import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import Tensor

from elbowroom.inference.programs.private_pyro import SUBSAMPLE_REQUEST, request_subsamples_by
from elbowroom.inference.programs.requirements import ProgramError

_LOCK = threading.Lock()
_LOCAL = threading.local()
_users = 0  # contexts that are open, in all threads


class Whole:
    """Inside, a plate that would draw some of its rows has all of them, `arange(size)`, and says so to its frame.

    One that has no size is given the size that was read off its sites (`sizeless.py`).

    Pyro compares the number of rows with the plate's `subsample_size` after every handler has had its say, so the
    request itself is changed: Pyro's function for it is replaced while a context is open, and acts only in
    threads that are inside one.

    Args:
        but: plates that are left as they are: minibatches, whose other rows the program does not have.
        sizes: the sizes of plates that have none of their own.
    """

    def __init__(self, but: Collection[str] = (), sizes: Mapping[str, int] | None = None) -> None:
        self.but, self.sizes = but, dict(sizes or {})
        self.seen: dict[str, tuple[int, int]] = {}
        """Plates that were made whole: name -> (size, rows it asked for)."""

    def __enter__(self) -> "Whole":
        global _users
        with _LOCK:
            _users += 1
            if _users == 1:
                request_subsamples_by(staticmethod(_request))
        _open().append(self)
        return self

    def __exit__(self, *exception: Any) -> None:
        global _users
        _open().remove(self)
        with _LOCK:
            _users -= 1
            if _users == 0:
                request_subsamples_by(SUBSAMPLE_REQUEST)

    def rows(self, name: str, size: int | None, subsample_size: int | None) -> int | None:
        """How many rows a plate is to ask for; None for all of them."""
        if size is None or subsample_size is None or name in self.but:
            return subsample_size
        if subsample_size < size:
            self.seen[name] = (int(size), int(subsample_size))
        return None  # also where fewer data are left than it asks for: they were picked


def _open() -> list[Whole]:
    """The contexts that are open in this thread, innermost last."""
    opened: list[Whole] = vars(_LOCAL).setdefault("open", [])
    return opened


def _request(
    name: str,
    size: int | None = None,
    subsample_size: int | None = None,
    subsample: Tensor | None = None,
    *others: Any,
    **options: Any,
) -> Any:
    if _open() and subsample is None:
        size = _open()[-1].sizes.get(name) if size is None else size
        subsample_size = _open()[-1].rows(name, size, subsample_size)
    return SUBSAMPLE_REQUEST.__func__(name, size, subsample_size, subsample, *others, **options)


def check_all_rows(name: str, site: Any, seen: Mapping[str, tuple[int, int]]) -> None:
    """An observed site in a plate that was made whole must have a value for each row, else the data are a minibatch.

    Raises:
        ProgramError: if it has not.
    """
    value, fn = site["value"], site["fn"]
    for frame in site["cond_indep_stack"]:
        if frame.name not in seen or frame.dim is None:
            continue
        dim = frame.dim - fn.event_dim
        rows = value.shape[dim] if value.dim() >= -dim else 1
        if rows != frame.size:
            raise ProgramError(
                f"observed site '{name}' has values for {rows} rows, its plate '{frame.name}' has {frame.size}"
            )


def check_own_rows(sites: Iterable[tuple[str, Any]], plate: str | None) -> None:
    """Plates other than the data's must hold all of their rows: the evidence of some of them is not that of all.

    Raises:
        ProgramError: naming the plate, its size and the number of its rows.
    """
    for name, site in sites:
        for frame in site["cond_indep_stack"]:
            if frame.name != plate and frame.full_size not in (None, -1) and frame.full_size != frame.size:
                raise own_rows(frame.name, frame.full_size, frame.size, f"of site '{name}' ")


def own_rows(name: str, size: int, rows: int, where: str = "", failure: Exception | None = None) -> ProgramError:
    """What is said of a plate that stands for more rows than the program has; `failure`: of a run with all of them."""
    cause = (failure.__cause__ or failure) if failure is not None else None
    how = (
        "" if cause is None else f" (given all {size}, it fails: {' '.join(f'{type(cause).__name__} {cause}'.split())})"
    )
    return ProgramError(
        f"plate '{name}' {where}stands for {size} rows and the program has {rows} of them, which it picks itself "
        f"(subsample=...), insists on, or was given as a minibatch{how}. What the others say is not known, so there is "
        "no evidence of all, while the guide was fitted to all. Give the programs all rows and let them pick by the "
        f"plate's index (`with pyro.plate('{name}', {size}, subsample_size={rows}) as index:`, which is answered for "
        f"all {size}), or declare the plate as `pyro.plate('{name}', {rows})` if these rows are all the data meant."
    )
