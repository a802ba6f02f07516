"""Who evaluates which chunk: one process, the workers of torchrun, the tasks of a Slurm array, or a Ray cluster.

Nobody waits for anybody: a worker takes a chunk, finishes it, and takes the next one. Whatever a worker does not finish
has no file, and is done by whoever is started next. Which launcher a process was started by stands in its environment.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from elbowroom.inference.shards.over_ray import over_ray
from elbowroom.inference.shards.work import Work

_PATIENCE = timedelta(minutes=5)  # in which the other workers of torchrun come


@dataclass(frozen=True)
class Launcher:
    """A way to have many workers.

    Attributes:
        run: does this worker's chunks.
        worker: (number of this worker, how many there are) by the environment; None where it was not started so.
    """

    run: Callable[[Work, Mapping[str, str]], None]
    worker: Callable[[Mapping[str, str]], tuple[int, int] | None]


def launcher_of(engine: str, environment: Mapping[str, str] | None = None) -> str:
    """The launcher's name: as it was asked for, or the one that this process was started by.

    Raises:
        ValueError: if there is none of that name, or this process was not started by it.
    """
    environment = os.environ if environment is None else environment
    if engine == "auto":
        return next(name for name in ("torchrun", "slurm", "one") if LAUNCHERS[name].worker(environment) is not None)
    if engine not in LAUNCHERS:
        raise ValueError(f"engine: got {engine!r}, expected auto or one of {list(LAUNCHERS)}")
    if LAUNCHERS[engine].worker(environment) is None:
        needed = " and ".join(_VARIABLES[engine])
        raise ValueError(f"engine {engine}: this process was not started by it ({needed} are not set)")
    return engine


def through(work: Work, chunks: Iterable[int]) -> None:
    """Do chunks in their order, and those that failed once more after the others."""
    again = [chunk for chunk in chunks if work.do(chunk) == "again"]
    while again:
        again = [chunk for chunk in again if work.do(chunk) == "again"]


def _one(work: Work, environment: Mapping[str, str]) -> None:
    through(work, work.order())


def _torchrun(work: Work, environment: Mapping[str, str]) -> None:
    """Chunks by a counter in the store that torchrun keeps: no collectives, so nobody hangs when a worker dies."""
    from torch.distributed.rendezvous import rendezvous

    store, rank, world = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    round = f"elbowroom/{environment.get('TORCHELASTIC_RESTART_COUNT', 0)}"  # the store outlives a restart
    if rank == 0:
        store.set(f"{round}/order", ",".join(map(str, work.order())))
    order = [int(chunk) for chunk in store.get(f"{round}/order").decode().split(",")]
    through(work, _counted(store, f"{round}/next", order, rank, world))
    through(work, work.untouched())  # where workers came or went, the counter has passed over some


def _counted(store: Any, counter: str, order: list[int], rank: int, world: int) -> Iterator[int]:
    """The chunks of a list that nobody else has taken; if the store is gone, every `world`th of what may be left."""
    place = 0
    while True:
        try:
            place = store.add(counter, 1) - 1
        except (RuntimeError, OSError):
            yield from order[place:][rank::world]
            return
        if place >= len(order):
            return
        yield order[place]


def _slurm(work: Work, environment: Mapping[str, str]) -> None:
    """Every n-th chunk, n the size of the array: tasks that know nothing of each other share out all chunks."""
    task, count = LAUNCHERS["slurm"].worker(environment) or (0, 1)
    through(work, [chunk for chunk in work.order() if chunk % count == task])


def _ray(work: Work, environment: Mapping[str, str]) -> None:
    over_ray(work)


def _torchrun_worker(environment: Mapping[str, str]) -> tuple[int, int] | None:
    if any(name not in environment for name in _VARIABLES["torchrun"]):
        return None
    return int(environment["RANK"]), int(environment["WORLD_SIZE"])


def _slurm_worker(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Tasks of an array count from `SLURM_ARRAY_TASK_MIN` on, in steps."""
    if any(name not in environment for name in _VARIABLES["slurm"]):
        return None
    task, count = (int(environment[name]) for name in _VARIABLES["slurm"])
    first, step = (int(environment.get(f"SLURM_ARRAY_TASK_{name}", least)) for name, least in (("MIN", 0), ("STEP", 1)))
    return (task - first) // step % count, count


_VARIABLES = {
    "torchrun": ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    "slurm": ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
}

LAUNCHERS: Mapping[str, Launcher] = {
    "one": Launcher(_one, lambda environment: (0, 1)),
    "torchrun": Launcher(_torchrun, _torchrun_worker),
    "slurm": Launcher(_slurm, _slurm_worker),
    "ray": Launcher(_ray, lambda environment: (0, 1)),
}
"""Name -> launcher."""
