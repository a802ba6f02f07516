"""Checkpoints: directories of safetensors and JSON with a manifest, whole or not there."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from elbowroom.inference.saving.durable import replace_file, write_directory
from elbowroom.inference.saving.links import check_no_link
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

FOLDER = "checkpoints"
POINTER = "last.json"
MANIFEST = "manifest.json"
PROGRESS = "progress.json"
ENDING = ".safetensors"

STEP = re.compile(r"step-\d+")
"""Names of checkpoints: of what else lies beside them nothing is removed."""

_OWN = re.compile(rf"{STEP.pattern}|\.{STEP.pattern}(\.[0-9a-f]{{16}})?\.tmp")

Tensors = Mapping[str, Mapping[str, Tensor]]


class CheckpointError(RuntimeError):
    """A checkpoint or run directory that cannot be written, read or trusted; the message names the file."""


@dataclass(frozen=True, repr=False)
class Checkpoint(Shown):
    """What a checkpoint holds.

    Attributes:
        tensors: group ("parameters", "best", "optimiser", "generator") -> name -> tensor, on the CPU.
        progress: the JSON part: where training stands.
        path: its directory.
    """

    tensors: dict[str, dict[str, Tensor]]
    progress: dict[str, Any]
    path: Path

    def as_table(self) -> Table:
        """How many tensors of which groups it holds."""
        rows = [
            (group, str(len(values)), str(sum(v.numel() for v in values.values())), "")
            for group, values in self.tensors.items()
        ]
        return Table(
            (f"a checkpoint in {self.path}",), ("group", "tensors", "numbers", ""), "<>><", rows, noun="groups"
        )


def write_checkpoint(run_dir: Path, name: str, tensors: Tensors, progress: Mapping[str, Any]) -> Path:
    """Write a checkpoint and make it the one that `last.json` points to; older ones are then removed.

    Raises:
        CheckpointError: the disk refused, or `checkpoints` is a link; the earlier checkpoint is intact.
    """
    files = {f"{group}{ENDING}": safetensors.torch.save(dict(values)) for group, values in tensors.items()}
    files[PROGRESS] = _json(progress)
    files[MANIFEST] = _json({file: _sha256(content) for file, content in files.items()})
    pointer = {"checkpoint": name, "manifest_sha256": _sha256(files[MANIFEST])}
    path = run_dir / FOLDER / name
    try:
        check_no_link(path.parent)
        _remove(path)  # written by a run that died before it could point to it
        write_directory(path, files)
        replace_file(run_dir / POINTER, _json(pointer))
    except OSError as error:
        raise CheckpointError(
            f"could not save a checkpoint in {path.parent}: {error}. The earlier checkpoint is intact: continue with "
            "resume=True when that is done."
        ) from error
    sweep(path)
    return path


def sweep(keep: Path) -> None:
    """Remove every other checkpoint, and what is left of one; a removal that fails is tried again after the next save.

    What has another name than checkpoints have is not touched, nor is anything if `checkpoints` is a link.
    """
    if keep.parent.is_symlink() or not keep.parent.is_dir():
        return
    for path in keep.parent.iterdir():
        if path != keep and _OWN.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)  # of a link it removes nothing


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
