"""docs/other_ways_round_z.md: its tables have the rows and words of the registry, its text numbers of the tables."""

import re

import pytest

from elbowroom.rivals import RIVALS
from elbowroom.rivals.table import _CELLS, checked_rows
from house_imports import ROOT

PAGE = (ROOT / "docs" / "other_ways_round_z.md").read_text()
HEADS = {"binary": "Zeros and ones", "levels": "Seventeen grey levels"}


def tables(kind: str) -> list[list[list[str]]]:
    """The tables of a section: lines of cells, the head first."""
    section = PAGE.split(f"\n## {HEADS[kind]}\n")[1].split("\n## ")[0]
    blocks = [re.findall(r"(?m)^\| (.*) \|$", block) for block in section.split("\n\n")]
    return [[re.split(r" (?<!\\)\| ", line) for line in lines if "---" not in line] for lines in blocks if lines]


@pytest.mark.parametrize("kind", HEADS)
def test_its_tables_have_the_rows_of_the_registry(kind: str) -> None:
    words, numbers, *apart = tables(kind)  # one run of the command, and rows of runs by themselves
    by_themselves = [line for rows in apart for line in rows[1:]]
    assert [line[0] for line in words[1:]] == [line[0] for line in numbers[1:]]
    assert [line[0] for line in (*words[1:], *by_themselves)] == checked_rows(kind, None)
    assert [line[1:3] for line in by_themselves] == [
        [RIVALS[line[0]].label, RIVALS[line[0]].avoids] for line in by_themselves
    ]
    for name, label, avoids, reported, cannot in words[1:]:
        rival = RIVALS[name]
        assert (label, avoids.replace("\\|", "|"), cannot) == (rival.label, rival.avoids, rival.cannot)
        assert reported in ("exact", "both sides", "lower bound", "no log p(x)")
    assert numbers[0] == ["name", *_CELLS]
    assert sum(line[numbers[0].index("behind")] == "0" for line in numbers[1:]) == 1, "one is the best"


def test_numbers_of_the_text_stand_in_the_tables() -> None:
    """Every value of log p(x) that a sentence names."""
    text = "\n".join(line for line in PAGE.splitlines() if not line.startswith("|"))
    listed = {cell.split(" ")[0] for kind in HEADS for rows in tables(kind)[1:] for line in rows[1:] for cell in line}
    named = re.findall(r"−(\d+\.\d\d)", text)
    assert len(named) >= 4
    assert [value for value in named if f"-{value}" not in listed] == []
