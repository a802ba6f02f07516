"""Data in a sequential plate, `for i in pyro.plate("data", len(x)):`: the programs are run for each datum by itself.

Such a program names its sites for each datum, z_0, z_1, …, and has one value at a time, so nothing can be evaluated for
all data at once. But where its plate follows the data, a call with one datum is that datum's own program: its loop runs
once, its sites are z_0, x_0, and all that holds of a program that is one datum holds of it. A target of B data is then
B such programs, its terms `[S, B]` theirs side by side. That the loop's steps know nothing of each other is tried: all
sites of every datum must have the same log density alone as in the loop.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.arguments import (
    Axes,
    PerDatum,
    as_argument,
    as_rows,
    checked_axes,
    leading_axes,
    named,
)
from elbowroom.inference.programs.cautions import Caution
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.plain_runs import Program, run_both, run_plain
from elbowroom.inference.programs.requirements import ProgramError, SequentialPlate, check_plates
from elbowroom.inference.programs.structure import Structure, read_structure
from elbowroom.inference.programs.tolerance import same

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments."""


class OfOneDatum:
    """A program with a sequential data plate that is called with one datum: without the plate, z_0 called z."""

    def __init__(self, program: Program, plate: str) -> None:
        self.program, self.plate = program, plate

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _Unnumbered(self.plate):
            return self.program(*args, **kwargs)


class _Unnumbered(Messenger):
    """Takes sites out of the sequential plate, and the number of its only step off their names."""

    def __init__(self, plate: str) -> None:
        super().__init__()
        self.plate = plate

    def _pyro_sample(self, msg: Any) -> None:
        kept = tuple(frame for frame in msg["cond_indep_stack"] if frame.name != self.plate)
        if len(kept) < len(msg["cond_indep_stack"]):
            msg["cond_indep_stack"], msg["name"] = kept, msg["name"].removesuffix("_0")


class Each(NamedTuple):
    """What is read of the programs of all data.

    Attributes:
        model, guide: the programs, of one datum.
        structure: of all data.
        axes: the arguments that are cut, and along which axis.
    """

    model: OfOneDatum
    guide: OfOneDatum
    structure: Structure
    axes: Axes


def read_each(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    plate: str,
    per_datum: PerDatum,
    refusal: SequentialPlate,
) -> Each:
    """Make a program for each datum of two programs with a sequential data plate.

    Args:
        model, guide: the programs, of all data.
        args, kwargs: what both are called with.
        plate: the name of the data plate.
        per_datum: what the user says of the arguments.
        refusal: what to raise if the programs do not follow their data.

    Raises:
        ProgramError: if no argument holds the data, a site is outside the plate, or a datum has other sites than the
            first, or other terms alone than in the loop.
    """
    runs, num_data = _whole_runs(model, guide, args, kwargs, plate)
    find = leading_axes if per_datum is None else partial(checked_axes, per_datum)
    axes = find(named(args, kwargs), num_data)
    if not axes:
        raise refusal
    calls = [_cut(args, kwargs, axes, b) for b in range(num_data)]
    one_model, one_guide = OfOneDatum(model, plate), OfOneDatum(guide, plate)
    return Each(one_model, one_guide, _structure_of_each(one_model, one_guide, calls, runs, plate, refusal), axes)


def by_datum(triple: Any, term: Any, given: Mapping[str, Tensor], noise: Noise | None, run: Callable[..., Any]) -> Any:
    """A term of each datum by its own program, side by side, `[S, B, ...]`."""
    pieces = []
    for b in range(len(triple)):
        keyed, asked = noise, term
        if noise is not None:
            keyed = Noise(noise.seed, noise.keys[b : b + 1], noise.num_samples, noise.start)
            asked = partial(term.func, *term.args, **{**term.keywords, "noise": keyed})
        values = {name: value[:, b : b + 1] for name, value in given.items()}
        pieces.append(run(triple.at(torch.tensor([b])), asked, values, keyed))
    return tuple({k: torch.cat([piece[i][k] for piece in pieces], 1) for k in pieces[0][i]} for i in (0, 1))


def _cut(args: tuple[Any, ...], kwargs: Mapping[str, Any], axes: Axes, datum: int) -> Call:
    """The arguments of one datum."""
    arguments = named(args, kwargs)
    for key, axis in axes.items():
        arguments[key] = as_argument(as_rows(arguments[key], axis)[datum : datum + 1], axis)
    return tuple(arguments[i] for i in range(len(args))), {name: arguments[name] for name in kwargs}


def _whole_runs(model: Program, guide: Program, args: tuple[Any, ...], kwargs: Mapping[str, Any], plate: str) -> Any:
    """One run of each program on all data, and how many there are.

    Raises:
        ProgramError: if a site is outside the plate.
    """
    with quiet_globals(args):
        runs = run_both(model, guide, args, kwargs, plate, {})
    guide_sites, model_sites = _steps(runs.guide), _steps(runs.model)
    check_plates(guide_sites, model_sites, plate)
    return runs, max(_step(site, plate) for _, site in model_sites)


def _structure_of_each(
    model: Program, guide: Program, calls: list[Call], runs: Any, plate: str, refusal: SequentialPlate
) -> Structure:
    """The structure of all data, read off the programs of each, whose terms must be those of the runs on all data."""
    structures = []
    for b, call in enumerate(calls):
        try:
            structures.append(read_structure(model, guide, *call, None))
        except ProgramError as error:
            raise ProgramError(f"datum {b} by itself: {error}") from error
        if _looks(structures[b]) != _looks(structures[0]):
            raise ProgramError(f"{refusal} Datum {b} has other sites, or of other shapes, than datum 0.")
        with quiet_globals(call[0]), torch.no_grad():
            values = _values(runs.guide, guide, call, "guide", plate, b, refusal)
            _values(runs.model, model, call, "model", plate, b, refusal, values)
    return _joined(structures)


def _steps(trace: Any) -> list[tuple[str, Any]]:
    return [
        (name, site)
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and not site_is_subsample(site) and not is_deterministic(site)
    ]


def _step(site: Any, plate: str) -> int:
    """The number of the step of the loop that a site is in, from 1."""
    return next(frame.counter for frame in site["cond_indep_stack"] if frame.name == plate)


def _values(
    trace: Any,
    program: Program,
    call: Call,
    what: str,
    plate: str,
    datum: int,
    refusal: SequentialPlate,
    given: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The values of a datum's sites in the loop, by their names alone, once their log densities are found the same."""
    steps = [site for _, site in _steps(trace) if _step(site, plate) == datum + 1]
    alone = _steps(run_plain(what, program, *call, {}, given))
    values = {name: site["value"] for (name, _), site in zip(alone, steps, strict=False) if not site["is_observed"]}
    again = _steps(run_plain(what, program, *call, {}, {**(given or {}), **values}))
    fits = len(again) == len(steps) and all(
        same(site_log_prob(one).sum(), site_log_prob(site).sum()) for (_, one), site in zip(again, steps, strict=True)
    )
    if not fits:
        raise ProgramError(
            f"{refusal} The {what} cannot be run for a datum by itself: datum {datum} has other log densities alone "
            "than in the loop, so its steps depend on each other, or on their number."
        )
    return values


def _looks(structure: Structure) -> Any:
    s = structure
    return (
        s.latents,
        s.discrete,
        s.observed,
        s.auxiliary,
        s.masked,
        s.sequential,
        s.improper,
        s.follow,
        s.flat,
        s.fills is None,
    )


def _joined(structures: list[Structure]) -> Structure:
    first = structures[0]
    marks: dict[tuple[str, str], Tensor] = {}
    for b, structure in enumerate(structures):
        for caution in structure.cautions:
            key = caution.reason, caution.site
            marks.setdefault(key, torch.zeros(len(structures), dtype=torch.bool))[b] = bool(caution.data)
    cautions = tuple(Caution(reason, data, site) for (reason, site), data in marks.items())
    fills = None if first.fills is None else torch.cat([s.fills for s in structures if s.fills is not None])
    return replace(first, num_data=len(structures), cautions=cautions, fills=fills)
