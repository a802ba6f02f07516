"""What a checkpoint knows of the files beside it: config.json by its digest, every tensor by its shape."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elbowroom.inference.saving.reading import UnreadableError, read_json
from elbowroom.inference.training.checkpoint import PROGRESS, Checkpoint
from elbowroom.inference.training.checkpoint_reading import damaged

CONFIG = "config.json"
UNSEALED = (
    "this run was written by an earlier version of elbowroom, which kept no digest of config.json: whether it was "
    "changed since is not known"
)
"""What is told of a run whose checkpoint does not know its config.json; the next checkpoint does."""

_MOST_OF_OPTIMISER = 4  # times the parameters' bytes; Adam keeps two


def config_digest(config: Mapping[str, Any]) -> str:
    """A sha256 of all that config.json says but the number of epochs, by which a run may be extended."""
    arguments = {name: value for name, value in config["arguments"].items() if name != "num_epochs"}
    text = json.dumps({**config, "arguments": arguments}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_config(run_dir: Path) -> dict[str, Any]:
    """A run's config.json, as it stands there.

    Raises:
        CheckpointError: there is none, or it is none.
    """
    path = run_dir / CONFIG
    try:
        config: dict[str, Any] = read_json(path)
    except (UnreadableError, OSError) as error:
        raise damaged(path, error.reason if isinstance(error, UnreadableError) else str(error.strerror)) from error
    arguments = config.get("arguments")
    if not isinstance(arguments, dict) or not isinstance(arguments.get("num_epochs"), int):
        raise damaged(path, "it does not say what the run was begun with")
    return config


def check_config(run_dir: Path, config: Mapping[str, Any], progress: Mapping[str, Any]) -> list[str]:
    """Notes on a config.json that the checkpoint of this progress goes with.

    Raises:
        CheckpointError: it was altered.
    """
    if "config_sha256" not in progress:
        return [UNSEALED]
    if progress["config_sha256"] != config_digest(config):
        raise damaged(run_dir / CONFIG, "what it says is not what the checkpoint recorded (its sha256 differs)")
    return []


def check_progress(found: Checkpoint) -> None:
    """Refuse a progress.json that does not say where training stands.

    Raises:
        CheckpointError: naming the file.
    """
    said, best = found.progress, found.progress.get("best_elbo")
    counts = [said.get(name) for name in ("epoch", "step_in_epoch", "step", "metrics_bytes")]
    counts += [] if said.get("best_epoch") is None else [said["best_epoch"]]
    sums = [said.get(name) for name in ("loss_sum", "norm_sum", "seconds")] + ([] if best is None else [best])
    notes = said.get("notes")
    if not (
        all(isinstance(one, int) and one >= 0 for one in counts)
        and all(isinstance(one, int | float) for one in sums)
        and isinstance(notes, list)
        and all(isinstance(note, str) for note in notes)
    ):
        raise damaged(found.path / PROGRESS, "it does not say where training stands")


def check_tensors(found: Checkpoint, parameters: Any) -> None:
    """Refuse tensors other than config.json names, and an optimiser that is larger than any of these parameters'.

    Args:
        found: a checkpoint as its files' headers tell it.
        parameters: name -> shape and dtype, as config.json has them.

    Raises:
        CheckpointError: naming the file.
    """
    try:
        expected = {name: (tuple(one["shape"]), one["dtype"]) for name, one in parameters.items()}
    except (AttributeError, TypeError, KeyError) as error:
        raise damaged(found.path.parents[1] / CONFIG, "it does not say which parameters there are") from error
    for group, tensors in found.tensors.items():
        file = found.path / f"{group}.safetensors"
        if group in ("parameters", "best"):
            stored = {n: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for n, t in tensors.items()}
            if stored != expected:
                raise damaged(file, f"its tensors are not those that {CONFIG} names")
        elif sum(t.nbytes for t in tensors.values()) > _most(found):
            raise damaged(file, "it is larger than that of any optimiser of these parameters")


def _most(found: Checkpoint) -> int:
    return 2**20 + _MOST_OF_OPTIMISER * sum(t.nbytes for t in found.tensors.get("parameters", {}).values())
