"""Checkpoints as they are read: digests and shapes first, numbers last."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError

from elbowroom.inference.saving.reading import (
    MOST_JSON,
    UnreadableError,
    memory,
    opened,
    outline,
    parse_json,
    read_bytes,
)
from elbowroom.inference.training.checkpoint import (
    ENDING,
    FOLDER,
    MANIFEST,
    POINTER,
    PROGRESS,
    STEP,
    Checkpoint,
    CheckpointError,
)

Check = Callable[[Checkpoint], object]
"""Is shown a checkpoint whose tensors have no values yet (they are on the meta device), and raises if it must not be
read."""

_PIECE = 2**20  # bytes that are hashed at a time


def read_checkpoint(run_dir: Path, check: Check | None = None) -> Checkpoint | None:
    """The checkpoint that `last.json` points to, every file checked against its sha256; None if there is none yet.

    Args:
        run_dir: the run directory.
        check: is shown names, shapes and dtypes before any tensor is read.

    Raises:
        CheckpointError: a file is missing, truncated or altered; the message says which.
        Whatever `check` raises, of files that are not damaged.
    """
    return _newest(run_dir, partial(_read, check=check))


def outline_checkpoint(run_dir: Path) -> Checkpoint | None:
    """As `read_checkpoint`, but only what tensors there are: they are without values, and their files' digests unread.

    Raises:
        CheckpointError: as of `read_checkpoint`.
    """
    return _newest(run_dir, lambda found: Checkpoint(_outlines(found), found.progress, found.path))


def damaged(path: Path, reason: str) -> CheckpointError:
    """What is said of a file of a run directory that is not as it was written."""
    return CheckpointError(
        f"{path} is missing or damaged: {reason}. Restore this run directory from a copy, or train again in a new one."
    )


class _Found(NamedTuple):
    """A checkpoint's directory, and its JSON files."""

    path: Path
    progress: dict[str, Any]
    digests: dict[str, str]  # of its tensor files


def _newest(run_dir: Path, read: Callable[[_Found], Checkpoint]) -> Checkpoint | None:
    pointer = run_dir / POINTER
    while pointer.exists():
        content = _content(pointer)
        try:
            return read(_pointed(run_dir, pointer, content))
        except CheckpointError:
            if _content(pointer) == content:
                raise
            # a run that is still training has saved a newer one and removed this one meanwhile
    return None


def _pointed(run_dir: Path, pointer: Path, content: bytes) -> _Found:
    where = _parsed(pointer, content)
    name, digest = where.get("checkpoint"), where.get("manifest_sha256")
    if not isinstance(name, str) or not isinstance(digest, str) or not STEP.fullmatch(Path(name).name):
        raise damaged(pointer, "it does not name a checkpoint")
    path = run_dir / FOLDER / Path(name).name
    said = f"its sha256 is not the one that {pointer.name} names, so one of the two was altered"
    digests = _parsed(path / MANIFEST, _content(path / MANIFEST, digest, otherwise=said))
    for file, sha256 in digests.items():
        if not isinstance(sha256, str) or Path(file).name != file or not (file == PROGRESS or file.endswith(ENDING)):
            raise damaged(path / MANIFEST, "it does not name a checkpoint's files and their sha256")
    if PROGRESS not in digests:
        raise damaged(path / MANIFEST, f"it does not name {PROGRESS}")
    progress = _parsed(path / PROGRESS, _content(path / PROGRESS, digests.pop(PROGRESS)))
    return _Found(path, progress, digests)


def _read(found: _Found, check: Check | None) -> Checkpoint:
    path, progress, digests = found
    if check is not None:
        try:
            check(Checkpoint(_outlines(found), progress, path))
        except (ValueError, CheckpointError):
            for name, digest in digests.items():
                _verify(path / name, digest)  # what is damaged is told as that
            raise
    tensors = {}
    for name, digest in digests.items():
        content = _content(path / name, digest, memory())
        try:
            tensors[name.removesuffix(ENDING)] = safetensors.torch.load(content)
        except SafetensorError as error:
            raise damaged(path / name, str(error)) from error
    return Checkpoint(tensors, progress, path)


def _outlines(found: _Found) -> dict[str, Any]:
    outlines = {}
    for name in found.digests:
        try:
            outlines[name.removesuffix(ENDING)] = outline(found.path / name)
        except (UnreadableError, OSError) as error:
            raise damaged(found.path / name, _reason(error)) from error
    return outlines


def _content(path: Path, digest: str | None = None, most: int = MOST_JSON, otherwise: str | None = None) -> bytes:
    try:
        content = read_bytes(path, most)
    except (UnreadableError, OSError) as error:
        raise damaged(path, _reason(error)) from error
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise damaged(path, otherwise or f"its sha256 is not the recorded one ({len(content)} bytes now)")
    return content


def _verify(path: Path, digest: str) -> None:
    """As `_content`, a piece at a time."""
    found = hashlib.sha256()
    try:
        with opened(path, memory()) as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except (UnreadableError, OSError) as error:
        raise damaged(path, _reason(error)) from error
    if found.hexdigest() != digest:
        raise damaged(path, "its sha256 is not the recorded one")


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = parse_json(path, content)
    except UnreadableError as error:
        raise damaged(path, error.reason) from error
    return parsed


def _reason(error: UnreadableError | OSError) -> str:
    if isinstance(error, UnreadableError):
        return error.reason
    return f"it cannot be read ({error.strerror or error})"
