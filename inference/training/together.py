"""Before the first step of several workers: that they can train together, are called alike, and who speaks for them."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from elbowroom.inference.training.objectives.registry import OBJECTIVES
from elbowroom.inference.training.run_config import differences
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.workers import Workers, WorkersError, of_each, of_first

T = TypeVar("T")


def check_divisible(settings: Settings, workers: Workers) -> None:
    """Refuse what has no sum over the rows of a minibatch.

    Raises:
        ValueError: saying why, and what to do.
    """
    why = ""
    if settings.plate is None:
        why = "plate=None is one datum, which has no rows to divide"
    elif settings.free_bits:
        why = f"free_bits={settings.free_bits:g} is a floor under means over the whole minibatch"
    elif settings.own_bound is None and (couples := OBJECTIVES[settings.loss].couples):
        why = f"loss={settings.loss!r} couples the rows of a minibatch: {couples}"
    if why:
        raise ValueError(
            f"training over {workers.size} workers gives each its rows of a minibatch and adds the gradients, and {why}"
            ". Train in one process (without torchrun, or with WORLD_SIZE unset)"
        )


def check_called_alike(workers: Workers, record: Mapping[str, Any]) -> None:
    """Refuse workers that were called with other arguments, data or programs than the first one.

    Args:
        workers: who train.
        record: what config.json says of the run; `environment` and `record` may differ.

    Raises:
        ValueError: in every worker; in those that differ it names what does.
    """
    if workers.size == 1:
        return
    ours = {key: value for key, value in record.items() if key not in ("environment", "record")}
    ours = json.loads(json.dumps(ours))
    first = json.loads(of_first(workers, json.dumps(ours).encode()))
    apart = differences(ours, first)
    others = [rank for rank, differs in enumerate(of_each(workers, bool(apart))) if differs]
    if others:
        seen = "; ".join(apart).replace("in the run directory", "in worker 0") or "see there"
        raise ValueError(
            f"workers {others} were called with other arguments, data or programs than worker 0: {seen}. To train "
            "separately, start the processes without RANK and WORLD_SIZE"
        )


def by_first(workers: Workers, work: Callable[[], T]) -> T | None:
    """What worker 0 gets by some work that it alone does; None in the others.

    Raises:
        WorkersError: in the others, if it failed.
        Whatever the work raises, in worker 0.
    """
    if workers.rank:
        if failed := of_first(workers, b"").decode():
            raise WorkersError(f"worker 0 could not begin: {failed}")
        return None
    try:
        result = work()
    except BaseException as error:
        of_first(workers, f"{type(error).__name__}: {error}".encode())
        raise
    of_first(workers, b"")
    return result


@contextmanager
def only_first_speaks(workers: Workers) -> Iterator[None]:
    """Inside, the log of other workers than the first is not kept: all would say the same."""
    logger = logging.getLogger("elbowroom")
    before = logger.disabled
    logger.disabled = before or workers.rank > 0
    try:
        yield
    finally:
        logger.disabled = before
