"""The table of a bracket: every side with its error, every reason, within a terminal's width."""

import math

import pytest
import torch
from rich.cells import cell_len

from elbowroom.inference import Bracket, Estimate
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.report import bracket_table, with_error

LONG = "the weights' tail is too heavy, the value is likely too low; chains do not mix: R-hat 1.2 > 1.05; " * 2 + "end"
ROWS = torch.arange(4)


def made() -> Bracket:
    """Exact; two methods and a note; flagged at length; not answered from above."""
    ledger = Ledger.empty(4)
    nothing = math.nan

    def put(method: str, value: list[float], stderr: list[float], flags: tuple[str, ...] = ("",) * 4) -> None:
        ledger.put(method, ROWS, Estimate(torch.tensor(value), torch.tensor(stderr), "none"), flags)

    put("quadrature", [-3.25, nothing, nothing, nothing], [0.0, nothing, nothing, nothing])
    put("importance", [-3.25, -5.1, -7.1, -9.5], [0.01, 0.002, 0.2, 0.03])
    put("adapted importance", [nothing, -4.1, -6.5, nothing], [nothing, 0.004, 0.21, nothing], ("", "", LONG, ""))
    put(
        "reverse annealing",
        [nothing, -4.09, -6.25, nothing],
        [nothing, 0.005, 0.125, nothing],
        ("", "", f"stuck; {LONG}", ""),
    )
    ledger.seconds = 12.25
    return read(ledger, 0.1, {})


def test_every_number_has_its_error_and_every_flag_its_reason() -> None:
    found = made()
    text = bracket_table(found)
    for side in (found.lower, found.upper):
        for b in range(4):
            if side.value[b].isfinite():
                assert with_error(side.value[b].item(), side.stderr[b].item(), max_decimals=4) in text
        known = Estimate(side.value[:3], side.stderr[:3], "none")
        assert with_error(*known.mean(), max_decimals=4) in text
    assert "log p(x) of 3 of 4 data, nats per datum" in text
    assert "2 of 4 data settled: both sides within 0.1 nats (95 %), no flag; 12.2 s" in text
    assert "quadrature (1), adapted importance (1), importance (1)" in text.replace("\n", " ")
    for b in (2, 3):
        assert f"! datum {b}: {found.flags[b]}" in " ".join(text.split()).replace("  ", " ")
    assert "datum 1: importance sampling from the guide is 1.00 nats low" in text
    assert "adapted importance / reverse annealing" in text and "importance / none" in text


def test_flagged_data_come_first_and_the_rest_is_counted() -> None:
    found = made()
    assert rows(bracket_table(found)) == ["3", "2", "1", "0"]
    one = bracket_table(found, most=1)
    assert rows(one) == ["3"] and "1 of 4, nats" in one and "! 1 more data are flagged" in one
    assert rows(bracket_table(found, data=[0, 1])) == ["0", "1"]
    assert "more data are flagged" not in bracket_table(found)
    with pytest.raises(ValueError, match=r"data must be indices 0 … 3, got \[4\]"):
        bracket_table(found, data=[0, 4])


@pytest.mark.parametrize("width", [80, 100])
def test_long_reasons_are_wrapped_not_cut(width: int) -> None:
    text = bracket_table(made(), width=width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text.replace("0 … 3", "") and "R-hat 1.2 > 1.05" in text
    assert " ".join(made().flags[2].split()) in " ".join(text.split())


def test_nothing_answered() -> None:
    text = bracket_table(read(Ledger.empty(2), 0.1, {}))
    assert "mean" not in text and "0 of 2 data settled" in text and "none" in text and "-∞" in text


def rows(text: str) -> list[str]:
    """The first words of the rows below the last header."""
    body = text.split("methods")[-1].splitlines()[2:]
    return [line.split()[0] for line in body[: body.index("")]]
