"""Kills training at chosen places and resumes it: run as a script, in a process that has computed nothing yet.

`python training_killed.py FOLDER points STRIDE` dies by SIGKILL at every STRIDE-th of the places in which a save can be
cut short (half-written files, before and after each fsync, rename, replace and removal) and resumes;
`... moments COUNT` dies at COUNT random moments instead. Each child is forked from this process, so that torch is
imported once. Prints a JSON report; every resumed run must give the parameters and metrics of an uninterrupted one.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch._dynamo  # which torch imports at its first optimiser: once here, not in every child

from elbowroom.inference.saving import durable, one_writer
from elbowroom.inference.training import checkpoint, fit
from elbowroom.inference.training.run_directory import RunDirectory
from toys.training import NormalisedGuide, ToyModel, equal, make_data, values

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def train(run_dir: Path, num_epochs: int, save_always: bool, before: Callable[[], None] = lambda: None) -> list[Any]:
    """A small run with everything that a checkpoint must hold: noise, dropout, running statistics, a best epoch."""
    torch.manual_seed(0)
    model, guide = ToyModel(), NormalisedGuide()
    before()
    fit(
        model, guide, make_data(20), validation=make_data(6, seed=2), num_epochs=num_epochs, batch_size=8,
        learning_rate=0.02, schedule="cosine", warmup_epochs=1, clip_norm=5.0, validate_every=1, run_dir=run_dir,
        resume=True, checkpoint_seconds=0.0 if save_always else 0.02, progress=False,
        prepare=lambda x: x + 0.01 * torch.randn_like(x),
    )  # fmt: skip
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [values(model, guide), [{k: v for k, v in row.items() if k != "seconds"} for row in rows]]


class Assassin:
    """Counts the places where a save can be cut and kills its own process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count = fatal, 0

    def passes(self) -> None:
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def arm(self) -> None:
        """Put a place before and after each file operation of a save, and in the middle of each write and removal."""
        os.fsync, os.rename, os.replace = (self._around(f) for f in (os.fsync, os.rename, os.replace))
        one_writer.write_note, os.unlink = self._around(one_writer.write_note), self._around(os.unlink)  # of a lock
        real_write, real_remove, real_append = durable._fill, shutil.rmtree, RunDirectory.append

        def write(descriptor: int, content: bytes) -> None:
            if self.count == self.fatal:
                os.write(descriptor, content[: len(content) // 2])
            self.passes()
            real_write(descriptor, content)

        def remove(path: Any, *args: Any, **kwargs: Any) -> None:
            if Path(path).is_dir():
                for file in sorted(Path(path).iterdir())[:2]:
                    file.unlink()
                self.passes()
            real_remove(path, *args, **kwargs)

        def append(directory: RunDirectory, row: Any) -> None:
            if self.count == self.fatal:
                with open(directory.path / "metrics.jsonl", "a") as file:
                    file.write('{"epoch": 1, "tra')
            self.passes()
            real_append(directory, row)
            self.passes()

        durable._fill, shutil.rmtree, RunDirectory.append = write, remove, append  # type: ignore[assignment, method-assign]
        checkpoint.shutil.rmtree = remove  # type: ignore[attr-defined]

    def _around(self, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.passes()
            result = real(*args, **kwargs)
            self.passes()
            return result

        return call


def in_child(work: Callable[[], None]) -> int:
    """Fork, start `work`, return the child's process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """0, or minus the signal that killed the child, or its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def resumes_exactly(run_dir: Path, num_epochs: int, save_always: bool, expected: Path) -> bool:
    def work() -> None:
        found = train(run_dir, num_epochs, save_always)
        leftovers = [p.name for p in (run_dir / "checkpoints").iterdir()]
        tensors = safetensors.torch.load_file(expected / "values")
        same = equal(found[0], [tensors[name] for name in sorted(tensors)])
        same_rows = found[1] == json.loads((expected / "rows").read_text())
        if not (same and same_rows and len(leftovers) == 1):
            print(run_dir, same, same_rows, leftovers, file=sys.stderr)
            os._exit(3)

    return ended(in_child(work)) == 0


def wait_for_rows(metrics: Path, number: int) -> None:
    """Wait until a run has come so far, however busy the machine is."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if number == 0 or (metrics.exists() and metrics.read_bytes().count(b"\n") >= number):
            return
        time.sleep(0.002)


def main() -> None:
    folder, mode, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    save_always = mode == "points"
    num_epochs = 2 if save_always else 30
    expected = folder / "expected"
    expected.mkdir()

    def uninterrupted() -> None:
        tensors, rows = train(folder / "whole", num_epochs, save_always)
        safetensors.torch.save_file({f"{i:03d}": t for i, t in enumerate(tensors)}, expected / "values")
        (expected / "rows").write_text(json.dumps(rows))

    began = time.monotonic()
    assert ended(in_child(uninterrupted)) == 0
    seconds = time.monotonic() - began
    report = {"killed": 0, "exact": 0, "tried": 0}
    for trial in range(10_000 if save_always else number):
        run_dir = folder / f"run-{trial}"
        if save_always:
            assassin = Assassin(fatal=trial * number)
            status = ended(in_child(lambda r=run_dir, a=assassin: train(r, num_epochs, True, a.arm)))  # type: ignore[misc]
        else:
            pid = in_child(lambda r=run_dir: train(r, num_epochs, False))  # type: ignore[misc]
            wait_for_rows(run_dir / "metrics.jsonl", random.randrange(num_epochs - 5))
            time.sleep(random.uniform(0, 2) * seconds / num_epochs)
            os.kill(pid, signal.SIGKILL)
            status = ended(pid)
        if status == 0 and save_always:
            break  # past the last place
        report["tried"] += 1
        report["killed"] += status == -signal.SIGKILL
        report["exact"] += resumes_exactly(run_dir, num_epochs, save_always, expected)
        shutil.rmtree(run_dir)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
