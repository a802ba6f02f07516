"""What is said of two models: the verdict, what data that are not known could overturn, and what would tell."""

import math

import pytest
import torch

from elbowroom.inference import Versus
from toys.shown import check_shown
from toys.two_models import compared, reversed_pair

GENERATOR = torch.Generator().manual_seed(2)
SPREAD = torch.randn(40, generator=GENERATOR)
BASE = torch.full((40,), -20.0)


def by(lead: float, **options: object) -> Versus:
    """a leads by so much on average, with a spread of 1 over 40 data; no room."""
    ahead = lead + SPREAD - SPREAD.mean()
    return compared((BASE + ahead, BASE), (BASE + ahead, BASE), **options)  # type: ignore[arg-type]


def text(found: Versus) -> str:
    return " ".join(found.sentences)


@pytest.mark.parametrize(("lead", "better"), [(1.0, "a"), (-1.0, "b"), (0.1, None)])
def test_the_verdict_is_that_of_the_interval(lead: float, better: str | None) -> None:
    found = by(lead)
    assert found.better == better
    assert ("cannot be told" in text(found)) == (better is None)
    check_shown(found)


def test_the_elbos_order_is_reversed_by_the_larger_room() -> None:
    found = reversed_pair()
    assert found.better == "a" and found.is_reversed
    assert "The ELBO says the opposite: it prefers b" in text(found) and "the guide of a" in text(found)


def test_sides_that_are_apart_ask_for_time() -> None:
    found = by(0.5, apart=2.0)
    assert found.better is None and found.log_p.apart == pytest.approx(2.0)
    assert "more time would tell (about 12 s more)" in text(found)


def test_data_that_are_not_known_are_left_out_and_told() -> None:
    """Four of forty: to overturn a lead of 3 they would have to differ by some 20 nats, which is more than any does."""
    found = by(3.0, unknown=range(4))
    assert found.better == "a" and len(found.log_p) == 36
    low, _ = found.log_p.interval(0.999)
    assert found.overturned_by == pytest.approx(low * 36 / 4)
    assert "4 of 40 data are not known from both sides" in text(found) and "to overturn the answer" in text(found)


def test_data_that_might_well_overturn_the_answer_keep_it_open() -> None:
    found = by(1.5, unknown=range(25))
    assert found.is_overturned_by_unknown and found.better is None
    assert "would overturn it: more time might tell" in text(found)


def test_nothing_is_known() -> None:
    found = by(1.0, unknown=range(40))
    assert found.better is None and math.isinf(found.overturned_by)
    assert "of none of 40 data log p(x) is known" in text(found) and "no upper bound" in text(found)
    assert found.record()["better"] is None
    check_shown(found)


def test_so_many_data_more() -> None:
    found = by(0.3)
    needed = found.log_p.data_to_tell() - 40
    said = next(s for s in found.sentences if "data more would tell" in s)
    number = int(said.split("about ")[1].split(" data")[0].replace(",", ""))
    assert needed <= number <= 1.3 * needed


def test_data_that_are_there_take_time() -> None:
    found = by(0.3, num_data=4000)
    assert "data more would tell, which are there: about 12 s more" in text(found)
    assert "The budget was enough for 40 of 4000 data" in text(found)


def test_one_datum_that_makes_the_interval() -> None:
    ahead = torch.full((40,), 0.1)
    ahead[7] = 30.0
    found = compared((BASE + ahead, BASE), (BASE, BASE))
    assert "Datum 7 alone makes up 98 % of the spread" in text(found)
