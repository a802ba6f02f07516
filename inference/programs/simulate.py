"""Data drawn from the model together with the latents that made them: exact posterior draws."""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.arguments import Key, as_rows
from elbowroom.inference.programs.densities import check_sites, run
from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.programs.log_prob import beyond_total, innermost
from elbowroom.inference.programs.masks import is_deterministic, seen
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.remarks import by_datum
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Values, draw_prior, place
from elbowroom.inference.programs.triple import Triple

T = TypeVar("T", bound=Triple)

_FIRST = 1 << 48
"""Sample index of simulated data: no estimator reads the random numbers there."""


def simulate(triple: T, seed: int = 0, given: Values | None = None) -> tuple[T, Values]:
    """Draw (z, x) from the model, or x given z, and pin the programs to the simulated x.

    z is an exact draw of p(z | x) for the simulated x. Everything else that the programs are given (masks, labels,
    inputs) stays as it is. The argument that an observed site's values come from is found by comparing them.

    Args:
        triple: programs and data; the data say how many there are and what shape they have.
        seed: the result is a function of (seed, datum).
        given: latent site -> `[1, B, *event]`, to draw x given these; by default they are drawn too.

    Returns:
        The triple on the simulated data, and z, latent site -> `[1, B, *event]`.

    Raises:
        ProgramError: if an observed value is not one of the programs' tensor arguments (up to its shape, dtype and the
            order of its dims), so that it cannot be told where to put a simulated one; if the model reads the data that
            it should draw; if the data are such as it cannot draw (see `unnormalised.py`), or counts with another
            total than it draws.
    """
    check_drawable(triple)
    if given is not None:
        check_sites(triple, "given", given)
    if triple.structure.separate:
        return _each(triple, seed, given)
    z, observe = _draw(triple, seed, triple.keys, given)
    arguments: dict[Key, Any] = dict(enumerate(triple.args)) | dict(triple.kwargs)
    new: dict[Key, Tensor] = {}
    for name, value in observe.drawn.items():
        found = put_back(arguments, name, observe.given[name], value, observe.counted[name])
        new |= {key: as_rows(argument, triple.per_datum.get(key, 0)) for key, argument in found.items()}
    simulated = triple.pinned_to(new)
    _check_generative(observe.drawn | z, simulated, seed, triple.keys, given)
    return simulated, z


def check_drawable(triple: Triple) -> None:
    """What holds on data that the model draws says nothing of data between the values that it can draw.

    Raises:
        ProgramError: if there are such data (see `unnormalised.py`), or a prior that is a constant.
    """
    if flat := triple.structure.flat:
        raise ProgramError(
            f"the model masks the prior of {list(flat)}, which counts as a constant and has no draws: nothing is "
            "simulated, calibrated or bounded in both directions. Take the mask off for these"
        )
    told = by_datum(triple.structure.unnormalised, len(triple))
    if rows := [b for b, reason in enumerate(told) if reason]:
        raise ProgramError(
            f"the model cannot draw data such as {len(rows)} of these (first rows: {rows[:8]}): they lie between the "
            "values that it draws, under a distribution that is not normalised there. The guide's posterior of drawn "
            "data is another thing than that of these, so nothing is simulated, calibrated or bounded in both "
            "directions. Binarise or round the data, or select those that the model can draw (target.select)"
        )


def _each(triple: T, seed: int, given: Values | None) -> tuple[T, Values]:
    """The same of data that have a program each: their rows one below the other."""
    of = [None if given is None else {n: v[:, b : b + 1] for n, v in given.items()} for b in range(len(triple))]
    parts = [simulate(triple.at(torch.tensor([b])), seed, its) for b, its in enumerate(of)]
    rows = [torch.cat(pieces) for pieces in zip(*(one.data for one, _ in parts), strict=True)]
    z = {name: torch.cat([z[name] for _, z in parts], 1) for name in parts[0][1]}
    return triple.pinned_to(dict(zip(triple.per_datum, rows, strict=True))), z


def _draw(triple: Triple, seed: int, keys: np.ndarray, given: Values | None) -> tuple[Values, "Observe"]:
    """One run of the model that draws all its sites but those that are given."""
    observe, noise = Observe(tuple(triple.structure.given)), Noise(seed, keys, 1, _FIRST)
    setter = [] if given is None else [Set(place(triple.structure, given, None))]
    with torch.no_grad():
        z, _ = run(triple, "loop", partial(draw_prior, noise=noise, also=(observe, *setter)), {}, 1, noise)
    return z, observe


def _check_generative(drawn: Values, simulated: Triple, seed: int, keys: np.ndarray, given: Values | None) -> None:
    """With the same random numbers the model must draw the same, whatever the data are that it is called with."""
    z, observe = _draw(simulated, seed, keys, given)
    for name, value in (observe.drawn | z).items():
        if not torch.allclose(value.double(), drawn[name].double(), equal_nan=True):
            raise ProgramError(
                f"what the model draws at site '{name}' changes with the data it is called with: it reads an observed "
                "argument before it observes it, so it does not simulate that argument. Pass what the prior or the "
                "likelihood needs to know as an argument of its own."
            )


class Observe(Messenger):
    """Lets observed sites be drawn like latent ones but for fixed globals; what they were and have become."""

    def __init__(self, fixed: tuple[str, ...]) -> None:
        super().__init__()
        self.fixed = fixed
        self.given: Values = {}
        self.drawn: Values = {}
        self.counted: Values = {}  # which elements of the values masks leave

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.fixed or site_is_subsample(msg) or is_deterministic(msg):
            return
        if msg["is_observed"]:
            _check_total(msg)
            self.given[msg["name"]] = msg["value"]
            msg["is_observed"], msg["value"], msg["done"] = False, None, False

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["name"] in self.given:
            self.drawn[msg["name"]] = msg["value"]
            self.counted[msg["name"]] = seen(msg["fn"], msg["mask"]).expand(msg["value"].shape)


def _check_total(msg: Any) -> None:
    if bool(beyond_total(msg["fn"], msg["value"]).any()):
        raise ProgramError(
            f"site '{msg['name']}' draws Multinomial counts that sum to {innermost(msg['fn']).total_count}, and the "
            "data have larger totals: a posterior of drawn data would be another thing than that of these. Give the "
            "site the data's total_count"
        )


def put_back(named: Mapping[Key, Any], name: str, given: Tensor, drawn: Tensor, counted: Tensor) -> dict[Key, Tensor]:
    """Those of the programs' arguments that an observed value was, with the drawn value in its place.

    Args:
        named: the arguments, by position or name.
        name: of the observed site.
        given, drawn: what it was and has become.
        counted: which elements of the values masks leave; what they hide may differ.

    Raises:
        ProgramError: if the value is none of the arguments, or looks like several.
    """
    tensors = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    alike = {key: new for key, value in tensors.items() if (new := _replaced(value, given, drawn, counted)) is not None}
    # A view of an argument is that argument; another one that only looks the same may be something else.
    same = {key: new for key, new in alike.items() if _storage(tensors[key]) == _storage(given)}
    matches = same or alike
    if not matches or (not same and len(matches) > 1):
        reason = (
            f"equals the arguments {list(matches)} alike" if matches else "is none of the programs' tensor arguments"
        )
        shapes = {key: tuple(value.shape) for key, value in tensors.items()}
        raise ProgramError(
            f"the observed value of site '{name}', of shape {tuple(given.shape)}, {reason} (shapes {shapes}), so it "
            "cannot be told where a simulated one belongs. Give an argument to obs= as it is, or reshaped."
        )
    for key, new in matches.items():
        if not new.is_floating_point() and drawn.is_floating_point() and bool((drawn != drawn.round()).any()):
            raise ProgramError(
                f"site '{name}' draws values that argument {key!r} of dtype {new.dtype} cannot hold. Pass it in "
                f"{drawn.dtype}."
            )
    return matches


def _replaced(argument: Tensor, given: Tensor, drawn: Tensor, counted: Tensor) -> Tensor | None:
    """The argument with drawn values, if it is the given value up to shape, dtype and the place of its first dim."""
    if argument.numel() != given.numel() or drawn.numel() != given.numel():
        return None
    hidden = ~counted.reshape(given.shape)
    for axis in range(max(argument.dim(), 1)):
        view = argument.movedim(0, axis) if axis else argument
        theirs, ours = view.reshape(given.shape).double(), given.double()
        if bool(((theirs == ours) | (theirs.isnan() & ours.isnan()) | hidden).all()):
            new = drawn.reshape(view.shape)
            new = (new.movedim(axis, 0) if axis else new).to(argument.dtype)
            return (
                torch.where(argument.isnan(), argument, new) if argument.is_floating_point() else new
            )  # still missing
    return None


def _storage(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()
