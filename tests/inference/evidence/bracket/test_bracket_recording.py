"""Blocks of data share the records of what their proposals evaluate, and give what runs of the programs give."""

from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.evaluation.clock import Clock, Evaluations
from elbowroom.inference.evidence.bracket import recording
from elbowroom.inference.evidence.bracket.bracket import continued
from elbowroom.inference.evidence.bracket.choice import POPULATION, REFINED
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.evidence.bracket.recording import Recording, how_to_evaluate
from elbowroom.inference.evidence.bracket.work import Work
from elbowroom.inference.programs.evaluations import total
from toys.programs import Ppca

BLOCK = 2


class Counted:
    """A conjugate model that knows how often it was run."""

    def __init__(self, dim: int, num_data: int) -> None:
        self.exact, self.runs = Ppca.make(10, dim, 0.7), 0
        self.x = self.exact.sample(num_data)

    def model(self, x: Tensor) -> None:
        self.runs += 1
        self.exact.model(x)

    def guide(self, x: Tensor) -> None:
        q = self.exact.posterior(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(q.mean, 0.9 * q.stddev).to_event(1))

    def target(self) -> Target:
        return Target(self.model, self.guide, self.x)


def ledger_of(target: Target, stage: str) -> Ledger:
    pace = Pace(Clock(1e9), Forecast.counted(target))
    work = Work(target, Ledger.empty(len(target)), 0, 0.1, None, pace)
    continued(work, lambda: None, only=("importance", stage))
    return work.ledger


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "stage", "names"), [(4, "population", POPULATION), (17, "refined", REFINED)])
def test_blocks_that_share_records_give_what_runs_give(
    dim: int, stage: str, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(continued.__globals__["_BLOCK"], stage, BLOCK)
    monkeypatch.setattr(recording, "_PAYS", {"recorded": 0.0})
    shared, apart = Counted(dim, 3 * BLOCK), Counted(dim, 3 * BLOCK)
    ledgers = [ledger_of(shared.target(), stage)]
    monkeypatch.setattr(recording, "_PAYS", {})
    ledgers.append(ledger_of(apart.target(), stage))
    assert shared.runs < 0.9 * apart.runs, (shared.runs, apart.runs)
    for name in names:
        mine, theirs = (ledger.columns[name] for ledger in ledgers)
        torch.testing.assert_close(mine.value, theirs.value, rtol=1e-6, atol=1e-6)


def test_a_block_of_other_data_shares_the_records_of_the_first() -> None:
    target = Counted(4, 8).target()
    whole = Recording.of(target, how="recorded")
    u = torch.randn(6, 4, 4)
    for begin in (0, 4):
        part = whole.on(target.select(range(begin, begin + 4)))
        assert part.densities.value_and_gradient.has_record(u) is (begin > 0)
        before = total()
        value, gradient = part.densities.gradient(u)
        assert total() - before == 3 * 6 * 4
        plain = Recording.of(part.coordinates.target).densities.gradient(u)
        torch.testing.assert_close((value, gradient), plain)
        ends = part.path.evaluate(u)
        torch.testing.assert_close(ends.log_joint, value)


def test_what_pays_is_told_by_blocks_and_by_the_room_for_them() -> None:
    def how(seconds: float, blocks: float, fit: float = 0.0) -> str:
        forecast = Forecast(0.0, 1.0, 4, fit=fit)
        each = replace(forecast, point=10.0 / forecast.cost("population", 128, 1.0))  # seconds a block without fits
        return how_to_evaluate(Pace(Clock(seconds), each), "population", 128, int(128 * blocks))

    assert [how(1e6, blocks) for blocks in (1, 1.9, 2, 6, 7)] == ["run", "run", "recorded", "recorded", "compiled"]
    assert [how(seconds, 100) for seconds in (15, 25, 65, 75)] == ["run", "recorded", "recorded", "compiled"]
    assert how(1e6, 6, fit=1.0) == "recorded"  # fits, in which no program has a part, take as long in any case
    counted = Pace(Clock(Evaluations(1e12)), Forecast(0.0, 1.0, 4))
    assert how_to_evaluate(counted, "population", 128, 10**6) == "run"  # what is counted asks no clock
