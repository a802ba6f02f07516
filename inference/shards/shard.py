"""log p(x) of very many data by any number of workers, each datum's numbers the same to the bit as by one."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elbowroom.entrances import checked
from elbowroom.entrances.visible import one_line
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.saving.places import place_of
from elbowroom.inference.saving.state_file import fingerprint_of
from elbowroom.inference.shards.attempts import Attempts
from elbowroom.inference.shards.cost import Cost, cost_of
from elbowroom.inference.shards.estimators import check_estimator
from elbowroom.inference.shards.launchers import LAUNCHERS, launcher_of
from elbowroom.inference.shards.likes import counted
from elbowroom.inference.shards.plan import Plan
from elbowroom.inference.shards.rows import Data, Rows, Stored, rows_of
from elbowroom.inference.shards.standing import Standing, standing_of
from elbowroom.inference.shards.stopping import softly
from elbowroom.inference.shards.work import Work, silent
from elbowroom.inference.target import Target

CHUNK = 4096
"""Data in a file, if nothing else is asked for."""

BATCH = 256
"""Data that are evaluated together."""

_MINUTE = 60.0


@checked
def shard(
    target: Target,
    data: Data | None = None,
    *,
    output: str | Path,
    chunk: int = CHUNK,
    batch: int = BATCH,
    estimator: str = "importance",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    engine: str = "auto",
    retry: bool = False,
    progress: bool = True,
) -> Standing:
    """Do this worker's share of evaluating all data, and say how far all workers are.

    Every worker makes the same call; `merge_shards(output)` then makes one table. Data are evaluated in batches that
    begin at multiples of `batch` in the whole dataset, and equal data are told apart by their index in it: the numbers
    are the same to the bit whatever `chunk` is, and whoever evaluates them, on processors of one kind with as many
    threads. A finished chunk is a file, written whole or not at all. A call with the same output does what has no file,
    or a damaged one. A chunk that fails three times is left out, and named.

    Args:
        target: programs and data; or programs with some data, if there are others to evaluate.
        data: these: a `.npy` file, an array, a memory map, or anything with a length and slices of rows; several of
            them for programs with several per-datum arguments. Of these only a batch is in memory. They must not change
            until all is done. Numbers are taken as they are (pictures of bytes are not scaled).
        output: a folder, or a URL of one that fsspec knows, which all workers see.
        chunk: data in a file; made a multiple of `batch`.
        batch: data that are evaluated together.
        estimator: "importance", "bounds", "anneal", "smc", "quadrature" or "bracket".
        options: of the estimator, such as `{"num_samples": 5000}`.
        seed: of everything random.
        engine: "auto" (by the environment: the workers of torchrun share out the chunks, the tasks of a Slurm array
            too, else this process does all), "one", "torchrun", "slurm" or "ray".
        retry: give chunks that were left out three attempts more.
        progress: a line a minute on standard error, by the first worker, on all of them.

    Returns:
        Standing: what is done, and the chunks that were left out.

    Raises:
        ValueError: on an unknown estimator, option or engine, data that cannot be cut or do not fit the programs, or an
            output that holds shards of something else.
        WriteError: if the output cannot be written.
        ImportError: without what the engine or the URL needs.
    """
    engine = launcher_of(engine)
    rows, plan = _planned(target, data, chunk, batch, estimator, options, seed)
    place = place_of(output)
    plan.agreed(place)
    number, _ = LAUNCHERS[engine].worker(os.environ) or (0, 1)
    teller = _Teller(lambda: standing_of(place, plan), progress and number == 0)
    likes = None
    if isinstance(rows, Stored):
        with progress_bar(len(rows), "equal data", "datum", progress and number == 0) as bar:
            likes = counted(place, rows, bar, lambda: _say("shards: another worker counts equal data"))
    # Tasks of an array begin when they like; torchrun's other workers wait for the first, and go on after a restart.
    begins = engine == "slurm" or (number == 0 and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0")
    if retry and begins:
        for failed in standing_of(place, plan).failed:
            Attempts(place).clear(failed)
    work = Work(place, plan, rows, likes, _say if progress else silent, teller.tick)
    teller.tell()
    with softly():
        LAUNCHERS[engine].run(work, os.environ)
    teller.tell()
    return standing_of(place, plan)


@checked
def shard_cost(
    target: Target,
    data: Data | None = None,
    *,
    chunk: int = CHUNK,
    batch: int = BATCH,
    estimator: str = "importance",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Cost:
    """What `shard` would take, by evaluating the first chunk and writing nothing.

    Args:
        target, data, chunk, batch, estimator, options, seed: as of `shard`.

    Returns:
        Cost: chunks, files, bytes and seconds, by the number of workers.

    Raises:
        ValueError: as of `shard`.
    """
    rows, plan = _planned(target, data, chunk, batch, estimator, options, seed)
    return cost_of(rows, plan)


@checked
def shards_standing(output: str | Path) -> Standing:
    """How far the shards in a folder are, whoever makes them: what is done, how fast, and what is in trouble.

    Args:
        output: a folder or a URL.

    Raises:
        FileNotFoundError: if there are none.
    """
    place = place_of(output)
    return standing_of(place, Plan.read(place))


def _planned(
    target: Target,
    data: Data | None,
    chunk: int,
    batch: int,
    estimator: str,
    options: Mapping[str, Any] | None,
    seed: int,
) -> tuple[Rows, Plan]:
    check_estimator(estimator, options or {})
    rows = rows_of(target, data)
    in_batches = -(-chunk // batch) * batch
    first = rows.first(batch)
    programs = {**fingerprint_of(first, seed), "layouts": dict(target.layouts)}
    return rows, Plan(len(rows), batch, in_batches, estimator, dict(options or {}), seed, programs)


class _Teller:
    """Says once a minute how far all workers are."""

    def __init__(self, standing: Callable[[], Standing], tells: bool) -> None:
        self.standing, self.tells, self.said = standing, tells, time.monotonic()

    def tick(self) -> None:
        """Say so if a minute is over."""
        if self.tells and time.monotonic() - self.said >= _MINUTE:
            self.tell()

    def tell(self) -> None:
        """Say so now."""
        if self.tells:
            _say(self.standing().line())
            self.said = time.monotonic()


def _say(text: str) -> None:
    print(one_line(text), file=sys.stderr, flush=True)
