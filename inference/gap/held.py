"""How much of the posterior do refined members hold? log p(x) against what importance sampling from them sees."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.annealing import anneal
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.gap.annealed import NUM_CHAINS, NUM_STEPS, beyond_chance, part_of, put
from elbowroom.inference.gap.log_p import Evidence
from elbowroom.inference.gap.refined import RefinedGuide

_NUM_SAMPLES = 1000
_LIKELY, _WORTH_A_CAUTION = 2.5, 0.05  # standard errors, and nats on top of them, from which on sampling is doubted


@dataclass(frozen=True)
class Held:
    """What the members of a rung see of the posterior of each datum.

    Attributes:
        seen: log p(x) as it looks from them, `[B]`, nats: log p(x) + log of the share that they hold.
        stderr: its standard error, `[B]`.
        short: log p(x) less `seen` where that is more than chance, `[B]`, nats; else zero.
        sampled_short: the same of importance sampling from them, where its weights show no fault.
        contradictions: for each datum what importance sampling from them says, where it lies above log p(x) by more
            than chance, or an empty string: a lower bound contradicts what lies below it.
    """

    seen: Tensor
    stderr: Tensor
    short: Tensor
    sampled_short: Tensor
    contradictions: tuple[str, ...]

    @property
    def share(self) -> Tensor:
        """The share of the posterior that the members hold, `[B]`; one where nothing shows that they lack any."""
        return (-self.short).exp()

    @property
    def doubts(self) -> tuple[str, ...]:
        """For each datum why an estimate from these members should be doubted, or an empty string."""
        both = zip(self.short.tolist(), self.sampled_short.tolist(), strict=True)
        return tuple(_doubt(short, sampled) for short, sampled in both)


def _doubt(short: float, sampled: float) -> str:
    if short > 0:
        return (
            f"this refined q holds {percent(math.exp(-short))} of the posterior: log p(x) was found to be {short:.2f} "
            "nats above what is seen from it"
        )
    if sampled > 0:
        return f"importance sampling from this refined q was {sampled:.2f} nats below log p(x) without a sign of it"
    return ""


def percent(share: float) -> str:
    """`12 %`, or `less than 0.1 %`."""
    return f"{100 * share:.2g} %" if share >= 1e-3 else "less than 0.1 %"


def held_by(
    refined: RefinedGuide, evidence: Evidence, family: str, seed: int, memory_bytes: int | None
) -> dict[str, Held]:
    """What the members of every rung see of the posterior, by importance sampling.

    Where its value is low, heavy weights may be the cause and no mode be missing. Annealing from the members tells, for
    the guide's own family and the largest one; of the others only importance sampling is told.
    """
    names = list(refined.families)
    return {name: _held(refined, name, evidence, name in (family, names[-1]), seed, memory_bytes) for name in names}


def _held(
    refined: RefinedGuide, name: str, evidence: Evidence, annealed: bool, seed: int, memory_bytes: int | None
) -> Held:
    log_p, target = evidence.log_p, refined.target(name)
    seen = importance(target, num_samples=_NUM_SAMPLES, seed=seed, memory_bytes=memory_bytes, search=False)
    half = log_p.info["half_width"].to(seen.value)
    value, stderr = log_p.value.to(seen.value), log_p.stderr.to(seen.value)
    least, error = value - half, (stderr.square() - half.square()).clamp_min(0.0).sqrt()  # the lower side of log p(x)
    if log_p.bound == "upper":
        least = torch.full_like(least, -torch.inf)
    low, nothing = beyond_chance(least - seen.value, error, seen.stderr), torch.zeros_like(value)
    flagged = torch.tensor([bool(flag) for flag in seen.flags])
    # A caution costs little: it is given sooner than a term of the room is moved.
    likely = least - seen.value > _LIKELY * torch.hypot(error, seen.stderr) + _WORTH_A_CAUTION
    sampled_short = torch.where(likely & ~flagged, value - seen.value, 0.0)
    above = beyond_chance(seen.value - value - half, error, seen.stderr) & ~flagged & evidence.is_claimed
    told = tuple(
        f"importance sampling from the refined {name} q says {seen.value[b]:.3f} ± {seen.stderr[b]:.3f} from below, "
        f"above log p(x) {value[b]:.3f} ± {stderr[b]:.3f}: they disagree"
        if mark
        else ""
        for b, mark in enumerate(above.tolist())
    )
    data = low.nonzero().flatten()
    if not annealed or not len(data):
        return Held(seen.value, seen.stderr, nothing, sampled_short, told)
    known = evidence.from_refined if name == list(refined.families)[-1] else None
    seen = _annealed_instead(refined, name, seen, data, known, seed, memory_bytes)
    short = low & beyond_chance(least - seen.value, error, seen.stderr)
    return Held(seen.value, seen.stderr, torch.where(short, value - seen.value, 0.0), sampled_short, told)


def _annealed_instead(
    refined: RefinedGuide,
    name: str,
    seen: Estimate,
    data: Tensor,
    known: Estimate | None,
    seed: int,
    memory_bytes: int | None,
) -> Estimate:
    """What was seen, by annealing from the members for some data, where that has not been done already."""
    target, values = refined.target(name), seen.value.new_full((len(seen),), torch.nan)
    found = Estimate(values, values, "lower") if known is None else known
    missing = data[found.value[data].isnan()]
    if len(missing):
        part = target.select(missing) if target.sliceable else target
        fresh = anneal(
            part, num_steps=NUM_STEPS, num_chains=NUM_CHAINS, seed=seed, memory_bytes=memory_bytes, search=False
        )
        found = put(found, missing, fresh if target.sliceable else part_of(fresh, missing))
    return put(seen, data, part_of(found, data))
