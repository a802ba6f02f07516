"""The three numbers at the head of the page: of all data where all are known, as the verdict has them."""

from types import SimpleNamespace
from typing import Any

from elbowroom.inference.audit.result import Number
from elbowroom.report.page.sections import _of_all


def audit(**values: float) -> Any:
    return SimpleNamespace(numbers={n: Number(v, v - 0.0196, v + 0.0196, "nats", n) for n, v in values.items()})


def test_headline_is_of_all_data_that_are_known() -> None:
    found = _of_all(audit(log_p=-18.87, elbo=-19.30, gap=0.43, gap_examined=2.13))
    assert [label for label, *_ in found] == ["log p(x)", "ELBO", "room"]
    for (_, value, interval), number in zip(found, ("−18.87", "−19.3", "0.43"), strict=True):
        assert value.startswith(number) and "to" in interval


def test_what_is_known_from_one_side_has_no_error_of_infinity() -> None:
    known = audit(log_p=-18.87, elbo=-19.30, gap=0.43, gap_examined=2.13)
    known.numbers["gap"] = Number(0.43, 0.4, float("inf"), "nats", "room")
    _, value, interval = _of_all(known)[2]
    assert "±" not in value and "0.4" in interval


def test_where_only_the_examined_are_known_it_is_of_these() -> None:
    assert _of_all(audit(log_p=-18.5, elbo=-20.6, gap=2.1)) == []
