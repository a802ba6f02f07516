"""A training run, from checked arguments to its result: workers joined, a directory opened, steps taken."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyro
import torch
from torch import Tensor

from elbowroom.entrances.visible import one_line
from elbowroom.inference.programs.global_state import module_local_parameters
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.training.assembly import assembled
from elbowroom.inference.training.batches import Batches, Data, as_tensors, check_alike
from elbowroom.inference.training.control import Control
from elbowroom.inference.training.parameters import Parameters
from elbowroom.inference.training.preparation import resolved
from elbowroom.inference.training.result import Fit
from elbowroom.inference.training.run_config import describe_run
from elbowroom.inference.training.run_directory import RunDirectory
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.signals import StopRequest
from elbowroom.inference.training.stepping import compiles
from elbowroom.inference.training.together import by_first, check_called_alike, check_divisible, only_first_speaks
from elbowroom.inference.training.trainer import Trainer
from elbowroom.inference.training.workers import joined

logger = logging.getLogger("elbowroom")


def train(model: Program, guide: Program, data: Data, settings: Settings, control: Control) -> Fit:
    """Train both programs as `fit` says, which has made settings and control of its arguments.

    Raises:
        What `fit` raises.
    """
    device, seed, size = control.device, settings.seed, settings.batch_size
    one_datum = settings.plate is None and (size is None or data is None)
    tensors = as_tensors("data", data, device, one_datum=one_datum)
    held_out = as_tensors("validation", control.validation, device, one_datum=one_datum)
    check_alike(tensors, held_out)
    batches = Batches(tensors, 1 if one_datum else min(size or 128, len(tensors[0])), seed, one_datum)
    settings = resolved(settings, batches, held_out)
    compiled = compiles(control.compile, settings.num_epochs * len(batches))

    with (
        joined(device) as workers,
        only_first_speaks(workers),
        _surroundings(device, seed),
        StopRequest() as stop,
        ExitStack() as held,
    ):
        if workers.size > 1:
            check_divisible(settings, workers)

        def directory(parameters: Parameters) -> RunDirectory | None:
            by_name = {"data": tensors, "validation": held_out}
            if control.run_dir is None and workers.size == 1:
                return None
            record = describe_run(
                settings, model, guide, parameters, by_name, control.config, device, compiled, workers.size
            )
            check_called_alike(workers, record)
            return by_first(workers, lambda: _directory(control, record, held))

        trainer, example = assembled(model, guide, batches, held_out, settings, control, directory, stop, workers)
        torch.manual_seed(seed)
        _run(trainer, example, control)
        if control.keep == "best":
            trainer.state.keep_best()
    return _result(trainer, control.run_dir)


def _directory(control: Control, record: dict[str, Any], held: ExitStack) -> RunDirectory | None:
    if control.run_dir is None:
        return None
    found = RunDirectory(control.run_dir, record, control.resume)
    held.callback(found.close)
    return found


def _run(trainer: Trainer, example: tuple[Tensor, ...], control: Control) -> None:
    """Take the steps that are left after the last checkpoint, if there is one."""
    trainer.restore()
    step, progress = trainer.step, trainer.state.progress
    for note in progress.notes:
        logger.warning(one_line(note))
    step.divide(example)
    shown = control.progress and trainer.workers.rank == 0
    with progress_bar(step.num_steps, "fit", "step", shown, done=progress.step) as bar:
        trainer.run(bar, control.checkpoint_seconds)


def _result(trainer: Trainer, path: Path | None) -> Fit:
    end = trainer.state.progress
    return Fit(
        history=trainer.history,
        best_epoch=end.best_epoch,
        best_elbo=end.best_elbo,
        num_steps=end.step,
        seconds=end.seconds,
        path=path,
        stopped=end.stopped,
        loss=trainer.settings.loss,
        beta=trainer.history[-1]["beta"],
        bound=trainer.history[-1].get("bound", "lower"),
        steps=trainer.step.stepping.how if end.step > trainer.first_step else "none",
        workers=trainer.workers.size,
    )


@contextmanager
def _surroundings(device: torch.device, seed: int) -> Iterator[None]:
    """The global state that training needs, put back on exit whatever happens."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with (
        module_local_parameters(),
        torch.random.fork_rng(devices=devices),
        warnings.catch_warnings(),
        pyro.validation_enabled(False),
    ):
        # Pyro warns of NaN; here it is an error with the rows named.
        warnings.filterwarnings("ignore", message="Encountered (NaN|.*inf)", category=UserWarning)
        torch.manual_seed(seed)
        yield
