"""Before the first step: the programs are run once on a minibatch, and what was left open is chosen."""

import logging
from dataclasses import replace
from typing import NamedTuple

import pyro
import torch
from torch import Tensor

from elbowroom.entrances.visible import one_line
from elbowroom.inference.programs.structure import Program, Structure
from elbowroom.inference.showing.numbers import in_short
from elbowroom.inference.target import Target
from elbowroom.inference.training.batches import Batches
from elbowroom.inference.training.evaluate import default_interval
from elbowroom.inference.training.objectives.contract import Loss, Setting
from elbowroom.inference.training.objectives.own import Own, OwnLoss
from elbowroom.inference.training.objectives.registry import OBJECTIVES
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


class Examined(NamedTuple):
    """What is known of the programs before the first step.

    Attributes:
        loss: the one that fits them.
        data_dim: of the plate over data, counted from the right; None without one.
        parameters: of both.
        particles: of a datum that are drawn in one run.
    """

    loss: Loss
    data_dim: int | None
    parameters: Parameters
    particles: int


def examine(
    model: Program, guide: Program, example: tuple[Tensor, ...], settings: Settings, own: OwnLoss | None = None
) -> Examined:
    """Run the programs on one minibatch: readable errors, then what fits them.

    `own` is the loss that the caller wrote, if there is one.
    """

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
            logger.warning(one_line(text))
        setting = _setting(target, settings)
        objective = OBJECTIVES[settings.loss].make(setting, **settings.options) if own is None else Own(own)
        with pyro.settings.context(validate_infer=True):  # Pyro's own checks of the pair, once
            objective.loss(model, guide, *example)
    particles = settings.num_particles if setting.broadcasts else 1
    return Examined(objective, target.structure.data_dim, parameters, particles)


def _check_structure(target: Target, example: tuple[Tensor, ...], settings: Settings) -> None:
    if axes := {key: axis for key, axis in target.per_datum.items() if axis}:
        raise ValueError(
            f"the data lie along {axes} (argument: axis), and fit cuts minibatches along the first axis. Train "
            "programs of rows: modules whose forward(x) calls these with x.movedim(0, axis), on data x.movedim(axis, 0)"
        )
    if settings.plate is not None and len(target) != len(example[0]):
        raise ValueError(
            f"the plate '{settings.plate}' has size {len(target)}, but the minibatch has {len(example[0])} data: "
            f"write it as pyro.plate('{settings.plate}', len(x)), or pass batch_size={len(target)}"
        )
    if target.structure.discrete:
        _check_summed(target.structure, settings)
    if settings.free_bits and target.structure.auxiliary:
        raise ValueError(
            f"the guide draws by way of {list(target.structure.auxiliary)}, so its latents have no KL of their own for "
            f"free_bits={settings.free_bits:g}: use free_bits=0, or a guide that draws the latents themselves"
        )


def _check_summed(structure: Structure, settings: Settings) -> None:
    """Refuse what cannot be had of a model whose discrete latents are summed out."""
    sites = (
        f"the discrete latents {list(structure.discrete)}, which the guide does not draw, are summed out of the model"
    )
    if structure.sequential:
        raise ValueError(
            f"the model branches on {list(structure.sequential)}, and fit runs no branches: write it without `if` and "
            "without infer={'enumerate': 'sequential'} (torch.where, values[..., k]), or draw the site in the guide"
        )
    if settings.own_bound is None and not OBJECTIVES[settings.loss].sums_out:
        raise ValueError(f"{sites}, and loss={settings.loss!r} cannot be had of their sum: use loss='Trace_ELBO'")
    for name, value in settings.unlike_elbo().items():
        raise ValueError(
            f"{sites}, and {name}={value} would weigh the KL term: in log Σ_k p(x, z, k) prior and likelihood are one. "
            f"Leave {name} out, or draw the sites in the guide"
        )


def _setting(target: Target, settings: Settings) -> Setting:
    """What objectives are told of the programs."""
    return Setting(
        structure=target.structure,
        plate=settings.plate,
        num_particles=settings.num_particles,
        broadcasts=set(target.layouts.values()) == {"plate"},
        free_bits=settings.free_bits,
    )


def _owners(model: Program, guide: Program) -> dict[str, torch.nn.Module]:
    owners = {"model": owner_of(model), "guide": owner_of(guide)}
    return {what: module for what, module in owners.items() if module is not None}
