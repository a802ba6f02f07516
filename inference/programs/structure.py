"""What a pair of programs looks like: its sites, plates and shapes, read off one plain run of each."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions.transforms import identity_transform

from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.handlers import Pin, Set, Weigh
from elbowroom.inference.programs.log_prob import bijection, enumerable, support_of
from elbowroom.inference.programs.requirements import (
    ProgramError,
    check_batch,
    check_observed,
    check_partners,
    check_plates,
    check_vectorized,
)
from elbowroom.inference.programs.subsampling import Whole, check_all_rows, check_own_rows, own_rows
from elbowroom.inference.programs.training_mode import RefuseTraining, TrainingModeError

Program = Callable[..., Any]

MOST_BRANCHES = 64
"""Branches that are run at most; sites with more values together are enumerated in parallel, whatever they ask for."""


@dataclass(frozen=True)
class Latent:
    """One latent site: how its value `[S, B, *inner, *event]` lies inside the program.

    Attributes:
        name: the site's name.
        rank: number of batch dims in a plain run.
        inner: sizes of the batch dims other than the data plate's, leftmost first, absent plates as 1.
        event: the event shape.
        unconstrained: the event shape after `biject_to(support).inv`; None for a discrete site, and where no bijection
            is known.
        num_values: how many values it has, its plates' taken together; None if they are not finitely many.
        elementwise: whether that bijection acts on each element by itself.
        real: whether it is the identity: the support is the whole of R^n.
    """

    name: str
    rank: int
    inner: tuple[int, ...]
    event: tuple[int, ...]
    unconstrained: tuple[int, ...] | None
    elementwise: bool
    real: bool
    num_values: int | None = None

    @property
    def plates(self) -> tuple[int, ...]:
        """Sizes of the plates besides the data's that one datum's values stand in; one of size 1 is none."""
        return tuple(n for n in self.inner if n > 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value of one datum."""
        return self.plates + self.event


@dataclass(frozen=True)
class Structure:
    """Sites, plates and shapes of a (model, guide) pair on given data."""

    num_data: int
    data_dim: int | None  # dim of the data plate, counted from the right among batch dims
    nesting: int  # number of batch dims that plates use
    latents: dict[str, Latent]
    discrete: tuple[str, ...]  # finite discrete latents that the guide leaves to be summed out
    observed: tuple[str, ...]
    auxiliary: tuple[str, ...]  # guide sites that are not model latents (AutoGuides draw in such spaces)
    pinned: dict[str, Tensor] = field(default_factory=dict)  # data plate of a minibatch -> indices drawn once
    collapsed: tuple[str, ...] = ()  # those of the discrete ones that the guide draws: summed out of both programs
    sequential: tuple[str, ...] = ()  # those of the discrete ones that the model may branch on
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)  # param statement -> shape of its value
    whole: tuple[str, ...] = ()  # subsampling plates that are given all their rows

    def place(self, latent: Latent, value: Tensor, event: tuple[int, ...]) -> Tensor:
        """`[S, B, *inner, *event]` to the program's layout `[S, *batch, *event]`."""
        num_samples, num_data = value.shape[:2]
        if self.data_dim is None:
            return value.reshape(num_samples, *latent.inner, *event)
        full = value.reshape(num_samples, num_data, *latent.inner, *event)
        return full.movedim(1, 1 + self.nesting + self.data_dim)

    def collect(self, latent: Latent, value: Tensor, event: tuple[int, ...]) -> Tensor:
        """The program's layout `[S, *batch, *event]` back to `[S, B, *inner, *event]`, absent plates dropped."""
        if self.data_dim is None:
            full = value.unsqueeze(1)
        else:
            full = value.movedim(1 + self.nesting + self.data_dim, 1)
        return full.reshape(*full.shape[:2], *latent.plates, *event)

    def per_datum(self, log_prob: Tensor, num_samples: int, num_data: int) -> Tensor:
        """Sum a site's log density over every batch dim but samples and data: `[S, B]`."""
        lead = 1 + self.nesting - log_prob.dim()
        full = log_prob.reshape((1,) * lead + log_prob.shape)
        if self.data_dim is None:
            terms = full.flatten(1).sum(1, keepdim=True) if full.dim() > 1 else full.unsqueeze(-1)
        else:
            terms = full.movedim(1 + self.nesting + self.data_dim, 1).flatten(2).sum(2) if self.nesting > 1 else full
        return terms.expand(num_samples, num_data)


def read_structure(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    plate: str | None,
    pinned: Mapping[str, Tensor] | None = None,
) -> Structure:
    """Run each program once, without a sample dimension, and read off its structure.

    Raises:
        ProgramError: naming the site, its shape and its plates, when the pair is not a triple of per-datum programs.
    """
    with quiet_globals(args):
        traces = _run_both(model, guide, args, kwargs, plate, pinned or {})
    guide_trace, model_trace = traces.guide, traces.model
    drawn = dict(_sites(guide_trace, observed=False))
    latents = dict(_sites(model_trace, observed=False))
    observed = dict(_sites(model_trace, observed=True))
    factors = dict(_sites(guide_trace, observed=True))  # they weigh in log q
    discrete = tuple(n for n, s in latents.items() if n not in drawn and enumerable(s["fn"]))
    sites = [*drawn.items(), *factors.items(), *latents.items(), *observed.items()]
    check_vectorized(sites, plate)
    check_own_rows(sites, plate)
    check_partners(latents, drawn, discrete, observed)
    check_plates(sites, plate)
    num_data, data_dim, nesting = _plates([site for _, site in sites], plate)
    for name, site in sites:
        check_batch(name, site, plate)
    for name, site in observed.items():
        check_observed(name, site, data_dim)
    return Structure(
        num_data=num_data,
        data_dim=data_dim,
        nesting=nesting,
        latents={n: _latent(n, s, data_dim, nesting) for n, s in latents.items() if n in drawn},
        discrete=discrete,
        observed=tuple(observed),
        auxiliary=tuple(n for n in drawn if n not in latents),
        pinned=traces.pinned,
        sequential=_sequential({n: latents[n] for n in discrete}, data_dim),
        parameters=_parameters(guide_trace) | _parameters(model_trace),
        whole=tuple(traces.whole),
    )


class _Traces(NamedTuple):
    """One run of each program, and what was done with plates that take a subsample."""

    guide: Any
    model: Any
    pinned: dict[str, Tensor]
    whole: dict[str, tuple[int, int]]  # plate -> (size, rows it asked for)


def _run_both(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    plate: str | None,
    pinned: Mapping[str, Tensor],
) -> _Traces:
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
        raise own_rows(name, size, rows) from first
    rest = Whole(but={*pinned, plate})
    try:
        return _run_whole(model, guide, args, kwargs, pinned, rest)
    except ProgramError as error:
        if not rest.seen:
            raise
        name, (size, rows) = next(iter(rest.seen.items()))
        raise own_rows(name, size, rows) from error


def _run_whole(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    pinned: Mapping[str, Tensor],
    whole: Whole,
) -> _Traces:
    torch.manual_seed(0)
    with whole:
        guide_trace = run_plain("guide", guide, args, kwargs, pinned)
        pins = dict(pinned) | _subsamples(guide_trace)
        model_trace = _run_model(model, guide_trace, args, kwargs, pins)
    for name, site in _sites(model_trace, observed=True):
        check_all_rows(name, site, whole.seen)
    return _Traces(guide_trace, model_trace, pins | _subsamples(model_trace), whole.seen)


def run_plain(
    what: str,
    program: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    pins: Mapping[str, Tensor],
    values: Mapping[str, Tensor] | None = None,
) -> Any:
    """A trace of one unscaled run, log densities computed; failures say the arguments' shapes."""
    try:
        with torch.no_grad(), Weigh(), Set(values or {}), Pin(pins), RefuseTraining():
            trace = poutine.trace(program).get_trace(*args, **kwargs)
            trace.compute_log_prob()
    except TrainingModeError as error:
        raise ProgramError(f"in the {what}, {error}") from error
    except Exception as error:
        shapes = ", ".join(describe(a) for a in (*args, *kwargs.values())) or "none"
        raise ProgramError(
            f"the {what} failed on these arguments: {shapes}.\n  {type(error).__name__}: {error}\n"
            f"  Run {what}(*args) by itself to see where; shapes and dtypes must be the ones it was written for."
        ) from error
    return trace


def _run_model(model: Program, guide_trace: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], pins: Any) -> Any:
    """The model run on the guide's draws; if only those make it fail, the message says so."""
    values = {name: site["value"] for name, site in _sites(guide_trace, observed=False)}
    try:
        return run_plain("model", model, args, kwargs, pins, values)
    except ProgramError as error:
        trace = run_plain("model", model, args, kwargs, pins)  # fails by itself: that message is the one to read
        own = {name: site["value"].shape for name, site in _sites(trace, observed=False)}
        differences = [
            f"'{name}' is {tuple(value.shape)} in the guide, {tuple(own[name])} in the model"
            for name, value in values.items()
            if name in own and own[name] != value.shape
        ]
        raise ProgramError(
            f"the model runs on its own draws but not on the guide's: {'; '.join(differences) or error.__cause__}. "
            "Give both programs the same plate sizes and event shapes."
        ) from error


def describe(value: Any) -> str:
    """An argument in a few words, for error messages."""
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')} on {value.device}"
    return type(value).__name__


def _sites(trace: Any, observed: bool) -> list[tuple[str, Any]]:
    return [
        (name, site)
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and site["is_observed"] == observed and not site_is_subsample(site)
        if not site["infer"].get("_deterministic", False)
    ]


def _subsamples(trace: Any) -> dict[str, Tensor]:
    return {
        name: site["value"]
        for name, site in trace.nodes.items()
        if site_is_subsample(site) and site["fn"].subsample_size and site["fn"].subsample_size < site["fn"].size
    }


def _plates(sites: list[Any], plate: str | None) -> tuple[int, int | None, int]:
    frames = [f for site in sites for f in site["cond_indep_stack"] if f.vectorized]
    # Batch dims may be used without a plate when there is one datum; they count as inner dims then.
    bare = [len(s["fn"].batch_shape) for s in sites] if plate is None else []
    nesting = max([-f.dim for f in frames] + bare, default=0)
    if plate is None:
        return 1, None, nesting
    sizes = {(f.size, f.dim) for f in frames if f.name == plate}
    if len(sizes) > 1:
        sizes_text = ", ".join(f"size {s} at dim {d}" for s, d in sorted(sizes))
        raise ProgramError(
            f"the plate '{plate}' is not the same everywhere: {sizes_text}. Give it one size and one dim."
        )
    size, dim = sizes.pop()
    if size < 1:
        raise ProgramError(f"the plate '{plate}' has no size or no data; give pyro.plate('{plate}', len(x)) data")
    return size, dim, nesting


def _sequential(discrete: Mapping[str, Any], data_dim: int | None) -> tuple[str, ...]:
    """The sites that ask for sequential enumeration, if they stand in no plate besides the data's and are few."""

    def single(site: Any) -> bool:
        batch = site["fn"].batch_shape
        return all(n == 1 or i - len(batch) == data_dim for i, n in enumerate(batch))

    asked = {n: s for n, s in discrete.items() if s["infer"].get("enumerate") == "sequential" and single(s)}
    branches = math.prod(len(site["fn"].enumerate_support(expand=False)) for site in asked.values())
    return tuple(asked) if branches <= MOST_BRANCHES else ()


def _parameters(trace: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of a program's parameters."""
    return {
        name: tuple(site["value"].shape)
        for name, site in trace.nodes.items()
        if site["type"] == "param" and isinstance(site["value"], Tensor)
    }


def _latent(name: str, site: Any, data_dim: int | None, nesting: int) -> Latent:
    fn, value = site["fn"], site["value"]
    event = tuple(value.shape[value.dim() - fn.event_dim :])
    batch = tuple(value.shape[: value.dim() - fn.event_dim])
    rank, batch = len(batch), (1,) * (nesting - len(batch)) + batch
    inner = batch if data_dim is None else tuple(n for i, n in enumerate(batch) if i - nesting != data_dim)
    if enumerable(fn) or getattr(support_of(fn), "is_discrete", False):
        return Latent(name, rank, inner, event, None, False, False, _num_values(fn, inner))
    try:
        transform = bijection(fn)
    except NotImplementedError:
        return Latent(name, rank, inner, event, None, False, False)
    unconstrained = tuple(transform.inv(value).shape[value.dim() - fn.event_dim :])
    innermost = _innermost_transform(transform)
    elementwise = innermost.domain.event_dim == 0 and innermost.codomain.event_dim == 0
    return Latent(name, rank, inner, event, unconstrained, elementwise, innermost == identity_transform)


def _num_values(fn: Any, inner: tuple[int, ...]) -> int | None:
    if not enumerable(fn):
        return None
    try:
        return int(len(fn.enumerate_support(expand=False)) ** math.prod(inner))
    except NotImplementedError:
        return None


def _innermost_transform(transform: Any) -> Any:
    while hasattr(transform, "base_transform"):
        transform = transform.base_transform
    return transform
