"""The trainer of a run, made of its parts: programs examined, data, what is validated on."""

from collections.abc import Callable

from torch import Tensor

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.target import Target
from elbowroom.inference.training.batches import Batches, prepared
from elbowroom.inference.training.control import Control
from elbowroom.inference.training.parameters import Parameters, owner_of
from elbowroom.inference.training.preparation import examine
from elbowroom.inference.training.run_directory import RunDirectory
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.trainer import Trainer
from elbowroom.inference.training.workers import Workers


def assembled(
    model: Program,
    guide: Program,
    batches: Batches,
    held_out: tuple[Tensor, ...],
    settings: Settings,
    control: Control,
    open_directory: Callable[[Parameters], RunDirectory | None],
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
        workers: who train together.
    """
    for program in (model, guide):
        if (module := owner_of(program)) is not None:
            module.to(control.device)
    example = batches.take(batches.order(0)[: batches.batch_size])
    if control.prepare is not None:
        example = prepared(control.prepare, example)
    objective, data_dim, parameters, particles = examine(model, guide, example, settings, control.own_loss)
    run_directory = open_directory(parameters)
    with parameters.evaluating():
        target = Target(model, guide, *held_out, plate=settings.plate) if held_out else None
    trainer = Trainer(
        model,
        guide,
        loss=objective,
        data_dim=data_dim,
        parameters=parameters,
        batches=batches,
        settings=settings,
        prepare=control.prepare,
        on_epoch=control.on_epoch,
        validation=target,
        directory=run_directory,
        device=control.device,
        compile=control.compile,
        workers=workers,
        num_particles=particles,
    )
    return trainer, example
