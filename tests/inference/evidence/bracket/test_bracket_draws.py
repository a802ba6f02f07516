"""A bracket that is given chains does not run its own first ones."""

import pytest

from elbowroom.inference import bracket, hmc
from elbowroom.inference.evidence.bracket import stages as methods
from elbowroom.reference import problem


@pytest.mark.slow
def test_given_chains_serve_in_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    known = problem("ppca-10-wide")
    target = known.target()
    draws = hmc(target, num_draws=250)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("chains were run again")

    monkeypatch.setattr(methods, "hmc", refuse)
    # A budget that its own forecast would not begin with: the round is made all the same.
    found = bracket(target, draws=draws, budget=0.5, tolerance=1.0)
    low, high = found.interval(4.0)
    assert bool(found.upper.value.isfinite().all()) and not any(found.flags)
    truth = known.log_evidence.double()
    assert bool(((low - 0.02 <= truth) & (truth <= high + 0.02)).all())


def test_chains_of_other_data_are_refused() -> None:
    target = problem("conjugate-normal").target()
    draws = hmc(target.select([0, 1]), num_draws=20, num_warmup=10)
    with pytest.raises(ValueError, match="draws has 2 data, the target has 8"):
        bracket(target, draws=draws)
