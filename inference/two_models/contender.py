"""One of the models that are compared: its ELBO and its bracket, for as many data as were asked for so far."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.clock import Clock
from elbowroom.inference.evaluation.coordinates import why_no_coordinates
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.bracket.bracket import continued
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.evidence.bracket.stages import stages_of
from elbowroom.inference.evidence.bracket.work import Work
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.saving.state_file import fingerprint_of
from elbowroom.inference.target import Target

NUM_SAMPLES = 1000
"""Importance samples of every datum, which give its ELBO too."""

_ELBO = "elbo"


@dataclass
class Contender:
    """What is known of one model's log p(x).

    Attributes:
        target: its programs pinned to the data.
        seed: of everything random.
        memory_bytes: byte budget for one evaluation.
        path: a file that keeps what is known, or None.
        clock: shared by all contenders.
        evidence: importance sampling of all its data, if that was done before.
    """

    target: Target
    seed: int
    memory_bytes: int | None
    path: Path | None
    clock: Clock
    evidence: Estimate | None = None

    def __post_init__(self) -> None:
        self.target = self.target.collapsed()
        self.target.check_proper()
        self.fingerprint = fingerprint_of(self.target, self.seed) if self.path is not None else {}
        there = self.path is not None and self.path.exists()
        self.ledger = Ledger.read(self.path, self.fingerprint) if there else Ledger.empty(len(self.target))  # type: ignore[arg-type]
        self.pace = Pace(self.clock, Forecast.of(self.target, self.clock.counts))
        self.stages = tuple(stages_of(self.target))

    def answer(self, data: Tensor, amount: float, tolerance: float, *, again: bool = False) -> None:
        """Weigh and bracket some data within an amount of the budget.

        Args:
            data: indices `[n]`.
            amount: seconds or evaluations, as the clock has them.
            tolerance: nats, as of `bracket`.
            again: whether the stages have been run, and what is not settled is gone on with.
        """
        end = self.clock.spent + amount
        new = data[~self.ledger.has(_ELBO)[data]]
        if len(new):
            self._weigh(new)
        left = end - self.clock.spent
        if left <= 0 or (not again and self.stages == ("importance",)):
            return self._keep()
        some = replace(self.ledger.select(data.tolist()), seconds=0.0, refused=torch.zeros_like(data))
        work = Work(self._part(data), some, self.seed, tolerance, self.memory_bytes, self.pace.part(left))
        found = continued(work, lambda: None, False, None if again else self.stages)
        self.ledger.take(data.tolist(), found.ledger, list(found.ledger.columns))
        return self._keep()

    def bracket(self, data: Tensor, tolerance: float) -> Bracket:
        """What is known of log p(x) of some data."""
        unnormalised, from_below = self.target.unnormalised, why_no_coordinates(self.target)
        texts = tuple(unnormalised[b] for b in data.tolist())
        return read(self.ledger.select(data.tolist()), tolerance, {}, self.clock.unit, texts, from_below)

    def elbo(self, data: Tensor) -> Estimate:
        """The guide's ELBO of some data."""
        column = self.ledger.columns[_ELBO]
        texts = tuple(self.target.unnormalised[b] for b in data.tolist())
        return Estimate(column.value[data], column.stderr[data], "lower", unnormalised=texts)

    def to_go_on(self, data: Tensor) -> float:
        """What another round on some data takes, in the budget's unit."""
        return self.pace.cost(self.stages[-1], len(data), 1.0) if len(data) else 0.0

    def _weigh(self, data: Tensor) -> None:
        options: dict[str, Any] = {"seed": self.seed, "memory_bytes": self.memory_bytes}
        if self.evidence is None:
            found = importance(self._part(data), num_samples=NUM_SAMPLES, search=False, **options)
        else:
            found = self.evidence.at(data)
        self.ledger.put("importance", data, found)
        elbo = Estimate(found.info["elbo"], found.info["elbo_stderr"], "lower", flags=("",) * len(data))
        self.ledger.put(_ELBO, data, elbo)

    def _part(self, data: Tensor) -> Target:
        return self.target if len(data) == len(self.target) else self.target.select(data)

    def _keep(self) -> None:
        if self.path is not None:
            self.ledger.write(self.path, self.fingerprint)
