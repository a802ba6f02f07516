"""Importance-sampled log p(x) with the guide as proposal, streamed over samples, datum by datum."""

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation import budget
from elbowroom.inference.evidence.importance.streaming import Reduction, Wanted, joined, reduce_weights
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target


class ImportanceInfo(TypedDict):
    """What S weights of each datum say besides log p̂(x).

    Keys:
        elbo, elbo_stderr: mean log w and its standard error, `[B]`, nats.
        ess: effective number of draws, (Σ w)² / Σ w², `[B]`.
        pareto_k: tail index of the weights, `[B]`; −∞ where they are constant, NaN where there are too few.
        pareto_k_stderr: its standard error, `[B]`.
        max_weight: the largest normalised weight, `[B]`.
        constant_weights: whether all weights are equal up to rounding, `[B]` bool.
        iwae, iwae_stderr: K -> the IWAE-K bound from groups of K of the same weights, and its standard error, `[B]`,
            nats.
        num_samples: S.
        num_evaluations: of log p(x, z), for each datum.
    """

    elbo: Tensor
    elbo_stderr: Tensor
    ess: Tensor
    pareto_k: Tensor
    pareto_k_stderr: Tensor
    max_weight: Tensor
    constant_weights: Tensor
    iwae: dict[int, Tensor]
    iwae_stderr: dict[int, Tensor]
    num_samples: int
    num_evaluations: int


def importance(
    target: Target,
    *,
    num_samples: int = 1000,
    seed: int = 0,
    num_particles: Sequence[int] = (),
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Estimate[ImportanceInfo]:
    """Estimate log p(x_b) by importance sampling from the guide.

    log p̂(x_b) = log (1/S) Σ_s w[s, b], w = p(x, z) / q(z | x), z ~ q; by Jensen a lower bound in expectation. Samples
    are streamed: memory stays within `memory_bytes` whatever S is. The noise of a datum does not depend on the
    other data, so neither does its estimate.

    Args:
        target: programs and data.
        num_samples: S.
        seed: seed of the draws.
        num_particles: report the IWAE-K bound for each of these K ≤ S too (groups of K of the same samples).
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Estimate with bound `"lower"`; value and stderr (delta method, √(Var w / S) / mean w) `[B]` in nats;
        `info`: see `ImportanceInfo`.

    Raises:
        ValueError: on a non-positive `num_samples`, a K outside 1 … S, or a budget too small for one sample.
    """
    check_counts(num_samples, num_particles)
    plan = budget.plan(target, num_samples, memory_bytes)
    with progress_bar(len(target) * num_samples, "importance", "sample", progress) as tick:
        pieces = reduce_weights(target, plan, num_samples, seed, Wanted(tuple(num_particles)), tick)
    return collect(pieces, num_samples, num_particles).flagged(target.cautions)


def check_counts(num_samples: int, num_particles: Sequence[int] = ()) -> None:
    """Raise ValueError unless 1 ≤ K ≤ S for every K."""
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    for k in num_particles:
        if not 1 <= k <= num_samples:
            raise ValueError(f"num_particles must lie in 1 … num_samples = {num_samples}, got {k}")


def collect(pieces: Sequence[Reduction], num_samples: int, sizes: Sequence[int] = ()) -> Estimate[ImportanceInfo]:
    """The estimate of log p(x) from S weights of each datum, as `importance` returns it."""
    log_size = torch.tensor(float(num_samples), dtype=torch.float64).log()
    log_sum, log_sum_squares = joined(pieces, lambda p: p.log_sum), joined(pieces, lambda p: p.log_sum_squares)
    value = log_sum - log_size
    # Var(w)/S / mean² = (S Σw² / (Σw)² − 1) / (S − 1)
    relative_variance = ((log_sum_squares - 2 * log_sum + log_size).exp() - 1).clamp_min(0) / max(num_samples - 1, 1)
    largest = joined(pieces, lambda p: p.tail[0])
    constant = joined(pieces, Reduction.constant) & (num_samples > 1)
    # One sample says nothing about its own spread.
    stderr = (
        torch.where(constant, 0.0, relative_variance.sqrt())
        if num_samples > 1
        else value.new_full(value.shape, torch.inf)
    )
    pareto_k = torch.where(constant, -torch.inf, joined(pieces, lambda p: p.pareto_k(num_samples)))
    iwae = {k: [piece.groups[k].moments for piece in pieces] for k in sizes}
    info: ImportanceInfo = {
        "elbo": joined(pieces, lambda p: p.moments.mean),
        "elbo_stderr": joined(pieces, lambda p: p.moments.stderr()),
        "ess": (2 * log_sum - log_sum_squares).exp(),
        "pareto_k": pareto_k,
        "pareto_k_stderr": weights.pareto_k_stderr(pareto_k, num_samples),
        "max_weight": (largest - log_sum).exp(),
        "constant_weights": constant,
        "iwae": {k: torch.cat([m.mean for m in moments]) for k, moments in iwae.items()},
        "iwae_stderr": {k: torch.cat([m.stderr() for m in moments]) for k, moments in iwae.items()},
        "num_samples": num_samples,
        "num_evaluations": num_samples,
    }
    flags = tuple(_flag(*row) for row in zip(value.tolist(), pareto_k.tolist(), constant.tolist(), strict=True))
    return Estimate(value, stderr, "lower", info, flags)


def _flag(value: float, k: float, constant: bool) -> str:
    if value != value:
        return "log w is NaN: the programs return NaN for this datum"
    if value == float("inf"):
        return "a weight is infinite: the guide's density is zero at its own draw"
    if value == float("-inf"):
        return "every weight is zero: no draw of the guide has positive probability under the model"
    if constant:
        return ""
    if k != k:
        return "too few distinct weights for a Pareto k̂ (more than 20 samples are needed): the error bar is unchecked"
    reason = weights.heavy_tail(k)
    return f"{reason}, the value is likely too low" if reason else ""
