"""From the weights of chains to an Estimate: value, error, diagnostics and flags."""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.estimate import Bound, Estimate
from elbowroom.inference.evidence.annealing.blocks import Block
from elbowroom.inference.evidence.annealing.settings import Settings
from elbowroom.inference.evidence.annealing.walk import Walk
from elbowroom.inference.target import Target

STUCK = 0.1
"""Acceptance below which chains hardly move."""

_ENOUGH = 100  # weights that a k̂ needs to say something: its tail has twenty then

Piece = dict[str, Tensor]
"""What is kept of some data, by name: tensors whose last dimension is the data."""


class ChainsInfo(TypedDict):
    """What the weights of C chains of each datum say besides log p̂(x), after T steps of the temperature.

    Keys:
        log_weights: log w of each chain, `[C, B]`, nats; of chains that go back, those of the forward direction.
        betas: temperatures, `[T + 1, B]`.
        acceptance: mean acceptance of each transition over chains, `[T − 1, B]`.
        spread: standard deviation of log w over chains, `[B]`, nats; +∞ from one chain.
        ess: effective number of chains, `[B]`.
        pareto_k: tail index of the weights, `[B]`; −∞ where they are constant, NaN with fewer than 100 chains.
        constant_weights: whether all weights are equal up to rounding, `[B]` bool.
        num_evaluations: gradients of both ends of the path for each datum, pilot chains included.
        num_pilot_evaluations: those of the pilot chains.
        seconds: wall-clock time for all data.
        start: `"guide"` or `"prior"`.
    """

    log_weights: Tensor
    betas: Tensor
    acceptance: Tensor
    spread: Tensor
    ess: Tensor
    pareto_k: Tensor
    constant_weights: Tensor
    num_evaluations: int
    num_pilot_evaluations: int
    seconds: float
    start: str


def observe(block: Block, chains: Walk, reduce: Callable[[Tensor, Tensor], Tensor]) -> Piece:
    """Weights, schedule, acceptance and cost of the chains of some data."""
    tuning = block.frozen.tuning
    piece = {
        "log_weights": reduce(block.frozen.betas, chains.differences),
        "betas": block.frozen.betas,
        "acceptance": chains.acceptance,
        "num_pilot_evaluations": torch.full_like(block.frozen.betas[0], tuning.num_evaluations, dtype=torch.long),
        "rounding": torch.full_like(block.frozen.betas[0], torch.finfo(tuning.log_step.dtype).eps),
    }
    return {name: value.cpu() for name, value in piece.items()}


def assemble(
    pieces: list[Piece],
    settings: Settings,
    bound: Bound,
    seconds: float,
    *,
    extra: int = 0,
    noun: str = "chains",
) -> Estimate[ChainsInfo]:
    """log mean w over chains, or −log mean 1/w if the value is no lower bound, with its error, diagnostics and flags.

    Args:
        pieces: of `observe`.
        settings: of the chains.
        bound: what the value bounds.
        seconds: that it took.
        extra: gradient evaluations that `settings` do not count.
        noun: what has a weight each.
    """
    forward, sign = joined(pieces, "log_weights"), 1.0 if bound == "lower" else -1.0
    log_w, eps = sign * forward, joined(pieces, "rounding").max().item()
    value = sign * weights.log_marginal(log_w)
    has_spread = len(log_w) > 1  # one chain says nothing about its own spread
    constant = weights.spread_is_rounding(log_w.amax(0), log_w.amin(0), eps) & has_spread
    unknown = torch.full_like(value, torch.inf)
    stderr = torch.where(constant, 0.0, weights.log_marginal_stderr(log_w)) if has_spread else unknown
    pilot = int(joined(pieces, "num_pilot_evaluations")[0])
    info: ChainsInfo = {
        "log_weights": forward,
        "betas": joined(pieces, "betas"),
        "acceptance": joined(pieces, "acceptance"),
        "spread": log_w.std(0) if has_spread else unknown,
        "ess": weights.ess(log_w),
        "pareto_k": torch.where(constant, -torch.inf, weights.pareto_k(log_w) if len(log_w) >= _ENOUGH else torch.nan),
        "constant_weights": constant,
        "num_evaluations": settings.num_evaluations + pilot + extra,
        "num_pilot_evaluations": pilot,
        "seconds": seconds,
        "start": settings.start,
    }
    flags = _flags(value, info, "low" if bound == "lower" else "high", noun)
    return Estimate(value, stderr, bound, info, flags)


def cautions(target: Target, start: str) -> tuple[str, ...]:
    """For each datum the reasons to doubt chains that begin at the guide; those from the prior use no log q."""
    return target.cautions if start == "guide" else ("",) * len(target)


def joined(pieces: list[Piece], name: str) -> Tensor:
    """What is kept under a name, of all data."""
    return torch.cat([piece[name] for piece in pieces], -1)


def least_effective(num_chains: int) -> float:
    """Effective chains below which an error bar is not to be believed: ten, or a quarter of few chains."""
    return min(10.0, num_chains / 4)


class _Datum(NamedTuple):
    """What the weights of one datum's chains say."""

    value: float
    ess: float
    pareto_k: float
    constant: bool
    acceptance: float  # the least of any transition


def _flags(value: Tensor, info: ChainsInfo, side: str, noun: str) -> tuple[str, ...]:
    num_chains = len(info["log_weights"])
    acceptance = info["acceptance"].amin(0) if len(info["acceptance"]) else torch.ones_like(value)
    columns = (value, info["ess"], info["pareto_k"], info["constant_weights"], acceptance)
    data = map(_Datum, *(column.tolist() for column in columns))
    return tuple(_flag(datum, num_chains, side, noun) for datum in data)


def _flag(datum: _Datum, num_chains: int, side: str, noun: str) -> str:
    """Why a datum's value should not be trusted, or an empty string; a wrong value is too `side`."""
    if datum.value != datum.value:
        return "log w is NaN: the programs return NaN for this datum"
    if abs(datum.value) == float("inf"):
        return _INFINITE[side, datum.value > 0]
    if datum.constant:
        return ""
    if num_chains == 1:
        return f"one of the {noun} says nothing about its own error: raise num_{noun}"
    if datum.ess < least_effective(num_chains):
        return (
            f"{datum.ess:.1f} effective of {num_chains} {noun}: the value is likely too {side} and its error bar too "
            "small; raise num_steps"
        )
    if reason := weights.heavy_tail(datum.pareto_k):
        return f"{reason}, the value is likely too {side}"
    if datum.acceptance < STUCK:
        return f"chains hardly move at one temperature: acceptance {datum.acceptance:.2f} there"
    return ""


_INFINITE = {
    ("low", False): "every weight is zero: no draw of the start has positive probability under the model",
    ("low", True): "a weight is infinite: the start's density is zero at its own draw, or the model's is unbounded",
    ("high", True): "the start's density is zero at every posterior draw: it does not cover the posterior",
    ("high", False): "a draw that was given has probability zero under the model: it is not from this posterior",
}
