"""Trained parameters from a run directory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyro
import torch

from elbowroom.entrances import checked
from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.checkpoint import Checkpoint, CheckpointError
from elbowroom.inference.training.checkpoint_reading import read_checkpoint
from elbowroom.inference.training.parameters import check_alike, find_parameters
from elbowroom.inference.training.run_seal import check_progress
from elbowroom.inference.training.settings import KEEP


@dataclass(frozen=True)
class Loaded:
    """Where loaded parameters come from.

    Attributes:
        which: "last" or "best".
        epoch: epochs that these parameters had been trained for.
        elbo: the validation ELBO at the best epoch, nats per datum; None for "last".
        path: the checkpoint's directory.
    """

    which: str
    epoch: int
    elbo: float | None
    path: Path


@checked
def load_checkpoint(run_dir: str | Path, model: Program, guide: Program, *args: Any, which: str = "last") -> Loaded:
    """Put the parameters of a run into programs built like the ones that were trained.

    Args:
        run_dir: the directory given to `fit`.
        model, guide: programs with parameters of the same names, shapes and dtypes.
        *args: arguments to run both once on (some data), for programs whose parameters are made at the first call:
            `pyro.param` in plain functions, lazy modules, AutoGuides.
        which: "last", or "best" by validation ELBO.

    Raises:
        CheckpointError: nothing there, or a file is missing, truncated or altered.
        ValueError: the parameters differ from the saved ones (each difference is named); nothing is changed.
    """
    if which not in KEEP:
        raise ValueError(f"unknown which {which!r}; known: {', '.join(KEEP)}")
    run_dir, group = Path(run_dir), {"last": "parameters", "best": "best"}[which]

    def run(model: Program, guide: Program) -> None:
        if args:
            guide(*args)
            model(*args)

    with (
        torch.random.fork_rng(devices=range(torch.cuda.device_count())),
        torch.no_grad(),
        module_local_parameters(),
        pyro.validation_enabled(False),
    ):
        parameters = find_parameters(model, guide, run)

    def check(found: Checkpoint) -> None:
        """Before any number is read."""
        check_progress(found)
        if group not in found.tensors:
            raise CheckpointError(
                f"the run in {run_dir} has no best epoch: it was trained without validation data. Use which='last'"
            )
        check_alike(parameters.everything(), found.tensors[group], str(found.path))

    checkpoint = read_checkpoint(run_dir, check) if run_dir.is_dir() else None
    if checkpoint is None:
        raise CheckpointError(f"{run_dir} holds no checkpoint: give the run_dir that was passed to fit")
    parameters.load(checkpoint.tensors[group], str(checkpoint.path))
    progress = checkpoint.progress
    if which == "last":
        return Loaded(which, progress["epoch"], None, checkpoint.path)
    return Loaded(which, progress["best_epoch"], progress["best_elbo"], checkpoint.path)
