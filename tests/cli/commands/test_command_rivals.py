"""elbowroom rivals: the table printed and written, rows by name."""

from pathlib import Path

import pytest

from elbowroom.rivals import RIVALS
from toys.commands import Run
from toys.strict_json import read_json

FEW = ("rivals", "--rows=[pixels,mixture]", "--limit=12")


@pytest.mark.slow
def test_the_table_is_printed_and_written(run: Run, folder: Path) -> None:
    shown = run(*FEW, "--output=here")
    assert shown.code == 0 and "log p(x) of 12 test data (binary) by 2 models, seed 0" in shown.out
    assert "The highest log p(x) of new data has mixture" in shown.out
    record, page = read_json(Path("here/rivals.json")), Path("here/rivals.md").read_text()
    assert [row["name"] for row in record["rows"]] == ["pixels", "mixture"]
    assert all(f"| {row['name']} | {RIVALS[row['name']].label} |" in page for row in record["rows"])
    assert Path("here/draws.png").stat().st_size > 1000
    again = run(*FEW, "--json").json()
    timed = ("evaluate_ms", "sample_ms", "fit_seconds")
    same = [[{k: v for k, v in row.items() if k not in timed} for row in r["rows"]] for r in (record, again)]
    assert same[0] == same[1]
    assert not [path for path in folder.iterdir() if path.name != "here"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--rows=[rmb]",), ("rows: got 'rmb'", "rbm")),
        (("--rows=[rbm]", "--kind=levels"), ("rows: got 'rbm'", "of levels data")),
        (("--limit=1",), ("limit: got 1",)),
    ],
)
def test_rows_that_are_not_there_are_refused(run: Run, folder: Path, options: tuple[str, ...], told: tuple) -> None:
    assert run("rivals", *options, "--output=here").refused(*told)
    assert not Path("here").exists()
