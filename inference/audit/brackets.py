"""log p(x) of all data of an audit: a lattice for few latents first, and at the end what the examination leaves."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.audit.examination import Examination
from elbowroom.inference.audit.work import Work
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evidence.bracket import Bracket, stages
from elbowroom.inference.evidence.bracket.bracket import continued, expected
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.evidence.bracket.work import Work as Step
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import MAX_LATTICE_DIM

_SHARE = 0.35  # of what is left, for a lattice over all data
_FIRST = ("quadrature",)  # chains come with the examination
_LITTLE = 0.05  # share of the budget that may be left


@dataclass(frozen=True)
class Brackets:
    """log p(x) of all data from both sides: of few latents at once, of the rest with what the examination leaves."""

    work: Work
    sampled: Estimate[ImportanceInfo]
    tolerance: float
    progress: bool
    options: dict[str, Any]

    def first(self) -> Bracket:
        """By a lattice for few latents, else by importance sampling until chains have run."""
        ledger, target = self._ledger(), self.work.target
        everything, clock = torch.arange(len(target)), self.work.clock
        from_below = why_no_coordinates(target)
        if from_below or Coordinates.of(target).dim > MAX_LATTICE_DIM or clock.left <= 0:
            forecast = expected(self.work.pace, stages.stages_of(target), len(target))
            return read(ledger, self.tolerance, forecast, clock.unit, target.unnormalised, from_below)
        known = read(ledger, self.tolerance, {}, clock.unit, target.unnormalised)
        return known if known.settled.all() else self._continued(everything, ledger, _SHARE * clock.left, _FIRST)

    def rest(self, known: Bracket, examination: Examination | None) -> Bracket:
        """What is known, and what is left of the budget spent on the data that were not examined."""
        examined, clock = set() if examination is None else set(examination.data), self.work.clock
        open_ = [b for b, done in enumerate(known.settled.tolist()) if not done and b not in examined]
        if known.from_below:
            return known
        whole = self.work.target.sliceable or len(open_) == len(known)
        if not open_ or not whole or clock.left <= _LITTLE * clock.budget or not Coordinates.of(self.work.target).dim:
            return known
        return self._continued(torch.tensor(open_), known.ledger, clock.left)

    def _continued(self, data: Tensor, ledger: Ledger, amount: float, only: tuple[str, ...] | None = None) -> Bracket:
        """The bracket of all data after some of them were gone on with, by all stages or by some only."""
        work = self.work
        whole = len(data) == len(work.target)
        part = work.target if whole else work.target.select(data)
        some = replace(ledger.select(data.tolist()), seconds=0.0, refused=torch.zeros_like(data))
        pace = work.pace.part(amount)
        seed, memory_bytes = self.options["seed"], self.options["memory_bytes"]
        step = Step(part, some, seed, self.tolerance, memory_bytes, pace)
        found = continued(step, lambda: None, self.progress, only)
        ledger.take(data.tolist(), found.ledger, list(found.ledger.columns))
        work.clock.spend("bracket", found.ledger.seconds)
        if (path := work.path("bracket")) is not None:
            ledger.write(path, work.fingerprint)
        return read(ledger, self.tolerance, found.forecast, found.unit, work.target.unnormalised)

    def _ledger(self) -> Ledger:
        """What an earlier call has found, or importance sampling alone."""
        path = self.work.path("bracket")
        if path is not None and path.exists():
            ledger = Ledger.read(path, self.work.fingerprint)
            self.work.clock.spend("bracket", ledger.seconds)
            return ledger
        ledger = Ledger.empty(len(self.work.target))
        ledger.put("importance", torch.arange(len(ledger.effort)), self.sampled)
        return ledger
