"""What all walks along a path have in common: sizes, checks, and the cut of data and chains under a byte budget."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from tqdm.auto import tqdm

from elbowroom.inference.evaluation.budget import MEMORY_BYTES, Plan, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.annealing.path import STARTS, Path
from elbowroom.inference.evidence.annealing.schedule import SCHEDULES
from elbowroom.inference.evidence.annealing.tuning import Frozen, prepare
from elbowroom.inference.evidence.annealing.walk import Walk
from elbowroom.inference.target import Target

_COPIES = 4  # of the record of a walk, while it is reduced


@dataclass(frozen=True)
class Settings:
    """The arguments of `anneal` and its relatives, checked.

    Raises:
        ValueError: naming the argument, what it is and what it may be.
    """

    num_steps: int
    num_chains: int
    start: str
    schedule: str
    num_pilot: int
    num_leapfrog: int
    seed: int
    memory_bytes: int | None
    progress: bool
    compile: bool

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_chains", "num_leapfrog"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.num_pilot < 2:
            raise ValueError(
                f"num_pilot must be at least 2, got {self.num_pilot}: kernels are tuned on the spread of pilot chains"
            )
        for name, known in (("start", STARTS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    @property
    def num_evaluations(self) -> int:
        """Gradient evaluations of the reported chains of a datum, pilot chains apart."""
        return self.num_chains * (1 + (self.num_steps - 1) * self.num_leapfrog)


@dataclass(frozen=True)
class Part:
    """Some of the data, with the path and the kernels that were frozen for them."""

    rows: slice
    path: Path
    frozen: Frozen
    cut: Plan
    tick: Callable[[int], object]  # tells the progress bar of chains that made a step


def parts(target: Target, settings: Settings, label: str, walks: int = 1) -> Iterator[Part]:
    """Cut the data under the byte budget; for each part tune on pilot chains and freeze.

    Args:
        target: programs and data.
        settings: of the chains.
        label: of the progress bar.
        walks: how many walks along the path follow.

    Raises:
        ValueError: if the target has no continuous latents, or the budget is too small.
    """
    coordinates = Coordinates.of(target)
    if coordinates.dim == 0:
        raise ValueError(
            "this target has no continuous latent to anneal (finite discrete ones are summed out): importance(target, "
            "num_samples=1) is exact"
        )
    path = Path(coordinates, settings.start, compile=settings.compile)
    cut = _cut(target, settings)
    steps = walks * len(target) * settings.num_chains * (settings.num_steps - 1)
    with tqdm(total=steps, desc=label, unit="step", delay=2, disable=not settings.progress, leave=False) as bar:
        for rows, part in cut.data(target):
            here = path if part is target else path.on(part)
            frozen = prepare(
                here,
                num_steps=settings.num_steps,
                schedule_name=settings.schedule,
                num_pilot=settings.num_pilot,
                num_leapfrog=settings.num_leapfrog,
                seed=settings.seed,
            )
            yield Part(rows, here, frozen, cut, partial(_advance, bar, len(part)))


def in_ranges(part: Part, settings: Settings, chains: Callable[[Path, int, int], Walk]) -> Walk:
    """Walks of as many chains as the budget holds at a time, `chains(path, first, count)`, side by side again."""
    ranges = list(part.cut.sample_ranges(settings.num_chains))
    walks = [chains(part.path, first, count) for first, count in ranges]
    share = [count / settings.num_chains for _, count in ranges]
    acceptance = torch.stack([w.acceptance * s for w, s in zip(walks, share, strict=True)]).sum(0)
    return Walk(torch.cat([w.differences for w in walks], 1), acceptance)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self._begin


def _advance(bar: tqdm, num_data: int, num_chains: int) -> None:
    bar.update(num_data * num_chains)


def _cut(target: Target, settings: Settings) -> Plan:
    """As `chunks.plan`, but the record of the walk must fit in the budget too."""
    chains = max(settings.num_chains, settings.num_pilot)
    cut = plan(target, chains, settings.memory_bytes, gradients=True)
    budget = MEMORY_BYTES if settings.memory_bytes is None else settings.memory_bytes
    most = budget // (_COPIES * 8 * settings.num_steps * settings.num_chains)
    if most < 1 and target.sliceable:
        raise ValueError(
            f"memory_bytes={budget} is too small for the record of num_steps={settings.num_steps} × num_chains="
            f"{settings.num_chains} of one datum: it takes {_COPIES * 8 * settings.num_steps * settings.num_chains}"
        )
    return replace(cut, rows=min(cut.rows, most)) if target.sliceable else cut
