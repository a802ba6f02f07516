"""Before the first step: the programs are run once on a minibatch, and what was left open is chosen."""

import logging
from dataclasses import replace

import pyro
import torch
from torch import Tensor

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.showing.numbers import in_short
from elbowroom.inference.target import Target
from elbowroom.inference.training.batches import Batches
from elbowroom.inference.training.evaluate import default_interval
from elbowroom.inference.training.objective import Loss, make_loss
from elbowroom.inference.training.parameters import (
    Parameters,
    find_parameters,
    owner_of,
)
from elbowroom.inference.training.settings import Settings

logger = logging.getLogger("elbowroom")


def resolved(settings: Settings, batches: Batches, held_out: tuple[Tensor, ...]) -> Settings:
    """The settings with the choices made that were left open."""
    num_validation = len(held_out[0]) if held_out and settings.plate is not None else batches.batch_size
    interval = default_interval(
        settings.num_validation_samples, num_validation, settings.num_particles, batches.num_data
    )
    return replace(
        settings,
        batch_size=None if batches.one_datum else batches.batch_size,
        validate_every=settings.validate_every or interval,
    )


def examine(
    model: Program, guide: Program, example: tuple[Tensor, ...], settings: Settings
) -> tuple[Loss, int | None, Parameters]:
    """Run the programs on one minibatch: readable errors, then the loss that fits them, the plate's dim, parameters."""

    def run(model: Program, guide: Program) -> None:
        guide(*example)
        model(*example)

    with Parameters({}, _owners(model, guide)).evaluating(), torch.no_grad():
        try:
            parameters = find_parameters(model, guide, run)
        except (RuntimeError, IndexError, KeyError, AttributeError):
            Target(model, guide, *example, plate=settings.plate)  # says in readable words what is wrong
            raise
        broken = parameters.non_finite()
        if broken:
            raise ValueError(f"parameters hold NaN or infinite values before training: {broken[:8]}")
        target = Target(model, guide, *example, plate=settings.plate)
        _check_structure(target, example, settings)
        for text in in_short(target.unnormalised):
            logger.warning(text)
        objective = make_loss(
            settings.loss,
            num_particles=settings.num_particles,
            alpha=settings.alpha,
            nesting=target.structure.nesting,
            broadcasts=set(target.layouts.values()) == {"plate"},
        )
        with pyro.settings.context(validate_infer=True):  # Pyro's own checks of the pair, once
            objective.loss(model, guide, *example)
    return objective, target.structure.data_dim, parameters


def _check_structure(target: Target, example: tuple[Tensor, ...], settings: Settings) -> None:
    if settings.plate is not None and len(target) != len(example[0]):
        raise ValueError(
            f"the plate '{settings.plate}' has size {len(target)}, but the minibatch has {len(example[0])} data: "
            f"write it as pyro.plate('{settings.plate}', len(x)), or pass batch_size={len(target)}"
        )
    if target.structure.discrete:
        raise ValueError(
            f"the guide does not draw the discrete latents {list(target.structure.discrete)}, and none of the losses "
            "of fit sums them out: draw them in the guide, or write the model with their sum (a mixture)"
        )


def _owners(model: Program, guide: Program) -> dict[str, torch.nn.Module]:
    owners = {"model": owner_of(model), "guide": owner_of(guide)}
    return {what: module for what, module in owners.items() if module is not None}
