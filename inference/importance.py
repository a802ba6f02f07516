"""Importance-sampled log p(x) with the guide as proposal, streamed over samples, datum by datum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm.auto import tqdm

from elbowroom.inference import weights
from elbowroom.inference.chunks import Plan, plan
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.target import Target

K_LIMIT = 0.7
"""Above it the estimate, its error bar included, cannot be trusted (Vehtari et al. 2024)."""


def importance(
    target: Target,
    *,
    num_samples: int = 1000,
    seed: int = 0,
    num_particles: Sequence[int] = (),
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Estimate:
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
        Estimate with bound `"lower"`; value and stderr (delta method, √(Var w / S) / mean w) `[B]` in nats. `info`:
        `elbo`, `elbo_stderr` `[B]`; `ess` `[B]`; `pareto_k` `[B]` (−∞: constant weights, NaN: too few samples),
        `pareto_k_stderr` `[B]`; `max_weight`, the largest normalised weight `[B]`; `constant_weights` `[B]`;
        `iwae`: {K: `[B]`} and `iwae_stderr`; `num_samples`; `num_evaluations` of log p(x, z) per datum; `flags`.

    Raises:
        ValueError: on a non-positive `num_samples`, a K outside 1 … S, or a budget too small for one sample.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")
    for k in num_particles:
        if not 1 <= k <= num_samples:
            raise ValueError(f"num_particles must lie in 1 … num_samples = {num_samples}, got {k}")
    cut = plan(target, num_samples, memory_bytes)
    bar = tqdm(
        total=len(target) * num_samples,
        desc="importance",
        unit="sample",
        delay=2,
        disable=not progress,
        leave=False,
    )
    pieces = []
    with torch.no_grad(), bar:
        for _, part in cut.data(target):
            pieces.append(_stream(part, cut, num_samples, seed, num_particles, bar))
    return _collect(pieces, num_samples, num_particles)


@dataclass
class _Moments:
    """Running mean and sum of squared deviations, merged chunk by chunk (Chan, Golub & LeVeque 1979)."""

    mean: Tensor
    squares: Tensor
    count: int = 0

    def add(self, values: Tensor) -> None:
        mean, new, total = values.mean(0), len(values), self.count + len(values)
        between = (mean - self.mean) ** 2 * (self.count * new / total)
        self.squares = self.squares + values.var(0, correction=0) * new + between
        self.mean = (self.mean * self.count + mean * new) / total  # −∞ stays −∞
        self.count = total

    def stderr(self) -> Tensor:
        """Of the mean; NaN from one value."""
        if self.count < 2:
            return torch.full_like(self.mean, torch.nan)
        return (self.squares / (self.count - 1) / self.count).sqrt()


@dataclass
class _Stream:
    """Running sums of the weights of some data: everything that is reported, in O(B) memory plus the tail."""

    num_data: int
    num_tail: int
    log_sum: Tensor  # log Σ w
    log_sum_squares: Tensor  # log Σ w²
    moments: _Moments  # of log w
    smallest: Tensor
    tail: Tensor  # the M + 1 largest log w so far
    groups: dict[int, "_Groups"] = field(default_factory=dict)
    rounding: float = 0.0  # eps of the dtype that log w was computed in

    def add(self, log_w: Tensor) -> None:
        """Take in a chunk `[S', B]`; NaN weights poison their own datum only."""
        self.rounding = max(self.rounding, torch.finfo(log_w.dtype).eps)
        log_w = log_w.double()
        self.moments.add(log_w)
        self.log_sum = torch.logaddexp(self.log_sum, log_w.logsumexp(0))
        self.log_sum_squares = torch.logaddexp(self.log_sum_squares, (2 * log_w).logsumexp(0))
        self.smallest = torch.minimum(self.smallest, log_w.amin(0))
        merged = torch.cat([self.tail, log_w])
        self.tail = merged.topk(min(self.num_tail + 1, len(merged)), dim=0).values
        for group in self.groups.values():
            group.add(log_w)


@dataclass
class _Groups:
    """log-mean-exp of consecutive groups of K weights: IWAE-K, whatever the chunks are."""

    size: int
    open_log_sum: Tensor
    open_count: int
    moments: _Moments

    def add(self, log_w: Tensor) -> None:
        if self.open_count:  # fill the group that the last chunk left open
            head = min(self.size - self.open_count, len(log_w))
            self.open_log_sum = torch.logaddexp(self.open_log_sum, log_w[:head].logsumexp(0))
            self.open_count += head
            log_w = log_w[head:]
            if self.open_count < self.size:
                return
            self._close(self.open_log_sum.unsqueeze(0))
            self.open_log_sum, self.open_count = torch.full_like(self.open_log_sum, -torch.inf), 0
        whole = len(log_w) - len(log_w) % self.size
        if whole:
            self._close(log_w[:whole].unflatten(0, (-1, self.size)).logsumexp(1))
        if whole < len(log_w):
            self.open_log_sum, self.open_count = log_w[whole:].logsumexp(0), len(log_w) - whole

    def _close(self, log_sums: Tensor) -> None:
        self.moments.add(log_sums - math.log(self.size))


def _stream(part: Target, cut: Plan, num_samples: int, seed: int, sizes: Sequence[int], bar: tqdm) -> _Stream:
    stream: _Stream | None = None
    for start, count in cut.sample_ranges(num_samples):
        log_w = part.log_weights(count, seed=seed, start=start)
        if stream is None:
            stream = _empty(log_w, num_samples, sizes)
        stream.add(log_w)
        bar.update(count * len(part))
    assert stream is not None
    return stream


def _empty(log_w: Tensor, num_samples: int, sizes: Sequence[int]) -> _Stream:
    zero = torch.zeros_like(log_w[0], dtype=torch.float64)
    lowest = torch.full_like(zero, -torch.inf)
    return _Stream(
        num_data=len(zero),
        num_tail=weights.tail_length(num_samples),
        log_sum=lowest,
        log_sum_squares=lowest,
        moments=_Moments(zero, zero),
        smallest=torch.full_like(zero, torch.inf),
        tail=lowest.new_empty(0, len(zero)),
        groups={k: _Groups(k, lowest, 0, _Moments(zero, zero)) for k in sizes},
    )


def _collect(pieces: list[_Stream], num_samples: int, sizes: Sequence[int]) -> Estimate:
    def joined(name: str) -> Tensor:
        return torch.cat([getattr(piece, name) for piece in pieces])

    log_size = torch.tensor(float(num_samples), dtype=torch.float64).log()
    log_sum, log_sum_squares = joined("log_sum"), joined("log_sum_squares")
    value = log_sum - log_size
    # Var(w)/S / mean² = (S Σw² / (Σw)² − 1) / (S − 1)
    relative_variance = ((log_sum_squares - 2 * log_sum + log_size).exp() - 1).clamp_min(0) / max(num_samples - 1, 1)
    largest = torch.cat([piece.tail[0] for piece in pieces])
    constant = weights.spread_is_rounding(largest, joined("smallest"), pieces[0].rounding) & (num_samples > 1)
    # One sample says nothing about its own spread.
    stderr = (
        torch.where(constant, 0.0, relative_variance.sqrt())
        if num_samples > 1
        else value.new_full(value.shape, torch.inf)
    )
    pareto_k = torch.where(constant, -torch.inf, torch.cat([_pareto(piece, num_samples) for piece in pieces]))
    info = {
        "elbo": torch.cat([piece.moments.mean for piece in pieces]),
        "elbo_stderr": torch.cat([piece.moments.stderr() for piece in pieces]),
        "ess": (2 * log_sum - log_sum_squares).exp(),
        "pareto_k": pareto_k,
        "pareto_k_stderr": weights.pareto_k_stderr(pareto_k, num_samples),
        "max_weight": (largest - log_sum).exp(),
        "constant_weights": constant,
        "iwae": {k: torch.cat([piece.groups[k].moments.mean for piece in pieces]) for k in sizes},
        "iwae_stderr": {k: torch.cat([piece.groups[k].moments.stderr() for piece in pieces]) for k in sizes},
        "num_samples": num_samples,
        "num_evaluations": num_samples,
        "flags": tuple(_flag(*row) for row in zip(value.tolist(), pareto_k.tolist(), constant.tolist(), strict=True)),
    }
    return Estimate(value, stderr, "lower", info)


def _pareto(piece: _Stream, num_samples: int) -> Tensor:
    if piece.num_tail < 5 or piece.num_tail >= num_samples:
        return torch.full_like(piece.log_sum, torch.nan)
    return weights.pareto_k_of_tail(piece.tail)


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
    if k > K_LIMIT:
        return f"Pareto k̂ = {k:.2f} > {K_LIMIT}: the weights' tail is too heavy, the value is likely too low"
    return ""
