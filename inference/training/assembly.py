"""The trainer of a run, made of its parts: programs examined, a step, what is done after an epoch."""

from collections.abc import Callable

from torch import Tensor

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.target import Target
from elbowroom.inference.training.argument_checks import of_argument
from elbowroom.inference.training.batches import Batches, prepared
from elbowroom.inference.training.control import Control
from elbowroom.inference.training.epoch_callback import EpochCallback
from elbowroom.inference.training.generators import Generators
from elbowroom.inference.training.optimiser import JointOptimiser
from elbowroom.inference.training.parameters import Parameters, owner_of
from elbowroom.inference.training.preparation import examine
from elbowroom.inference.training.run_directory import RunDirectory
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.signals import StopRequest
from elbowroom.inference.training.train_state import TrainState
from elbowroom.inference.training.train_step import TrainStep
from elbowroom.inference.training.trainer import Trainer
from elbowroom.inference.training.validation import Validation
from elbowroom.inference.training.workers import Workers


def assembled(
    model: Program,
    guide: Program,
    batches: Batches,
    held_out: tuple[Tensor, ...],
    settings: Settings,
    control: Control,
    open_directory: Callable[[Parameters], RunDirectory | None],
    stop: StopRequest,
    workers: Workers,
) -> tuple[Trainer, tuple[Tensor, ...]]:
    """The trainer of programs that have been moved to the device and run once on a minibatch; and that minibatch.

    Args:
        model, guide: the programs.
        batches: the training data.
        held_out: those of validation; empty without.
        settings: the resolved arguments.
        control: the other ones.
        open_directory: given the parameters, makes the run's directory, if it is to have one.
        stop: notes signals.
        workers: who train together.
    """
    for program in (model, guide):
        if (module := owner_of(program)) is not None:
            module.to(control.device)
    example = batches.take(batches.order(0)[: batches.batch_size])
    if control.prepare is not None:
        example = prepared(control.prepare, example)
    loss, data_dim, parameters, num_particles = examine(model, guide, example, settings, control.own_loss)
    directory = open_directory(parameters)
    with parameters.evaluating(), of_argument("validation"):
        target = Target(model, guide, *held_out, plate=settings.plate) if held_out else None
    state = TrainState(parameters, _optimiser(parameters, settings), Generators(control.device))
    step = TrainStep(
        model,
        guide,
        state,
        loss=loss,
        data_dim=data_dim,
        batches=batches,
        settings=settings,
        prepare=control.prepare,
        stop=stop,
        write=None if directory is None else directory.write,
        compile=control.compile,
        workers=workers,
        num_particles=num_particles,
    )
    trainer = Trainer(
        state,
        step,
        batches=batches,
        settings=settings,
        validation=None if target is None else Validation(target, settings, workers),
        callback=None if control.on_epoch is None else EpochCallback(control.on_epoch, model, guide, workers),
        directory=directory,
        workers=workers,
    )
    return trainer, example


def _optimiser(parameters: Parameters, settings: Settings) -> JointOptimiser:
    return JointOptimiser(
        parameters.trainable,
        settings.learning_rate,
        settings.clip_norm,
        settings.optimizer,
        settings.weight_decay,
    )
