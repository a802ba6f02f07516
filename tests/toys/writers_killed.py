"""Kills training, brackets and audits at random moments and durable steps, some with a second process at the door.

`python -m toys.writers_killed FOLDER train|bracket|audit TRIALS MEANWHILE SEED` kills TRIALS processes by SIGKILL, half
of them at a random one of the steps in which something becomes durable (before or after it, or with half of it
written), half at a random time. In MEANWHILE of the trials a second process asks for the same place again and again
from the beginning on; it must be refused until the first one is dead, and then do the work itself. Else the next start
does it. Each result must be that of a process that nobody killed, to the bit; nothing temporary may be left, and
whoever reads meanwhile must find whole files. Each process is forked from this one. Prints a JSON report.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from elbowroom.inference import InUseError, Target, audit_target, bracket
from elbowroom.inference.audit import block_sizes, examination
from elbowroom.inference.training.checkpoint_reading import read_checkpoint
from elbowroom.report.audit_files import save_audit
from toys.audit import Line
from toys.programs import data, normal_guide, normal_model
from toys.training_killed import Assassin, ended, in_child, train

PLENTY = "1e9 evaluations"  # by which two calls give the same numbers
_BLOCK = 3  # data of an audit's examination


def trained(place: Path, before: Callable[[], None]) -> Any:
    """Parameters, and the rows without the time they took."""
    return train(place / "run", 2, True, before)


def bracketed(place: Path, before: Callable[[], None]) -> Any:
    """What every method said, and what is in the state."""
    target = Target(normal_model, normal_guide(0.8), data(12))
    before()
    found = bracket(target, budget=PLENTY, seed=3, state=place / "deep" / "state.safetensors")
    columns = {n: [c.value, c.stderr, c.flags] for n, c in found.ledger.columns.items()}
    return [columns, found.flags, found.lower.value, found.upper.value, tensors_of(place)]


def audited(place: Path, before: Callable[[], None]) -> Any:
    """Numbers and sentences, and what is in the states; the page, JSON and netCDF are written as well."""
    target = Line(0.8).target(2 * _BLOCK)
    before()
    found = audit_target(target, budget=PLENTY, seed=3, num_simulations=40, state=place / "state")
    save_audit(found, place / "out")
    numbers = {name: [n.value, n.low, n.high] for name, n in found.numbers.items()}
    return [numbers, [f.sentence for f in found.findings], found.rows, tensors_of(place)]


def small_steps() -> None:
    """Small blocks, and audits with short chains and one family."""
    stages: Any = import_module("elbowroom.inference.evidence.bracket.bracket")
    stages._BLOCK = dict.fromkeys(stages._BLOCK, 2)
    examination.NUM_DRAWS, examination.NUM_WARMUP = 50, 20
    examination.decompose = partial(examination.decompose, families=["mean-field"])
    block_sizes.FIRST = block_sizes.MOST = _BLOCK


JOBS: dict[str, Callable[[Path, Callable[[], None]], Any]] = {
    "train": trained,
    "bracket": bracketed,
    "audit": audited,
}


def tensors_of(place: Path) -> dict[str, Any]:
    """All tensors of all states."""
    found = {}
    for path in sorted(place.rglob("*.safetensors")):
        found[path.name] = dict(sorted(load(path.read_bytes()).items()))
    return found


def digest_of(result: Any) -> str:
    """Of every bit."""
    return hashlib.sha256(repr(_plain(result)).encode()).hexdigest()


def read(place: Path) -> None:
    """Look at everything that there is to be read, as another process would; raise if it is not whole."""
    if (place / "run").is_dir():
        read_checkpoint(place / "run")
        rows = place / "run" / "metrics.jsonl"
        for line in rows.read_text().splitlines() if rows.exists() else ():
            json.loads(line)
    if (place / "out" / "audit.json").exists():
        json.loads((place / "out" / "audit.json").read_text())
    for path in place.glob("[ds]*/*.safetensors"):
        content = path.read_bytes()  # at once: safetensors opens a path twice, and between may lie a new file
        load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        assert json.loads(header["__metadata__"]["elbowroom"])["digest"]


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return [str(value.dtype), list(value.shape), value.contiguous().numpy().tobytes().hex()]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


class Trials:
    """One kind of job, killed again and again."""

    def __init__(self, folder: Path, job: str, seed: int) -> None:
        self.folder, self.job, self.random = folder, JOBS[job], random.Random(seed)
        self.report = dict.fromkeys(("tried", "killed", "exact", "meanwhile", "refused", "reads", "torn", "left"), 0)
        folder.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        self.expected = self._whole(folder / "whole")
        self.seconds = time.monotonic() - begin
        self.files = self._files(folder / "whole")
        self.steps = self._count(folder / "counted")

    def one(self, number: int, meanwhile: bool) -> None:
        """Kill a process, let another one finish, and look at what there is then."""
        place, report = self.folder / str(number), self.report
        place.mkdir()
        at_step = number % 2 == 0
        assassin = Assassin(self.random.randrange(self.steps) if at_step else -1)
        first = in_child(lambda: self.job(place, assassin.arm if at_step else lambda: None))
        second = None
        moment = time.monotonic() + self.random.uniform(0.0, self.seconds)
        status = None
        while status is None:
            self._look(place)
            if meanwhile and second is None and any(place.rglob("*.lock")):  # the first one is at work
                second = in_child(lambda: self._insist(place))
                moment = time.monotonic() + self.random.uniform(0.0, self.seconds)
            if not at_step and time.monotonic() >= moment:
                os.kill(first, signal.SIGKILL)
            done, code = os.waitpid(first, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if done else None
            time.sleep(0.002)
        report["tried"] += 1
        report["killed"] += status == -signal.SIGKILL
        if second is not None:
            assert ended(second) == 0
            report["meanwhile"] += 1
            report["refused"] += (place.parent / f"{place.name}.refused").exists()
            report["exact"] += (place.parent / f"{place.name}.digest").read_text() == self.expected
        else:
            report["exact"] += self._whole(place) == self.expected
        self._look(place)
        left = self._files(place) - self.files
        report["left"] += bool(left)
        if left or report["exact"] < report["tried"]:
            print(place, "at step" if at_step else "at a moment", assassin.fatal, status, sorted(left), file=sys.stderr)

    def _insist(self, place: Path) -> None:
        """Ask for the place until it is free, then do the work."""
        while True:
            try:
                result = self.job(place, lambda: None)
                break
            except InUseError:
                (place.parent / f"{place.name}.refused").touch()
                time.sleep(0.01)
        (place.parent / f"{place.name}.digest").write_text(digest_of(result))

    def _whole(self, place: Path) -> str:
        """The digest of a process that nobody kills."""
        digest = place.parent / f"{place.name}.whole"

        def work() -> None:
            digest.write_text(digest_of(self.job(place, lambda: None)))

        assert ended(in_child(work)) == 0, place
        return digest.read_text()

    def _count(self, place: Path) -> int:
        """Durable steps of a process that nobody kills."""

        def work() -> None:
            counting = Assassin(-1)
            self.job(place, counting.arm)
            place.with_suffix(".steps").write_text(str(counting.count))

        assert ended(in_child(work)) == 0
        return int(place.with_suffix(".steps").read_text())

    def _look(self, place: Path) -> None:
        self.report["reads"] += 1
        try:
            read(place)
        except FileNotFoundError:  # a checkpoint gave way to the next
            pass
        except Exception as error:
            self.report["torn"] += 1
            print(place, repr(error), file=sys.stderr)

    def _files(self, place: Path) -> set[str]:
        return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


def main() -> None:
    folder, job, trials, meanwhile, seed = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    small_steps()
    killing = Trials(folder / job, job, seed)
    for number in range(trials):
        killing.one(number, killing.report["meanwhile"] < meanwhile)
    print(json.dumps(killing.report | {"steps": killing.steps, "seconds": round(killing.seconds, 2)}))


if __name__ == "__main__":
    main()
