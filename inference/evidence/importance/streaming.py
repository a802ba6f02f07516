"""Running reductions of importance weights: samples arrive chunk by chunk, a few numbers a datum are kept."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.evaluation import budget
from elbowroom.inference.evaluation.budget import Plan, bytes_or_default
from elbowroom.inference.evaluation.joint_in_blocks import JointInBlocks
from elbowroom.inference.evaluation.weighted_draws import Sampler, reduced, weighted_draws
from elbowroom.inference.progress import Tick
from elbowroom.inference.target import Target
from elbowroom.inference.weights.running import Groups, Moments, Powers

_SAME = 16  # roundings within which two log weights are those of equal draws
_FEW = 4  # draws, of which nearly always one differs from another
_TIED = 0.5  # of the largest weights, below which so few are different that their tail is none


class Drawn(NamedTuple):
    """One chunk of weighted draws, log densities `[S', B]` in nats."""

    log_w: Tensor  # log p(x, z) − log q(z | x)
    likelihood: Tensor  # log p(x | z)
    z: Mapping[str, Tensor] = MappingProxyType({})  # site -> `[S', B, *event]`, of what the guide draws
    discrete: tuple[str, ...] = ()  # those of its sites whose values may well be equal


@dataclass(frozen=True)
class Wanted:
    """What a reduction keeps besides the sums that it always does.

    Attributes:
        num_particles: K of each IWAE bound.
        jackknife: whether to correct each of them with K > 1; the open group's K weights are then held.
        powers: exponents β of the power means of w.
        harmonic: whether to sum w / p(x | z).
    """

    num_particles: tuple[int, ...] = ()
    jackknife: bool = False
    powers: tuple[float, ...] = ()
    harmonic: bool = False

    def held_bytes(self) -> int:
        """Largest number of bytes held for a datum between chunks: the open groups, while one is closed."""
        return 3 * 8 * sum(self.num_particles) if self.jackknife else 0


@dataclass(frozen=True)
class Drawing:
    """How weighted draws are made.

    Attributes:
        plan: how data and draws are cut.
        joint: evaluates the model block by block, where that pays.
        how: "run", or the joint's own words.
    """

    plan: Plan
    joint: JointInBlocks | None = None
    how: str = "run"

    @classmethod
    def of(
        cls,
        target: Target,
        num_samples: int,
        memory_bytes: int | None,
        compile: bool | str = "auto",
        wanted: "Wanted | None" = None,
    ) -> "Drawing":
        """Of S draws for each datum, and of what is kept of them: with the model in blocks where these pay.

        Raises:
            ValueError: if the budget does not hold one sample, or the open groups of one piece of the data.
        """
        room, wanted = bytes_or_default(memory_bytes), wanted or Wanted()
        cost = budget.measure(target, memory_bytes=room)
        joint = JointInBlocks.of(target, num_samples, cost, memory_bytes, compile)
        if joint is not None and with_room(joint.plan, target, wanted, memory_bytes) == joint.plan:
            return cls(joint.plan, joint, joint.how)
        plan = with_room(budget.cut(target, num_samples, cost, room), target, wanted, memory_bytes)
        return cls(plan, None, "run (the programs give no record in blocks)" if compile is True else "run")

    def log_joint(self, target: Target, z: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """log p(z) and log p(x | z), `[S', B']`, of a piece of the data, which the plan has cut."""
        return target.log_joint(z) if self.joint is None else self.joint(target, z)

    def from_guide(self, target: Target, num_samples: int, seed: int, start: int) -> Drawn:
        """Draws of the guide."""
        drawn = weighted_draws(target, num_samples, seed, start)
        prior, likelihood = self.log_joint(target, drawn.z)
        discrete = tuple(name for name, latent in target.structure.latents.items() if latent.unconstrained is None)
        return Drawn(prior + likelihood - drawn.log_q, likelihood.expand(num_samples, -1), drawn.z, discrete)

    def from_prior(self, target: Target, num_samples: int, seed: int, start: int) -> Drawn:
        """Draws of the model's own prior, whose weights are the likelihoods."""
        likelihood = self.log_joint(target, target.sample_prior(num_samples, seed=seed, start=start))[1]
        likelihood = likelihood.expand(num_samples, -1)  # without a latent there is one sample
        return Drawn(likelihood, likelihood)


def reduce_weights(
    target: Target,
    plan: Plan,
    num_samples: int,
    seed: int,
    wanted: Wanted,
    tick: Tick,
    sampler: Sampler[Drawn],
) -> "list[Reduction]":
    """Reduce S weighted draws of every datum, one `Reduction` for each piece of the data."""
    reduce = partial(_reduced, num_samples=num_samples, wanted=wanted, tick=tick)
    return list(reduced(target, sampler, plan, num_samples, seed, reduce))


def _reduced(chunks: Iterator[Drawn], num_samples: int, wanted: Wanted, tick: Tick) -> "Reduction":
    """The reduction of the chunks of one piece of the data."""
    running: Reduction | None = None
    for drawn in chunks:
        if running is None:
            running = Reduction.empty(drawn.log_w, num_samples, wanted)
        running.add(drawn)
        tick(drawn.log_w.numel())
    assert running is not None
    return running


def with_room(plan: Plan, target: Target, wanted: Wanted, memory_bytes: int | None) -> Plan:
    """The plan with as few data at once as leave room for what a reduction holds between chunks.

    Raises:
        ValueError: if the budget does not hold the open groups of one piece of the data.
    """
    budget = bytes_or_default(memory_bytes)
    held = wanted.held_bytes()
    if held * plan.data_at_once <= budget:
        return plan
    at_once = budget // held
    if at_once < 1 or not target.sliceable:
        raise ValueError(
            f"memory_bytes={budget} does not hold the weights that the jackknife with num_particles="
            f"{list(wanted.num_particles)} keeps: {held * (1 if target.sliceable else plan.data_at_once)} bytes. Raise "
            "it, or ask for fewer particles"
        )
    return replace(plan, data_at_once=at_once)


def joined(pieces: "Sequence[Reduction]", read: "Callable[[Reduction], Tensor]") -> Tensor:
    """The numbers that `read` takes from each piece, of all data, `[B]`; on the processor, as results are."""
    return torch.cat([read(piece) for piece in pieces]).cpu()


@dataclass
class Reduction:
    """Running sums of the weights of some data: everything that is reported, in O(B) memory plus the tail."""

    num_data: int
    num_samples: int
    log_sum: Tensor  # log Σ w
    log_sum_squares: Tensor  # log Σ w²
    moments: Moments  # of log w
    smallest: Tensor
    largest: Tensor
    tail: Tensor  # the L + 1 largest log w so far, L the longer tail
    waiting: list[Tensor]  # chunks that are not in the tail yet
    first: dict[str, Tensor]  # site -> its values in the first sample, `[B, *event]`
    moved: dict[str, Tensor]  # site -> whether any draw of it differs from the first, `[B]`
    discrete: tuple[str, ...] = ()
    groups: dict[int, Groups] = field(default_factory=dict)
    powers: dict[float, Powers] = field(default_factory=dict)
    inverse: Powers | None = None  # of w / p(x | z)
    rounding: float = 0.0  # eps of the dtype that log w was computed in

    @classmethod
    def empty(cls, log_w: Tensor, num_samples: int, wanted: Wanted) -> "Reduction":
        """The sums before the first chunk, for data and devices like those of `log_w`."""
        zero = torch.zeros_like(log_w[0], dtype=torch.float64)
        lowest = torch.full_like(zero, -torch.inf)

        def powers(exponent: float) -> Powers:
            return Powers(exponent, lowest.expand(2, -1).clone(), lowest.expand(2, -1).clone())

        return cls(
            num_data=len(zero),
            num_samples=num_samples,
            log_sum=lowest,
            log_sum_squares=lowest,
            moments=Moments(zero, zero),
            smallest=torch.full_like(zero, torch.inf),
            largest=lowest,
            tail=lowest.new_empty(0, len(zero)),
            waiting=[],
            first={},
            moved={},
            groups={k: Groups.empty(k, zero, wanted.jackknife and k > 1) for k in wanted.num_particles},
            powers={exponent: powers(exponent) for exponent in wanted.powers},
            inverse=powers(1.0) if wanted.harmonic else None,
        )

    def add(self, drawn: Drawn) -> None:
        """Take in a chunk; NaN weights poison their own datum only."""
        self.rounding = max(self.rounding, torch.finfo(drawn.log_w.dtype).eps)
        log_w = drawn.log_w.double()
        self.moments.add(log_w)
        self.log_sum = torch.logaddexp(self.log_sum, log_w.logsumexp(0))
        self.log_sum_squares = torch.logaddexp(self.log_sum_squares, (2 * log_w).logsumexp(0))
        self.smallest = torch.minimum(self.smallest, log_w.amin(0))
        self.largest = torch.maximum(self.largest, log_w.amax(0))
        self.waiting.append(log_w)
        if sum(map(len, self.waiting)) > self._kept:
            self._merge()
        self._watch(drawn.z)
        self.discrete = drawn.discrete
        for group in self.groups.values():
            group.add(log_w)
        for power in self.powers.values():
            power.add(log_w)
        if self.inverse is not None:
            # Where the likelihood is zero so is the weight: the posterior is never there.
            self.inverse.add(torch.where(log_w == -torch.inf, -torch.inf, log_w - drawn.likelihood.double()))

    @property
    def _kept(self) -> int:
        return weights.long_tail_length(self.num_samples) + 1

    def _merge(self) -> None:
        """Keep the largest of what has come; several small chunks are sorted at once."""
        merged = torch.cat([self.tail, *self.waiting])
        self.tail = merged.topk(min(self._kept, len(merged)), dim=0).values
        self.waiting = []

    def _watch(self, z: Mapping[str, Tensor]) -> None:
        """See which sites take a second value."""
        for name, value in z.items():
            if name not in self.first:
                self.first[name] = value[0].clone()
                self.moved[name] = torch.zeros(value.shape[1], dtype=torch.bool, device=value.device)
            for some in (value[:_FEW], value[_FEW:]):  # nearly always the first few tell
                if not bool(self.moved[name].all()):
                    self.moved[name] |= (some != self.first[name]).transpose(0, 1).flatten(1).any(1)

    def still(self) -> list[str]:
        """For each datum why draws that never move are no proof, or an empty string.

        A continuous site whose draws are all equal has a scale below rounding, and no density that means anything. A
        discrete one may well be sure of its value; but then equal weights say nothing of its others.
        """
        texts, constant = self._tied(), self.constant().tolist()
        for name, moved in self.moved.items():
            for b, moves in enumerate(moved.tolist() if self.num_samples > 1 else []):
                if not moves and name not in self.discrete:
                    texts[b] = f"all {self.num_samples} draws of '{name}' are equal: its scale is below rounding"
                elif not moves and constant[b] and not texts[b]:
                    texts[b] = (
                        f"all {self.num_samples} draws of '{name}' are equal: its other values were never weighed"
                    )
        return texts

    def _tied(self) -> list[str]:
        """For each datum why the tail of discrete draws that come again and again is none, or an empty string.

        Weights of equal draws are equal. Where most of the largest are, there are a few values of which each was drawn
        many times, and k̂ reads a step as the end of a tail; values that q draws too rarely were not weighed at all.
        """
        if not self.discrete or not weights.has_tail(self.num_samples):
            return [""] * self.num_data
        self._merge()
        step = self.rounding * self.tail.abs().clamp_min(1.0)
        different = 1 + (-self.tail.diff(dim=0) > _SAME * step[1:]).sum(0)
        unsure = self._moved_discrete() & ~self.constant()
        many = zip(different.tolist(), unsure.tolist(), strict=True)
        return [
            f"only {n} of the {len(self.tail)} largest weights differ: draws of {', '.join(map(repr, self.discrete))} "
            "come again, and values that were never drawn are missing"
            if doubted and n < _TIED * len(self.tail)
            else ""
            for n, doubted in many
        ]

    def _moved_discrete(self) -> Tensor:
        """Whether any discrete site took a second value, `[B]`."""
        return torch.stack([self.moved[name] for name in self.discrete]).any(0)

    def constant(self) -> Tensor:
        """Whether all weights of a datum are equal up to rounding, `[B]`."""
        return weights.spread_is_rounding(self.largest, self.smallest, self.rounding)

    def fitted_tail(self) -> weights.Tail:
        """What the tail of all S weights says; unknown where there are too few."""
        constant = self.constant() & (self.num_samples > 1)
        if not weights.has_tail(self.num_samples):
            return weights.Tail.unknown(self.log_sum, self.num_samples).constant(constant)
        self._merge()
        log_mean = self.log_sum - math.log(self.num_samples)
        return weights.Tail.of(self.tail, log_mean, self.num_samples).constant(constant)
