"""What is simulated: data from the whole model, or data like those that were observed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.calibration.ranking import Simulated
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.mcmc.draws import Draws, NotAReference
from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.programs.terms import place
from elbowroom.inference.target import Target


class Source(NamedTuple):
    """Where N simulations start.

    Attributes:
        target: the programs on N of the data (repeats have noise of their own).
        given: latents that data are to be simulated from, site -> `[1, N, ...]`; None: draw them from the prior.
        flags: what is wrong with it.
    """

    target: Target
    given: Mapping[str, Tensor] | None
    flags: tuple[str, ...]


def from_prior(target: Target, num_simulations: int, draws: Draws | None, seed: int, options: Any) -> Source:
    """z' ~ p(z), x' ~ p(x | z'), with the other arguments of each datum in turn.

    Raises:
        ValueError: if draws are given.
    """
    if draws is not None:
        raise ValueError('draws are used by kind="posterior" only; leave them out, or ask for that kind')
    order = _order(target, torch.ones(len(target), dtype=torch.bool))
    index = order[torch.arange(num_simulations) % len(order)]
    return Source(_repeated(target, index), None, ())


def from_posterior(target: Target, num_simulations: int, draws: Draws | None, seed: int, options: Any) -> Source:
    """z' ~ p(z | x_b), x' ~ p(x | z'), for each datum b in turn, with draws of z' far apart along the chains.

    Data whose chains did not pass their gates are left out: a choice made by x_b, before anything is simulated.

    Raises:
        ValueError: if the draws are not of this target, or there are too few of them.
        NotAReference: if the chains of no datum passed.
    """
    draws = hmc(target, seed=seed, **options) if draws is None else _checked(target, draws)
    passed = torch.tensor([not flag for flag in draws.flags])
    if not passed.any():
        raise NotAReference(
            f"the chains of none of the {len(draws)} data passed their convergence gates (datum 0: {draws.flags[0]}), "
            'so there is nothing to simulate from. Give draws of longer chains, or use kind="prior"'
        )
    order = _order(target, passed)
    simulation = torch.arange(num_simulations)
    index, round_of = order[simulation % len(order)], simulation // len(order)
    draws_each = -(-num_simulations // len(order))  # draws of one datum that are used
    chains, length = draws.flat.shape[:2]
    if draws_each > chains * length:
        raise ValueError(
            f"num_simulations={num_simulations} needs {draws_each} draws of each of {len(order)} data, but there are "
            f"{chains * length}. Ask for fewer, or give longer chains"
        )
    place = ((round_of + 0.5) / draws_each * chains * length).long()
    given = {
        name: value[place // length, place % length, index].unsqueeze(0).to(target.device)
        for name, value in draws.z.items()
    }
    return Source(_repeated(target, index), given, _flags(draws, passed, draws_each))


SOURCES: dict[str, Callable[[Target, int, Draws | None, int, Any], Source]] = {
    "prior": from_prior,
    "posterior": from_posterior,
}
"""kind -> (target, N, draws, seed, options of the sampler) -> where simulations start."""


def simulated(source: Target, given: Mapping[str, Tensor] | None, seed: int) -> Simulated:
    """Simulate a piece of a source; the noise of a simulation is a function of (seed, its place) alone."""
    programs = source if given is None else source.replaced(model=_given(source, given))
    target, truth = programs.simulate(seed)
    # Simulated data may be alike (a few binary pixels); by its place each keeps a noise that no other piece can change.
    target = target.replaced(model=source.model, keys=source.keys)
    return Simulated(target, truth, None if given is None else source)


def _given(source: Target, given: Mapping[str, Tensor]) -> Callable[..., Any]:
    """The model with its latents set."""
    placed = place(source.structure, dict(given), None)

    def model(*args: Any, **kwargs: Any) -> Any:
        with Set(placed):
            return source.model(*args, **kwargs)

    return model


def _order(target: Target, allowed: Tensor) -> Tensor:
    """The allowed data in the order of their keys: which of them are used does not depend on how they are sorted."""
    order = torch.from_numpy(target.keys.argsort())
    return order[allowed[order]]


def _repeated(target: Target, index: Tensor) -> Target:
    """Data with keys of their own: identical ones are distinguished by how many of their like came before."""
    return target.select(index).pinned_to({})


def _checked(target: Target, draws: Draws) -> Draws:
    shapes = {name: tuple(value.shape[3:]) for name, value in draws.z.items()}
    check_same_data(target, draws=draws)
    if shapes != target.latents:
        raise ValueError(
            f"draws are of the latents {shapes}, the target has {target.latents}: give the draws that hmc returned for "
            "this target"
        )
    return draws


def _flags(draws: Draws, passed: Tensor, draws_each: int) -> tuple[str, ...]:
    flags = []
    if left_out := int((~passed).sum()):
        reason = next(flag for flag in draws.flags if flag)
        flags.append(f"{left_out} of {len(draws)} data left out: their chains did not pass their gates ({reason}, …)")
    least = float(draws.convergence.ess_bulk[passed].min())
    if draws_each > least:
        flags.append(
            f"{draws_each} posterior draws of each datum were used, but chains are worth only {least:.0f} of some: the "
            "true latents are not independent of each other, and the tests may reject too often"
        )
    return tuple(flags)
