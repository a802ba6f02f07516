"""The data of an annealing run in blocks that fit the byte budget, each tuned on its own pilot chains and frozen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from elbowroom.inference.evaluation.budget import Cost, Plan, bytes_or_default, cut, measure
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.annealing.settings import Settings
from elbowroom.inference.evidence.annealing.tuning import Frozen, prepare
from elbowroom.inference.evidence.annealing.walk import Walk
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.programs.noise import BLOCK
from elbowroom.inference.progress import Tick, progress_bar
from elbowroom.inference.target import Target

_COPIES = 4  # of the record of a walk, while it is reduced


@dataclass(frozen=True)
class Block:
    """Some of the data, with the path and the kernels that were frozen for them.

    Attributes:
        data: which of the target's data.
        path: from the start to these data's joint density.
        frozen: temperatures and kernels.
        plan: how many of them, and how many chains, the byte budget holds at a time.
        advance: called with the number of chains that have made a step, for the progress bar.
    """

    data: slice
    path: Path
    frozen: Frozen
    plan: Plan
    advance: Tick


def blocks(target: Target, settings: Settings, label: str, walks: int = 1) -> Iterator[Block]:
    """Cut the data into blocks under the byte budget; for each of them tune on pilot chains and freeze.

    Args:
        target: programs and data.
        settings: of the chains.
        label: of the progress bar.
        walks: how many walks along the path each block is for.

    Raises:
        ValueError: if the target has no continuous latents, or the budget is too small.
    """
    target.check_proper()
    coordinates = Coordinates.of(target)
    if coordinates.dim == 0:
        raise ValueError(
            "this target has no continuous latent to anneal (finite discrete ones are summed out): importance(target, "
            "num_samples=1) is exact"
        )
    cost = measure(target, 3, bytes_or_default(settings.memory_bytes))  # with gradients
    within, cells = _plan(target, settings, cost), _cells(target, settings, cost)
    path = Path(coordinates, settings.start, compile=settings.compile, cells=cells)
    steps = walks * len(target) * settings.num_chains * (settings.num_steps - 1)
    with progress_bar(steps, label, "step", settings.progress) as tick:
        for data, part in within.data(target):
            part_path = path if part is target else path.on(part)
            frozen = prepare(
                part_path,
                num_steps=settings.num_steps,
                schedule_name=settings.schedule,
                num_pilot=settings.num_pilot,
                num_leapfrog=settings.num_leapfrog,
                seed=settings.seed,
            )
            yield Block(data, part_path, frozen, within, partial(_advance, tick, len(part)))


def in_ranges(block: Block, settings: Settings, chains: Callable[[Path, int, int], Walk]) -> Walk:
    """Walk as many chains as the budget holds at a time, `chains(path, first, count)`, and put them side by side."""
    ranges = list(block.plan.sample_ranges(settings.num_chains))
    walks = [chains(block.path, first, count) for first, count in ranges]
    share = [count / settings.num_chains for _, count in ranges]
    acceptance = torch.stack([w.acceptance * s for w, s in zip(walks, share, strict=True)]).sum(0)
    return Walk(torch.cat([w.differences for w in walks], 1), acceptance)


def _advance(tick: Tick, num_data: int, num_chains: int) -> None:
    tick(num_data * num_chains)


def _cells(target: Target, settings: Settings, cost: Cost) -> int:
    """How many points the budget holds: there are more draws of the start than chains when kernels are tuned."""
    within = cut(target, BLOCK, cost, bytes_or_default(settings.memory_bytes))
    return within.data_at_once * within.samples_at_once


def _plan(target: Target, settings: Settings, cost: Cost) -> Plan:
    """Plan as `budget.plan` does, with the record of the walk in the budget too."""
    budget = bytes_or_default(settings.memory_bytes)
    within = cut(target, max(settings.num_chains, settings.num_pilot), cost, budget)
    most = budget // (_COPIES * 8 * settings.num_steps * settings.num_chains)
    if most < 1 and target.sliceable:
        raise ValueError(
            f"memory_bytes={budget} is too small for the record of num_steps={settings.num_steps} × num_chains="
            f"{settings.num_chains} of one datum: it takes {_COPIES * 8 * settings.num_steps * settings.num_chains}"
        )
    return replace(within, data_at_once=min(within.data_at_once, most)) if target.sliceable else within
