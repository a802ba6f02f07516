"""Checkpoints: directories of safetensors and JSON with a manifest, whole or not there."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from elbowroom.inference.saving.durable import replace_file, write_directory
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

FOLDER = "checkpoints"
POINTER = "last.json"
MANIFEST = "manifest.json"
PROGRESS = "progress.json"

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
        CheckpointError: the disk refused; the earlier checkpoint is intact.
    """
    path = run_dir / FOLDER / name
    files = {f"{group}.safetensors": safetensors.torch.save(dict(values)) for group, values in tensors.items()}
    files[PROGRESS] = _json(progress)
    files[MANIFEST] = _json({file: _sha256(content) for file, content in files.items()})
    pointer = {"checkpoint": name, "manifest_sha256": _sha256(files[MANIFEST])}
    try:
        if path.exists():  # written by a run that died before it could point to it
            shutil.rmtree(path)
        write_directory(path, files)
        replace_file(run_dir / POINTER, _json(pointer))
    except OSError as error:
        raise CheckpointError(
            f"could not save a checkpoint in {path.parent}: {error}. The earlier checkpoint is intact: continue with "
            "resume=True when that is done."
        ) from error
    sweep(path)
    return path


def read_checkpoint(run_dir: Path) -> Checkpoint | None:
    """The checkpoint that `last.json` points to, every file checked against its sha256; None if there is none yet.

    Raises:
        CheckpointError: a file is missing, truncated or altered; the message says which.
    """
    pointer = run_dir / POINTER
    while pointer.exists():
        content = pointer.read_bytes()
        try:
            return _read_pointed(run_dir, pointer, content)
        except CheckpointError:
            if pointer.read_bytes() == content:
                raise
            # a run that is still training has saved a newer one and removed this one meanwhile
    return None


def sweep(keep: Path) -> None:
    """Remove every checkpoint and leftover but one; a removal that fails is tried again after the next save."""
    for path in keep.parent.iterdir():
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)


def _read_pointed(run_dir: Path, pointer: Path, content: bytes) -> Checkpoint:
    where = _parse(pointer, content)
    if not isinstance(where, dict) or not {"checkpoint", "manifest_sha256"} <= where.keys():
        raise _damaged(pointer, "it does not name a checkpoint")
    path = run_dir / FOLDER / Path(str(where["checkpoint"])).name
    manifest = _parse(path / MANIFEST, _read(path / MANIFEST, where["manifest_sha256"]))
    contents = {name: _read(path / name, digest) for name, digest in manifest.items()}
    progress = _parse(path / PROGRESS, contents.pop(PROGRESS))
    tensors = {}
    for name, content in contents.items():
        try:
            tensors[name.removesuffix(".safetensors")] = safetensors.torch.load(content)
        except SafetensorError as error:
            raise _damaged(path / name, str(error)) from error
    return Checkpoint(tensors, progress, path)


def _read(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"it cannot be read ({error.strerror or error})") from error
    if _sha256(content) != digest:
        raise _damaged(path, f"its sha256 is not the recorded one ({len(content)} bytes now)")
    return content


def _parse(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise _damaged(path, f"it is not JSON ({error})") from error


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is missing or damaged: {reason}. Restore this run directory from a copy, or train again in a new one."
    )


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
