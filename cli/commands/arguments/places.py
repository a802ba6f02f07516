"""Runs, data and checkpoints: whether they are there, before anything is imported that takes seconds."""

import os
from pathlib import Path
from typing import Any

from elbowroom.commands.arguments.spelling import meant, nearest
from elbowroom.commands.options.subjects import OfRun

_LOCK = ".lock"  # as in inference/saving/one_writer.py, which is not imported yet


def no_file(path: Path) -> str:
    """That there is no such file, with the one beside it that was likely meant."""
    return f"no such file{meant(beside(path))}"


def beside(path: Path) -> str | None:
    """The path with each part that does not exist replaced by what lies there and has a name most like it."""
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        name: str | None = part
        if not (found / part).exists():
            name = nearest(part, [one.name for one in found.iterdir()] if found.is_dir() else [])
        if name is None:
            return None
        found /= name
    return str(found)


def check_places(options: Any) -> None:
    """Refuse options that name what is not there.

    Raises:
        FileNotFoundError: naming the option, and what lies beside it.
        FileExistsError: if a run would be written over what is there.
    """
    if getattr(options, "status", None) is not None:  # of shard, which asks nothing of a run then
        return
    for contestant in (getattr(options, "a", None), getattr(options, "b", None)):  # of versus
        if contestant is not None:
            check_places(contestant)
    if hasattr(options, "resume") and options.density is None:
        _check_output(Path(options.output), options.resume)
    if hasattr(options, "run") and not is_other(options):
        _check_run(options.run)
        return
    checkpoint = None if getattr(options, "run", OfRun.run) != OfRun.run else _checkpoint(options)
    for file in checkpoint.values() if isinstance(checkpoint, dict) else [checkpoint]:
        if file is not None and not Path(file).exists():
            raise FileNotFoundError(f"--networks.checkpoint {file}: {no_file(Path(file))}")


def _check_output(place: Path, resume: bool) -> None:
    if os.path.isdir(place) and any(file.name != _LOCK for file in place.iterdir()) and not resume:
        raise FileExistsError(
            f"--output {place} is not empty: continue the run in it with --resume, or give a new directory"
        )


def is_other(options: Any) -> bool:
    """Whether programs or networks are named in the place of a run."""
    networks = options.networks
    return any(v is not None for v in (options.model, options.guide, networks.decoder, networks.encoder, networks.vae))


def _checkpoint(options: Any) -> Any:
    return getattr(getattr(options, "networks", None), "checkpoint", None)


def _check_run(run: str) -> None:
    place = Path(run)
    if (place / "config.json").is_file():
        return
    near = beside(place)
    inside = [one.parent for folder in (place, Path(near or place)) for one in sorted(folder.glob("*/config.json"))]
    if inside:
        near = str(inside[0])
    is_run = near is not None and (Path(near) / "config.json").is_file()
    told = meant(f"--run {near}") if is_run else f": train one with elbowroom train --output {run}"
    raise FileNotFoundError(f"no run at {run} (it has no config.json){told}")
