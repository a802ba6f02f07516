"""One plain run of each program, without a sample dimension, on all rows of every subsampling plate."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.arguments import not_finite
from elbowroom.inference.programs.dtypes import meeting, unequal
from elbowroom.inference.programs.handlers import Pin, Set, Weigh
from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.programs.requirements import ProgramError, Sites
from elbowroom.inference.programs.sizeless import sizes_of
from elbowroom.inference.programs.subsampling import Whole, check_all_rows, own_rows
from elbowroom.inference.programs.training_mode import RefuseTraining, TrainingModeError

Program = Callable[..., Any]

_WHERE_ALL_IS_SAID = ("elbowroom.networks.", "elbowroom.models.", "elbowroom.guides.")


class Runs(NamedTuple):
    """One run of each program, and what was done with plates that take a subsample."""

    guide: Any
    model: Any
    pinned: dict[str, Tensor]
    whole: dict[str, tuple[int, int]]  # plate -> (size, rows it asked for)
    sizes: dict[str, int]  # plate without a size of its own -> its rows


def run_both(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    plate: str | None,
    pinned: Mapping[str, Tensor],
) -> Runs:
    """Run guide and model with all rows of every subsampling plate.

    Where that cannot be, the data were cut already, before the programs were called with them: a minibatch. It is
    answered as it is if the plate is the data's; under any other plate the evidence would be of other data than q.
    """
    whole = Whole(but=pinned)
    try:
        return _run_whole(model, guide, args, kwargs, pinned, whole)
    except ProgramError as error:
        first, asked = error, dict(whole.seen)
    if not asked:
        raise first
    if plate not in asked:
        name, (size, rows) = next(iter(asked.items()))
        raise own_rows(name, size, rows, failure=first) from first
    rest = Whole(but={*pinned, plate})
    try:
        return _run_whole(model, guide, args, kwargs, pinned, rest)
    except ProgramError as error:
        if not rest.seen:
            raise
        name, (size, rows) = next(iter(rest.seen.items()))
        raise own_rows(name, size, rows, failure=error) from error


def _run_whole(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    pinned: Mapping[str, Tensor],
    whole: Whole,
) -> Runs:
    torch.manual_seed(0)
    with whole:
        guide_trace = run_plain("guide", guide, args, kwargs, pinned)
        pins = dict(pinned) | _subsamples(guide_trace)
        model_trace = _run_model(model, guide_trace, args, kwargs, pins)
    if sizes := sizes_of([*_every(guide_trace), *_every(model_trace)]):
        whole.sizes |= sizes
        return _run_whole(model, guide, args, kwargs, pinned, whole)
    for name, site in sites_of(model_trace, observed=True).items():
        check_all_rows(name, site, whole.seen)
    return Runs(guide_trace, model_trace, pins | _subsamples(model_trace), whole.seen, whole.sizes)


def latent_sites(
    what: str,
    program: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    runs: Runs,
    seed: int = 0,
    values: Mapping[str, Tensor] | None = None,
) -> Sites:
    """The sites that a program draws in one more run, on the noise of a seed, some of them set to given values."""
    torch.manual_seed(seed)
    with Whole(but=runs.pinned, sizes=runs.sizes):
        return sites_of(run_plain(what, program, args, kwargs, runs.pinned, values), observed=False)


def run_plain(
    what: str,
    program: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    pins: Mapping[str, Tensor],
    values: Mapping[str, Tensor] | None = None,
) -> Any:
    """A trace of one unscaled run, log densities computed; failures say the arguments' shapes."""
    tracer = poutine.trace(program)
    try:
        with torch.no_grad(), Weigh(), Set(values or {}), Pin(pins), RefuseTraining():
            trace = tracer.get_trace(*args, **kwargs)
            trace.compute_log_prob()
    except TrainingModeError as error:
        raise ProgramError(f"in the {what}, {error}") from error
    except Exception as error:
        if told := _in_full(error):
            raise ProgramError(f"{not_finite(args, kwargs)}the {what} failed: {told}") from error
        arguments = (*args, *kwargs.values())
        shapes = ", ".join(map(describe, arguments)) or "none"
        raise ProgramError(
            f"{not_finite(args, kwargs)}the {what} failed on these arguments: {shapes}.\n"
            f"  {type(error).__name__}: {error}\n"
            f"  Run {what}(*args) by itself to see where; shapes and dtypes must be the ones it was written for."
            + meeting(error, arguments, tracer.trace)
        ) from error
    return trace


def _in_full(error: Exception) -> str:
    """What is said of an error in words that need no more: a network's note, or what elbowroom has raised itself.

    Pyro makes a new error of one, with the shapes of all sites so far below it; its cause is the one that was raised.
    """
    raised = error.__cause__ or error
    notes = [note for note in getattr(raised, "__notes__", ()) if note.startswith(("encoder: ", "decoder: "))]
    if notes:
        return str(notes[0])
    trace = raised.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return str(raised) if isinstance(raised, TypeError | ValueError) and where.startswith(_WHERE_ALL_IS_SAID) else ""


def _run_model(model: Program, guide_trace: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], pins: Any) -> Any:
    """The model run on the guide's draws; if only those make it fail, the message says so."""
    values = {name: site["value"] for name, site in sites_of(guide_trace, observed=False).items()}
    try:
        return run_plain("model", model, args, kwargs, pins, values)
    except ProgramError as error:
        trace = run_plain("model", model, args, kwargs, pins)  # fails by itself: that message is the one to read
        own = {name: site["value"] for name, site in sites_of(trace, observed=False).items()}
        shapes = [
            f"'{name}' is {tuple(value.shape)} in the guide, {tuple(own[name].shape)} in the model"
            for name, value in values.items()
            if name in own and own[name].shape != value.shape
        ]
        remedies = ["Give both programs the same plate sizes and event shapes."] if shapes else []
        if dtypes := unequal(values, own):
            remedies.append(
                "Give both programs one dtype: module.double(), x.float(), or dtype=x.dtype for new tensors."
            )
        raise ProgramError(
            "the model runs on its own draws but not on the guide's: "
            f"{'; '.join([*shapes, *dtypes]) or _in_full(error) or error.__cause__}. {' '.join(remedies)}".rstrip()
        ) from error


def describe(value: Any) -> str:
    """An argument in a few words, for error messages."""
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')} on {value.device}"
    return type(value).__name__


def sites_of(trace: Any, observed: bool) -> Sites:
    """The latent or the observed sites of a trace."""
    return {
        name: site
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and site["is_observed"] == observed and not site_is_subsample(site)
        if not is_deterministic(site)
    }


def _every(trace: Any) -> list[tuple[str, Any]]:
    return [*sites_of(trace, observed=False).items(), *sites_of(trace, observed=True).items()]


def _subsamples(trace: Any) -> dict[str, Tensor]:
    return {
        name: site["value"]
        for name, site in trace.nodes.items()
        if site_is_subsample(site) and site["fn"].subsample_size and site["fn"].subsample_size < site["fn"].size
    }
