"""`elbowroom explore`: the page, what it says of itself, and that its numbers are the library's."""

from pathlib import Path

import pytest

from toys.commands import Run
from toys.strict_json import read_json

SHORT = ("--limit=4", "--budget=1e5 evaluations")


def test_it_writes_one_page_and_says_what_is_in_it(run: Run, trained: Path) -> None:
    ended = run("explore", f"--run={trained}", *SHORT, "--indices=[2,0]", "--json")
    told = ended.json()
    assert told == read_json(trained / "explore" / "explore.json") and told["views"] == [2, 0]
    page = Path(told["page"]).read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "") and len(page) < 3_000_000
    assert told["num_data"] == 4 and told["latents"] == ["z[0]", "z[1]"]
    assert told["notices"] == ["Planes are shown around 2 of 4 data."]


@pytest.mark.slow
def test_what_an_audit_knows_is_used_and_the_report_may_hold_the_explorer(run: Run, trained: Path) -> None:
    assert run("audit", f"--run={trained}", *SHORT, "--explore").code == 0
    assert 'id="explorer"' in (trained / "audit" / "report.html").read_text()
    ended = run("explore", f"--run={trained}", *SHORT)
    assert ended.code == 0 and "knows of these data is used" in ended.out and "Open " in ended.out


@pytest.mark.parametrize(
    ("option", "told"),
    [("--indices=[99]", "indices must be different ones of the 4"), ("--max_bytes=0", "--max_bytes must be")],
)
def test_bad_values_are_named(run: Run, trained: Path, option: str, told: str) -> None:
    assert run("explore", f"--run={trained}", *SHORT, option).refused(told)
