"""Run directories that somebody has changed who knows how they are made: every digest fits."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elbowroom.inference.training.run_seal import config_digest

Json = dict[str, Any]
SEALS = ("config_sha256", "metrics_sha256", "num_epochs")
"""What progress.json of earlier versions did not have."""


def edited(path: Path, change: Callable[[Json], object]) -> Json:
    """Change a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value, indent=2))
    return value


def resealed(run: Path, config: Callable[[Json], object] = dict, progress: Callable[[Json], object] = dict) -> Path:
    """Change config.json and progress.json, and make all digests those of what lies there now; its checkpoint."""
    place = run / "checkpoints" / json.loads((run / "last.json").read_text())["checkpoint"]
    sealed = config_digest(edited(run / "config.json", config))
    edited(place / "progress.json", lambda old: old.update(config_sha256=sealed) if "config_sha256" in old else None)
    edited(place / "progress.json", progress)
    names = sorted(path.name for path in place.iterdir() if path.name != "manifest.json")
    digests = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}
    (place / "manifest.json").write_text(json.dumps(digests))
    manifest = hashlib.sha256((place / "manifest.json").read_bytes()).hexdigest()
    edited(run / "last.json", lambda old: old.update(manifest_sha256=manifest))
    return place


def of_before(run: Path, config: Callable[[Json], object] = dict) -> Path:
    """A run as earlier versions left it, which kept digests of the checkpoint alone."""
    return resealed(run, config, lambda old: [old.pop(name) for name in SEALS])
