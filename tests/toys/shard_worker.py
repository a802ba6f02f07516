"""A worker of shards, as a process of its own: `python -m toys.shard_worker OUTPUT CHUNK [--die CHUNK] [--slow S]`."""

import argparse
import os
import signal
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference import Standing, Target, shard
from elbowroom.inference.shards.work import Work
from toys.programs import data, normal_guide, normal_model

OPTIONS = {"num_samples": 50, "search": False}
BATCH = 4
NUM_DATA = 30


def with_equal_ones(num_data: int = NUM_DATA) -> Tensor:
    """Data of which some are equal, within a batch, within a chunk and far apart."""
    x = data(num_data)
    x[[5, 6, num_data // 2, num_data - 1]] = x[1].clone()
    return x


@cache
def target_of(x: Tensor | None = None, stored: bool = False) -> Target:
    """The programs pinned to the data, or to the first few of them."""
    x = with_equal_ones() if x is None else x
    return Target(normal_model, normal_guide(0.9), x[:5] if stored else x)


class Deadly:
    """The toy's data, of which some kill the first process but this one that reads them."""

    def __init__(self, row: int, marker: Path) -> None:
        self.x, self.row, self.marker, self.harmless = with_equal_ones(), row, marker, os.getpid()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> Tensor:
        if rows.start == self.row and os.getpid() != self.harmless and not self.marker.exists():
            self.marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return self.x[rows]


def share(
    output: str,
    chunk: int,
    x: Tensor | None = None,
    stored: bool = False,
    source: Any = None,
    **options: Any,
) -> Standing:
    """This process's share of the toy's data."""
    target = target_of(x, stored)
    x = with_equal_ones() if x is None else x
    given: dict[str, Any] = {"batch": BATCH, "options": OPTIONS, "progress": False, "seed": 3}
    source = x if stored and source is None else source
    return shard(target, source, output=output, chunk=chunk, **{**given, **options})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("chunk", type=int)
    parser.add_argument("--die", type=int, help="the first worker to begin this chunk dies in it")
    parser.add_argument("--slow", type=float, default=0.0, help="seconds that a batch takes more")
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--engine", default="auto")
    told = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    batch = Work._batch

    def slower(self: Work, first: int, end: int) -> Any:
        time.sleep(told.slow)
        chunk = first // self.plan.chunk
        if told.die == chunk and len(self.attempts.reasons(chunk)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(self, first, end)

    Work._batch = slower  # type: ignore[method-assign]
    print(share(told.output, told.chunk, stored=told.stored, engine=told.engine, progress=True).line())


if __name__ == "__main__":
    main()
