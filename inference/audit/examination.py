"""The examination of some data: chains, agreement of q with them, and where their room comes from; block by block."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.audit.block_sizes import FIRST, cost_of, size_after_chains, size_of_block, time_for_chains
from elbowroom.inference.audit.contradictions import raised_by_modes, reconciled
from elbowroom.inference.audit.costs import COMPARED, DRAWN, NoRoom
from elbowroom.inference.audit.joined_blocks import joined
from elbowroom.inference.audit.result import Chains, Portrait
from elbowroom.inference.audit.store import load_result, save_result, storable
from elbowroom.inference.diagnostics.agreement import Agreement, agreement
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.clock import Spent
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.bracket.bracket import continued
from elbowroom.inference.evidence.bracket.choice import MISSED_MODES
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.evidence.bracket.stages import Work
from elbowroom.inference.gap import Decomposition, decompose
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.mcmc.convergence import Convergence, Gates
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target

NUM_CHAINS, NUM_WARMUP, NUM_DRAWS = 4, 100, 500
GATES = Gates(rhat=1.02, ess_per_chain=50.0, divergences=NUM_CHAINS * NUM_DRAWS // 200, ebfmi=0.1)
"""Chains here measure moments to a tenth of a posterior sd: coarser gates than those of a published reference."""

NUM_WORST = 8
"""Data examined first because their room is the largest, if there is room for twice as many; else half of them."""

NUM_PICTURED = 6
"""Data whose draws are kept for pictures: the worst ones, and typical ones beside them."""

_PICTURED_DRAWS = 400
_SIDES_SHARE, _SIDES_MOST = 0.2, 0.7  # of what is left when the ladder has been climbed
_KIND = "examination"
_COST = "chains, agreement and decomposition"


@storable
@dataclass(frozen=True)
class Block:
    """What is known of some data; every tensor but those of `portrait` has a row for each of them.

    `rows` are the indices of the data, a name that state files keep.
    """

    rows: tuple[int, ...]
    agreement: Agreement
    decomposition: Decomposition
    convergence: Convergence
    ledger: Ledger
    portrait: Portrait | None
    seconds: float
    num_worst: int = NUM_WORST  # data at the head of the queue for having the largest room; files of old have none


@dataclass(frozen=True)
class Examination:
    """All blocks together.

    Attributes:
        data: indices of the examined data, in order of examination: the first few are those with the largest room.
        representative: examined data that are a random sample of all.
        bracket: of all data, with what the examination has added.
    """

    data: tuple[int, ...]
    representative: tuple[int, ...]
    bracket: Bracket
    agreement: Agreement
    decomposition: Decomposition
    chains: Chains
    portrait: Portrait | None


@dataclass(frozen=True)
class Examiner:
    """What every block needs; `state` is a directory that keeps finished blocks, or None."""

    target: Target
    bracket: Bracket
    seed: int
    memory_bytes: int | None
    state: Path | None
    fingerprint: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of every part."""
        return {"seed": self.seed, "memory_bytes": self.memory_bytes}

    def num_worst(self, pace: Pace) -> int:
        """How many data are examined for being the worst: a random sample must follow, and have its place too."""
        if stored := self._stored_blocks()[:1]:
            return stored[0].num_worst
        room = pace.clock.left / max(cost_of(pace, FIRST) / FIRST, 1e-12)
        return int(min(NUM_WORST, room // 2))

    def examine(self, queue: list[int], num_worst: int, pace: Pace, progress: bool) -> Examination:
        """Blocks of the queue for as long as there is room for them; one that finds the budget spent is left out.

        Args:
            queue: data in order of examination: the worst, then a random order of the rest.
            num_worst: how many of the queue are there for being the worst.
            pace: what there is room for.
            progress: show a progress bar.

        Raises:
            ValueError: for a target without a continuous latent.
            NoRoom: if there is room for no block at all.
            Spent: if the budget was spent before the first one was done.
        """
        if Coordinates.of(self.target).dim == 0:
            raise ValueError("this target has no continuous latent: log p(x) is the ELBO, and there is no room")
        blocks, clock = self._stored_blocks(), pace.clock
        clock.spend(_COST, sum(block.seconds for block in blocks))
        done = {datum for block in blocks for datum in block.rows}
        waiting = [datum for datum in queue if datum not in done]  # an earlier call may have held others for the worst
        with progress_bar(len(queue), "examine", "datum", progress, done=len(done)) as tick:
            while waiting:
                size = size_of_block(pace, len(waiting), self.target.sliceable)
                if not size:
                    break
                # Programs that cannot be cut are examined as they are, all data in their own order.
                block = waiting[:size] if self.target.sliceable else sorted(waiting[:size])
                try:
                    blocks.append(replace(self._block(block, blocks[:1], pace), num_worst=num_worst))
                except Spent as spent:
                    if spent.clock is not clock or not blocks:
                        raise
                    break
                clock.spend(_COST, blocks[-1].seconds)
                self._store(blocks[-1], len(blocks) - 1)
                answered = set(blocks[-1].rows)
                waiting = [datum for datum in waiting if datum not in answered]
                tick(len(answered))
        if not blocks:
            least = 1 if self.target.sliceable else len(queue)
            raise NoRoom(pace, f"a first block of {least}", cost_of(pace, least))
        return self._gathered(blocks, num_worst)

    def _block(self, data: list[int], first: list[Block], pace: Pace) -> Block:
        """Examine data, or as many of them as there is room for; `first` holds the first block, if this is another."""
        begin, begun = time.perf_counter(), pace.clock.now()
        draws = self._drawn(data, pace)
        going_on = size_after_chains(pace, len(data), self.target.sliceable)
        data, draws = data[:going_on], draws.select(list(range(going_on)))
        with pace.timed(COMPARED, going_on, 0.0):
            block = self._compared(data, draws, first, pace, begun)
        return replace(block, seconds=time.perf_counter() - begin)

    def _drawn(self, data: list[int], pace: Pace) -> Draws:
        """Chains of some data; where they take too long, with the draws that they have by then."""
        with pace.timed(DRAWN, len(data), 0.0, time_for_chains(pace)):
            return hmc(
                self.target.select(data),
                num_chains=NUM_CHAINS,
                num_warmup=NUM_WARMUP,
                num_draws=NUM_DRAWS,
                gates=GATES,
                **self.options,
            )

    def _compared(self, data: list[int], draws: Draws, first: list[Block], pace: Pace, begun: float) -> Block:
        """What the chains of some data say of the guide and of its room."""
        part, brackets = self.target.select(data), [self.bracket.select(data)]

        def sides(refined: Target) -> Bracket:
            """A bracket from the chains that there are, for about what they took, or a share of what is left."""
            clock = pace.clock
            amount = min(max(clock.now() - begun, _SIDES_SHARE * clock.left), _SIDES_MOST * clock.left)
            small = pace.part(max(amount, pace.cost("importance", len(data))))  # with less it would not answer at all
            empty, tolerance = Ledger.empty(len(refined)), self.bracket.tolerance
            work = Work(refined, empty, self.seed, tolerance, self.memory_bytes, small, draws)
            brackets.append(continued(work, lambda: None))
            return brackets[-1]

        settled = bool(brackets[0].settled.all())
        room = decompose(
            part,
            log_p=brackets[0] if settled else sides,
            draws=draws,
            family=first[0].decomposition.family if first else None,
            **self.options,
        )
        judged = agreement(part, draws, log_p=room.log_p, **self.options)
        room = reconciled(room, judged)
        portrait = self._portrait(data, part, draws) if not first else None
        ledger = brackets[-1].ledger if not settled else replace(brackets[0].ledger, seconds=0.0)
        raised = raised_by_modes(room).nonzero().flatten()
        ledger.put(MISSED_MODES, raised, Estimate(room.log_p.value[raised], room.log_p.stderr[raised], "lower"))
        return Block(
            rows=tuple(data),
            agreement=judged,
            decomposition=room,
            convergence=draws.convergence,
            ledger=ledger,
            portrait=portrait,
            seconds=0.0,
        )

    def _portrait(self, data: list[int], part: Target, draws: Draws) -> Portrait:
        """Draws of a few of the data: half of them the worst, half of them random."""
        half = NUM_PICTURED // 2
        chosen = list(range(min(half, len(data)))) + list(range(max(half, len(data) - half), len(data)))
        few = part.select(chosen)
        with torch.no_grad():
            z, _ = few.propose(_PICTURED_DRAWS, seed=self.seed + 1)
        posterior = draws.flat[:, :, chosen].flatten(0, 1)
        step = max(1, len(posterior) // _PICTURED_DRAWS)
        pictured = tuple(data[i] for i in chosen)
        return Portrait(pictured, tuple(draws.latents), side_by_side(z).double().cpu(), posterior[::step].double())

    def _path(self, number: int) -> Path:
        assert self.state is not None
        return self.state / f"examination-{number:04d}.safetensors"

    def _store(self, block: Block, number: int) -> None:
        if self.state is not None:
            save_result(self._path(number), _KIND, self.fingerprint, block)

    def _stored_blocks(self) -> list[Block]:
        blocks: list[Block] = []
        while self.state is not None and self._path(len(blocks)).exists():
            block: Block = load_result(self._path(len(blocks)), _KIND, self.fingerprint, self.target)
            blocks.append(block)
        return blocks

    def _gathered(self, blocks: list[Block], num_worst: int) -> Examination:
        data = [datum for block in blocks for datum in block.rows]
        target = self.target.select(data)
        return Examination(
            data=tuple(data),
            representative=representative(data, self.order(), num_worst),
            agreement=joined([block.agreement for block in blocks], target),
            decomposition=joined([block.decomposition for block in blocks], target),
            chains=Chains(
                rows=tuple(data),
                convergence=joined([block.convergence for block in blocks], target),
                num_chains=NUM_CHAINS,
                num_draws=NUM_DRAWS,
                num_warmup=NUM_WARMUP,
                gates=GATES,
            ),
            bracket=self._bracket(blocks),
            portrait=blocks[0].portrait,
        )

    def _bracket(self, blocks: list[Block]) -> Bracket:
        """The bracket of all data: what was known before, and what each block has found with its chains."""
        ledger = self.bracket.ledger.select(range(len(self.target)))
        for block in blocks:
            # Importance sampling there was from the refined guide; what is known of the guide's own stays.
            names = [name for name in block.ledger.columns if name != "importance"]
            ledger.take(block.rows, block.ledger, names)
        known = self.bracket
        return read(ledger, known.tolerance, known.forecast, known.unit, known.unnormalised)

    def order(self) -> list[int]:
        """A random order of all data, a function of the seed."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randperm(len(self.target), generator=generator).tolist()


def queue_of(order: list[int], room: Tensor, num_worst: int) -> list[int]:
    """The data with the largest room, then the others in random order."""
    worst = room.nan_to_num(torch.inf).argsort(descending=True, stable=True)[:num_worst].tolist()
    return worst + [b for b in order if b not in set(worst)]


def representative(examined: list[int], order: list[int], num_worst: int) -> tuple[int, ...]:
    """The examined data that come first in the random order: a random sample, whatever was examined for being worst.

    The order is followed up to the last one that was not examined for being worst, and that one left out: its place
    is where the time ended, and with it the others would count too much (Haldane 1945, inverse sampling).
    """
    if len(examined) == len(order):
        return tuple(order)
    done, worst = set(examined), set(examined[:num_worst])
    sample: list[int] = []
    for b in order:
        if b not in done:
            break
        sample.append(b)
    while sample and sample[-1] in worst:
        sample.pop()
    return tuple(sample[:-1])
