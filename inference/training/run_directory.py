"""A run directory: config.json, metrics.jsonl and checkpoints."""

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from elbowroom.inference.saving.disk import WriteError, writing
from elbowroom.inference.saving.durable import replace_file
from elbowroom.inference.saving.one_writer import LOCK, InUseError, only_writer
from elbowroom.inference.training.checkpoint import (
    POINTER,
    Checkpoint,
    CheckpointError,
    Tensors,
    read_checkpoint,
    sweep,
)
from elbowroom.inference.training.checkpoint import write_checkpoint as _write_checkpoint
from elbowroom.inference.training.run_config import completed, differences, extension

CONFIG = "config.json"
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
            self.close = held.pop_all().close  # lets the next writer in

    def append(self, metrics: Metrics) -> None:
        """Add an epoch to metrics.jsonl."""
        try:
            line = json.dumps(metrics, allow_nan=False) + "\n"
            with writing(self.path / METRICS, len(line)), open(self.path / METRICS, "a") as file:
                file.write(line)
        except WriteError as error:
            raise _not_saved(error) from error

    def save(self, name: str, tensors: Tensors, progress: Mapping[str, Any]) -> None:
        """Write a checkpoint that knows how long metrics.jsonl is now."""
        try:
            length = self._sync_metrics()
        except WriteError as error:
            raise _not_saved(error) from error
        _write_checkpoint(self.path, name, tensors, {**progress, "metrics_bytes": length})

    def write(self, name: str, value: Any) -> Path:
        """Write a JSON file beside the others."""
        replace_file(self.path / name, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
        return self.path / name

    def _begin(self, config: Mapping[str, Any]) -> None:
        try:
            self.write(CONFIG, config)
            (self.path / METRICS).touch()
        except OSError as error:
            raise CheckpointError(f"could not begin a run in {self.path}: {error}") from error

    def _continue(self, config: Mapping[str, Any]) -> None:
        self.checkpoint = read_checkpoint(self.path)
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
        self._check_config(config)
        sweep(self.checkpoint.path)
        self._cut_metrics(self.checkpoint.progress["metrics_bytes"])

    def _check_config(self, config: Mapping[str, Any]) -> None:
        try:
            earlier = json.loads((self.path / CONFIG).read_bytes())
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{self.path / CONFIG} is missing or damaged ({error}): this run cannot be continued safely"
            ) from error
        then = completed(earlier)
        longer = extension(config, then)
        changes = differences(*({k: v for k, v in c.items() if k != "environment"} for c in (config, longer.config)))
        if changes:
            raise CheckpointError(
                f"run_dir={self.path} holds a run of another configuration:\n  "
                + "\n  ".join(changes)
                + "\nContinue it with the arguments and data it was begun with, or give a new directory."
            )
        drift = differences(config["environment"], earlier.get("environment", {}))
        self.notes = [f"resumed in another environment, so exactness is not promised: {change}" for change in drift]
        if longer.note:
            self.write(CONFIG, longer.config | {"environment": earlier.get("environment", {})})
            self.notes.append(longer.note)

    def _cut_metrics(self, length: int) -> None:
        """Drop the lines of epochs after the checkpoint: they will be run again."""
        path = self.path / METRICS
        size = path.stat().st_size if path.exists() else 0
        if size < length:
            raise CheckpointError(
                f"{path} is missing or damaged: it has {size} bytes, the checkpoint recorded {length}. Restore it "
                "from a copy, or train again in a new directory."
            )
        with writing(path), open(path, "rb+") as file:
            file.truncate(length)
            file.flush()
            os.fsync(file.fileno())
        self.history = [json.loads(line) for line in path.read_text().splitlines()]

    def _sync_metrics(self) -> int:
        with writing(self.path / METRICS), open(self.path / METRICS, "rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size


def _not_saved(error: WriteError) -> CheckpointError:
    return CheckpointError(f"{error}. The last checkpoint is intact: continue with resume=True when that is done.")


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as JSON would give it back, so that two records compare equal."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"config must be JSON-able (numbers, strings, lists, dicts): {error}") from error
