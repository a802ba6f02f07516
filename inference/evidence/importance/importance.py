"""Importance-sampled log p(x) with the guide as proposal, streamed over samples, datum by datum."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import weights
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.compiled import check_compile
from elbowroom.inference.evidence.importance.streaming import (
    Drawing,
    Reduction,
    Wanted,
    joined,
    reduce_weights,
)
from elbowroom.inference.evidence.second_opinion import doubted
from elbowroom.inference.programs.refusals import counted
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target


class ImportanceInfo(TypedDict):
    """What S weights of each datum say besides log p̂(x).

    Keys:
        elbo, elbo_stderr: mean log w and its standard error, `[B]`, nats.
        delta_stderr: of log p̂(x) by the delta method, √(Var w / S) / mean w, `[B]`, nats: the weights that were drawn
            and nothing beyond them.
        ess: effective number of draws, (Σ w)² / Σ w², `[B]`.
        pareto_k: tail index of the weights, `[B]`; −∞ where they are constant, NaN where there are too few.
        pareto_k_stderr: its standard error, `[B]`.
        pareto_k_long: the index by up to four times as many of the largest weights, `[B]`.
        heavy_tail: whether the estimate is flagged for its tail, `[B]` bool; see `weights.heavy_tail`.
        min_ss: samples from which on a mean of such weights can be trusted, 10^(1 / (1 − max(0, k̂))), `[B]`.
        convergence_rate: r, where 4^(1/r) times as many samples halve the error, `[B]`: 1 at best, 0 from k̂ = 1 on.
        max_weight: the largest normalised weight, `[B]`.
        constant_weights: whether all weights are equal up to rounding, `[B]` bool.
        iwae, iwae_stderr: K -> the IWAE-K bound from groups of K of the same weights, and its standard error, `[B]`,
            nats.
        num_samples: S.
        num_evaluations: of log p(x, z), for each datum.
        evaluated: how the model was: "run" as it is, replayed in blocks from a record of what it does ("recorded") or
            "compiled", with the reason where that is less than was asked for. Missing from estimates by other draws.
        summed_out: discrete sites that the guide draws, and that were summed out of both programs: the value, its
            error, ESS, k̂ and the largest weight are of the other latents' weights; `elbo` and `iwae` are those of the
            draws themselves. Missing where there are none.
        num_refused: draws at which the model raised a numerical error, and whose weight is zero, `[B]`; missing
            where there were none.
    """

    elbo: Tensor
    elbo_stderr: Tensor
    delta_stderr: Tensor
    ess: Tensor
    pareto_k: Tensor
    pareto_k_stderr: Tensor
    pareto_k_long: Tensor
    heavy_tail: Tensor
    min_ss: Tensor
    convergence_rate: Tensor
    max_weight: Tensor
    constant_weights: Tensor
    iwae: dict[int, Tensor]
    iwae_stderr: dict[int, Tensor]
    num_samples: int
    num_evaluations: int
    evaluated: NotRequired[str]
    num_refused: NotRequired[Tensor]
    summed_out: NotRequired[tuple[str, ...]]


@checked
@asked_again
def importance(
    target: Target,
    *,
    num_samples: int = 1000,
    seed: int = 0,
    num_particles: Sequence[int] = (),
    memory_bytes: int | None = None,
    progress: bool = False,
    search: bool | None = None,
    compile: bool | str = "auto",
) -> Estimate[ImportanceInfo]:
    """Estimate log p(x_b) by importance sampling from the guide.

    log p̂(x_b) = log (1/S) Σ_s w[s, b], w = p(x, z) / q(z | x), z ~ q; by Jensen a lower bound in expectation. Samples
    are streamed: memory stays within `memory_bytes` whatever S is. The noise of a datum does not depend on the
    other data, so neither does its estimate. Finite discrete sites that the guide draws, up to 10^5 combinations a
    datum, are summed out of both programs first (`Target.collapsed`) where the programs allow it; else the draws are
    weighed with them.

    Args:
        target: programs and data.
        num_samples: S.
        seed: seed of the draws.
        num_particles: report the IWAE-K bound for each of these K ≤ S too (groups of K of the same samples).
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.
        search: look for modes that the guide misses by particles from the prior, and flag data where these show more
            than the guide's draws have seen: some ten thousand evaluations of p(x, z) a datum (`second_opinion.py`).
            None: where it is cheap and can see, up to 16 latents.
        compile: whether the model is replayed from a record of what it does (a fifth less time), compiled by torch or
            not. "auto": recorded where that pays (100 000 draws through an MNIST decoder), and compiled where there are
            250 times as many, which takes ten seconds once and saves a seventh of the time, where a compiler is found.
            True: compiled at once; False: neither. Records and compiled code are compared with plain runs, and differ
            from them by rounding; `info["evaluated"]` says what was done.

    Returns:
        Estimate with bound `"lower"`; value and stderr `[B]` in nats; `info`: see `ImportanceInfo`. The error is that
        of the delta method, √(Var w / S) / mean w, or larger where the tail of the weights is heavy: value + 1.96
        stderr holds what log p(x) would be under the largest tail index that the weights leave open
        (`weights/tail.py`).

    Raises:
        ValueError: on a number out of range, a K outside 1 … S, a budget too small for one sample, another
            `compile`, or an improper prior.
    """
    target.check_proper()
    check_compile(compile)
    check_counts(num_samples, num_particles)
    summed = target.collapsed(needed=False)
    sizes = tuple(num_particles)
    with counted() as refused:
        estimate = _weighed(target, num_samples, seed, sizes, memory_bytes, progress, compile)
        if summed is not target:  # the bounds are those of the guide as it was trained, the value is the better one
            explicit = estimate.info
            estimate = _weighed(summed, num_samples, seed, sizes, memory_bytes, progress, compile)
            for key in ("elbo", "elbo_stderr", "iwae", "iwae_stderr"):
                estimate.info[key] = explicit[key]
            estimate.info["num_evaluations"] = 2 * num_samples
            estimate.info["summed_out"] = summed.structure.collapsed
    if refused.by_key:
        estimate.info["num_refused"] = refused.of(target)
    estimate = replace(estimate.flagged(summed.cautions), unnormalised=target.unnormalised)
    return doubted(estimate, summed, search, seed=seed, memory_bytes=memory_bytes)


def _weighed(
    target: Target,
    num_samples: int,
    seed: int,
    sizes: tuple[int, ...],
    memory_bytes: int | None,
    progress: bool,
    compile: bool | str,
) -> Estimate[ImportanceInfo]:
    drawing, wanted = Drawing.of(target, num_samples, memory_bytes, compile), Wanted(sizes)
    with progress_bar(len(target) * num_samples, "importance", "sample", progress) as tick:
        pieces = reduce_weights(target, drawing.plan, num_samples, seed, wanted, tick, drawing.from_guide)
    estimate = collect(pieces, num_samples, sizes)
    estimate.info["evaluated"] = drawing.how
    return estimate


def check_evidence(evidence: Estimate[Any], num_data: int, argument: str = "evidence") -> None:
    """Raise ValueError unless this is importance sampling of so many data, as `importance` returns it."""
    expected = f"expected importance sampling of these {num_data} data, as importance(target) returns"
    if len(evidence) != num_data:
        raise ValueError(f"{argument}: got an estimate of {len(evidence)} data, {expected}")
    if missing := sorted(ImportanceInfo.__required_keys__ - evidence.info.keys()):
        raise ValueError(f"{argument}: its info lacks {missing}; {expected}")


def check_counts(num_samples: int, num_particles: Sequence[int] = ()) -> None:
    """Raise ValueError unless K ≤ S for every K."""
    for k in num_particles:
        if k > num_samples:
            raise ValueError(f"num_particles must lie in 1 … num_samples = {num_samples}, got {k}")


def collect(pieces: Sequence[Reduction], num_samples: int, sizes: Sequence[int] = ()) -> Estimate[ImportanceInfo]:
    """The estimate of log p(x) from S weights of each datum, as `importance` returns it."""
    log_size = torch.tensor(float(num_samples), dtype=torch.float64).log()
    log_sum, log_sum_squares = joined(pieces, lambda p: p.log_sum), joined(pieces, lambda p: p.log_sum_squares)
    value, rounding = log_sum - log_size, max(p.rounding for p in pieces)
    # Var(w)/S / mean² = (S Σw² / (Σw)² − 1) / (S − 1)
    relative_variance = ((log_sum_squares - 2 * log_sum + log_size).exp() - 1).clamp_min(0) / max(num_samples - 1, 1)
    constant = joined(pieces, Reduction.constant) & (num_samples > 1)
    # One sample says nothing about its own spread.
    delta = (
        torch.where(constant, 0.0, relative_variance.sqrt()) if num_samples > 1 else torch.full_like(value, torch.inf)
    )
    tail = weights.Tail.joined([p.fitted_tail() for p in pieces])
    stderr = torch.maximum(tail.widened(delta), weights.rounding_error(value, rounding))
    iwae = {k: [piece.groups[k].moments for piece in pieces] for k in sizes}
    info: ImportanceInfo = {
        "elbo": joined(pieces, lambda p: p.moments.mean),
        "elbo_stderr": joined(pieces, lambda p: p.moments.stderr()),
        "delta_stderr": delta,
        "ess": (2 * log_sum - log_sum_squares).exp(),
        "pareto_k": tail.k,
        "pareto_k_stderr": weights.pareto_k_stderr(tail.k, num_samples),
        "pareto_k_long": tail.k_long,
        "heavy_tail": tail.heavy,
        "min_ss": weights.min_sample_size(tail.k),
        "convergence_rate": weights.convergence_rate(tail.k, num_samples),
        "max_weight": (joined(pieces, lambda p: p.largest) - log_sum).exp(),
        "constant_weights": constant,
        "iwae": {k: torch.cat([m.mean for m in moments]).cpu() for k, moments in iwae.items()},
        "iwae_stderr": {k: torch.cat([m.stderr() for m in moments]).cpu() for k, moments in iwae.items()},
        "num_samples": num_samples,
        "num_evaluations": num_samples,
    }
    still = [text for piece in pieces for text in piece.still()]
    columns = zip(value.tolist(), tail.k.tolist(), constant.tolist(), tail.flags(), still, strict=True)
    flags = tuple(_flag(*row, rounding=rounding) for row in columns)
    return Estimate(value, stderr, "lower", info, flags)


def _flag(value: float, k: float, constant: bool, heavy: str, still: str, *, rounding: float) -> str:
    if value != value:
        return "log w is NaN: the programs return NaN for this datum"
    if value == float("inf"):
        return "a weight is infinite: the guide's density is zero at its own draw"
    if value == float("-inf"):
        return "every weight is zero: no draw of the guide has positive probability under the model"
    if reason := reasons(still, weights.rounding_flag(value, rounding)):
        return reason
    if constant:
        return ""
    if k != k:
        return "too few distinct weights for a Pareto k̂ (more than 20 samples are needed): the error bar is unchecked"
    return f"{heavy}, the value is likely too low" if heavy else ""
