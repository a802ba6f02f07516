"""A run directory: config.json, metrics.jsonl and checkpoints, which hold the digests of both."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from elbowroom.inference.saving.disk import WriteError, writing
from elbowroom.inference.saving.durable import replace_file
from elbowroom.inference.saving.links import append
from elbowroom.inference.saving.one_writer import LOCK, InUseError, only_writer
from elbowroom.inference.saving.reading import UnreadableError, memory, opened, parse_json
from elbowroom.inference.training.checkpoint import POINTER, Checkpoint, CheckpointError, Tensors, sweep
from elbowroom.inference.training.checkpoint import write_checkpoint as _write_checkpoint
from elbowroom.inference.training.checkpoint_reading import damaged, read_checkpoint
from elbowroom.inference.training.run_config import completed, differences, extension, other_workers
from elbowroom.inference.training.run_seal import (
    CONFIG,
    check_config,
    check_progress,
    check_tensors,
    config_digest,
    read_config,
)

METRICS = "metrics.jsonl"

Metrics = dict[str, Any]
"""What metrics.jsonl says of one epoch."""


class RunDirectory:
    """The files of one training run, and the lock that keeps other writers out until `close`.

    Args:
        path: the directory; made if absent.
        config: the resolved configuration, from `describe_run`.
        resume: continue what is there. A directory without a checkpoint is begun from the start.

    Attributes:
        checkpoint: where to continue; None at the start.
        history: the metrics of the epochs before it, one dict each, as read.
        notes: what is not as it was when the run began, though it may be continued.

    Raises:
        InUseError: another process or thread trains there.
        FileExistsError: something is there and `resume` is False.
        CheckpointError: a file is damaged, or the run there has another configuration (the differing keys are named).
    """

    def __init__(self, path: Path, config: Mapping[str, Any], resume: bool) -> None:
        self.path = path
        self.checkpoint: Checkpoint | None = None
        self.history: list[Metrics] = []
        self.notes: list[str] = []
        self._seal: dict[str, Any] = {}
        self._metrics = _Running()
        config = _plain(config)
        if os.path.exists(path) and not path.is_dir():
            raise FileExistsError(f"run_dir={path} is a file; give a directory that is new or holds an earlier run")
        with ExitStack() as held:
            try:
                held.enter_context(only_writer(path, "run_dir", folder=True))
            except InUseError:
                raise
            except WriteError as error:
                raise CheckpointError(f"could not begin a run in {path}: {error}") from error
            if any(file.name != LOCK for file in path.iterdir()):
                if not resume:
                    raise FileExistsError(
                        f"run_dir={path} is not empty: continue that run with resume=True, or give a new directory"
                    )
                self._continue(config)
            if self.checkpoint is None:
                self._begin(config)
            self._seal = {"config_sha256": config_digest(self.config), "num_epochs": _epochs(self.config)}
            self.close = held.pop_all().close  # lets the next writer in

    def append(self, metrics: Metrics) -> None:
        """Add an epoch to metrics.jsonl."""
        line = (json.dumps(metrics, allow_nan=False) + "\n").encode()
        try:
            with writing(self.path / METRICS, len(line)):
                append(self.path / METRICS, line)
        except WriteError as error:
            raise _not_saved(error) from error
        self._metrics.add(line)

    def save(self, name: str, tensors: Tensors, progress: Mapping[str, Any]) -> None:
        """Write a checkpoint that knows what metrics.jsonl and config.json hold now."""
        try:
            self._sync_metrics()
        except WriteError as error:
            raise _not_saved(error) from error
        _write_checkpoint(self.path, name, tensors, {**progress, **self._metrics.record(), **self._seal})

    def write(self, name: str, value: Any) -> Path:
        """Write a JSON file beside the others."""
        replace_file(self.path / name, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
        return self.path / name

    def _begin(self, config: Mapping[str, Any]) -> None:
        try:
            self.write(CONFIG, config)
            replace_file(self.path / METRICS, b"")
        except OSError as error:
            raise CheckpointError(f"could not begin a run in {self.path}: {error}") from error
        self.config = dict(config)

    def _continue(self, config: Mapping[str, Any]) -> None:
        self.checkpoint = read_checkpoint(self.path, lambda found: self._check(config, found))
        if self.checkpoint is None:
            if (self.path / METRICS).exists() and (self.path / METRICS).stat().st_size:
                raise CheckpointError(
                    f"{self.path / POINTER} is missing, so the checkpoint of the run in {self.path} cannot be found. "
                    "Restore it from a copy, or train again in a new directory."
                )
            if any(p.name not in (CONFIG, METRICS, "checkpoints") and p.name[0] != "." for p in self.path.iterdir()):
                raise FileExistsError(
                    f"run_dir={self.path} holds other files and no run to continue: give a directory of its own"
                )
            return
        sweep(self.checkpoint.path)
        self._take_metrics(self.checkpoint.progress)
        if self.config != read_config(self.path):
            self.write(CONFIG, self.config)  # more epochs

    def _check(self, config: Mapping[str, Any], found: Checkpoint) -> None:
        """Refuse what was altered, and what is a run of something else; before any tensor is read."""
        check_progress(found)
        earlier, progress = read_config(self.path), found.progress
        self.notes = check_config(self.path, earlier, progress)
        then = completed(earlier)
        if "num_epochs" in progress:  # config.json has a larger number if it was extended and no checkpoint came since
            if _epochs(then) not in (progress["num_epochs"], _epochs(config)):
                raise damaged(self.path / CONFIG, f"the checkpoint was trained for {progress['num_epochs']} epochs")
            then = {**then, "arguments": {**then["arguments"], "num_epochs": progress["num_epochs"]}}
        longer = extension(config, then)
        changes = differences(*({k: v for k, v in c.items() if k != "environment"} for c in (config, longer.config)))
        if changes:
            raise CheckpointError(
                f"run_dir={self.path} holds a run of another configuration:\n  "
                + "\n  ".join(changes)
                + "\nContinue it with the arguments and data it was begun with, or give a new directory."
            )
        check_tensors(found, config["parameters"])
        here, there = config["environment"], earlier.get("environment", {})
        if note := other_workers(here, there):
            self.notes.append(note)
        drift = differences(*({k: v for k, v in one.items() if k != "workers"} for one in (here, there)))
        self.notes += [f"resumed in another environment, so exactness is not promised: {change}" for change in drift]
        self.config = {**earlier, "arguments": {**earlier["arguments"], "num_epochs": _epochs(config)}}
        if longer.note:
            self.notes.append(longer.note)

    def _take_metrics(self, progress: Mapping[str, Any]) -> None:
        """The lines of epochs up to the checkpoint: later ones are dropped, for they will be run again.

        The file is written anew: whatever else its name led to is left as it is.
        """
        path, length = self.path / METRICS, progress["metrics_bytes"]
        size = path.stat().st_size if path.exists() else 0
        if size < length:
            raise CheckpointError(
                f"{path} is missing or damaged: it has {size} bytes, the checkpoint recorded {length}. Restore it "
                "from a copy, or train again in a new directory."
            )
        try:
            with opened(path, memory()) as file:
                content = file.read(length)
            self._metrics.add(content)
            if self._metrics.record() != {k: progress.get(k, v) for k, v in self._metrics.record().items()}:
                raise UnreadableError(path, "its sha256 is not the recorded one")
            self.history = [parse_json(path, line) for line in content.splitlines()]
        except UnreadableError as error:
            raise damaged(path, error.reason) from error
        replace_file(path, content)

    def _sync_metrics(self) -> None:
        with writing(self.path / METRICS):
            descriptor = os.open(self.path / METRICS, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class _Running:
    """Length and digest of what metrics.jsonl holds so far."""

    def __init__(self) -> None:
        self._length, self._digest = 0, hashlib.sha256()

    def add(self, content: bytes) -> None:
        self._length += len(content)
        self._digest.update(content)

    def record(self) -> dict[str, Any]:
        return {"metrics_bytes": self._length, "metrics_sha256": self._digest.hexdigest()}


def _epochs(config: Mapping[str, Any]) -> int:
    return int(config["arguments"]["num_epochs"])


def _not_saved(error: WriteError) -> CheckpointError:
    return CheckpointError(f"{error}. The last checkpoint is intact: continue with resume=True when that is done.")


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as JSON would give it back, so that two records compare equal."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"config must be JSON-able (numbers, strings, lists, dicts): {error}") from error
