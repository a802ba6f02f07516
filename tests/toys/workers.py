"""Workers as forked processes that meet in torch's own group: real sums, without the seconds that imports take."""

import importlib
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as distributed

Work = Callable[[int], Any]
"""A function of the rank; its result is pickled."""


def together(size: int, work: Work, timeout: float = 60.0) -> list[Any]:
    """What each of so many workers gets; an error is returned, not raised, with its traceback as a note.

    Args:
        size: workers.
        work: of each.
        timeout: seconds for a sum.
    """
    return in_turn(size, {"work": work}, timeout)["work"]


def in_turn(size: int, works: Mapping[str, Work], timeout: float = 60.0) -> dict[str, list[Any]]:
    """The same of several works, one after the other in the same processes; each has a process group of its own."""
    importlib.import_module("torch._dynamo")  # optimisers do so at their first step: once, before there are several
    with tempfile.TemporaryDirectory() as folder:
        children = [_started(rank, size, works, Path(folder), timeout) for rank in range(size)]
        found = []
        for pid, read in children:
            with os.fdopen(read, "rb") as file:
                content = file.read()
            os.waitpid(pid, 0)
            found.append(pickle.loads(content) if content else {})
    return {name: [pickle.loads(one[name]) if name in one else None for one in found] for name in works}


def _started(rank: int, size: int, works: Mapping[str, Work], folder: Path, timeout: float) -> tuple[int, int]:
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        return pid, read
    content = b""
    try:
        os.close(read)
        content = pickle.dumps({name: _done(rank, size, work, folder / name, timeout) for name, work in works.items()})
    finally:
        with os.fdopen(write, "wb") as file:
            file.write(content)
        os._exit(0)


def _done(rank: int, size: int, work: Work, store: Path, timeout: float) -> bytes:
    """The pickled result."""
    try:
        distributed.init_process_group(
            "gloo", init_method=f"file://{store}", rank=rank, world_size=size, timeout=timedelta(seconds=timeout)
        )
        distributed.barrier()  # a worker that is done at once would close what another is still opening
        return pickle.dumps(work(rank))
    except BaseException as error:
        error.add_note(traceback.format_exc())
        return _pickled(error)
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _pickled(error: BaseException) -> bytes:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
        return content
    except Exception:  # of errors whose arguments are not their constructor's
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}", *error.__notes__))
