"""evidence --method bracket: what is printed and written, and that a second call goes on."""

from pathlib import Path

import pytest

from elbowroom.commands.bracket import BOUNDS
from elbowroom.inference import bracket, quadrature
from elbowroom.inference.evidence.bracket.choice import FROM_BELOW, MIDDLE, PARTICLES, UPPER
from toys.commands import Run, the_target
from toys.strict_json import read_json

BRACKET = ("--method=bracket", "--budget=120")


@pytest.mark.slow
def test_what_is_written_is_the_librarys(run: Run, trained: Path) -> None:
    ended = run("evidence", f"--run={trained}", *BRACKET, "--tolerance=0.2", "--seed=4", "--json=true")
    found = ended.json()
    assert found == read_json(trained / "evidence.json")
    target = the_target(trained)
    wanted, exact = bracket(target, budget=120, tolerance=0.2, seed=4), quadrature(target)
    rows = found["data"]
    assert [row["datum"] for row in rows] == list(range(9))
    for name, side in (("lower", wanted.lower), ("upper", wanted.upper)):
        assert [row[name] for row in rows] == pytest.approx(side.value.tolist(), abs=1e-5)
        assert [row[f"{name}_stderr"] for row in rows] == pytest.approx(side.stderr.tolist(), abs=1e-5)
        assert [row[f"{name}_method"] for row in rows] == list(side.info["method"])
        assert [row[name] for row in rows] == pytest.approx(exact.value.tolist(), abs=1e-4)
    assert [row["flag"] for row in rows] == list(wanted.flags) == [""] * 9
    assert [row["note"] for row in rows] == list(wanted.notes)
    assert [row["width"] for row in rows] == pytest.approx(wanted.width.tolist(), abs=1e-5)
    for row in rows:
        assert set(row["methods"]) == {"importance", "quadrature"} <= set(found["bounds"])
        column = wanted.ledger.columns["importance"]
        assert row["methods"]["importance"]["value"] == pytest.approx(column.value[row["datum"]].item(), abs=1e-4)
        assert row["methods"]["importance"]["flag"] == column.flags[row["datum"]]
    assert (found["method"], found["units"], found["split"], found["seed"]) == ("bracket", "nats per datum", "test", 4)
    assert (found["tolerance"], found["budget"], found["num_settled"]) == (0.2, 120.0, 9)
    assert set(found["forecast"]) == {"importance", "quadrature", "chains"} and found["seconds"] > 0


def test_every_method_says_what_it_bounds() -> None:
    assert set(BOUNDS) == {*FROM_BELOW, *UPPER, MIDDLE, PARTICLES}


def test_for_a_person(run: Run, trained: Path) -> None:
    ended = run("evidence", f"--run={trained}", *BRACKET)
    assert ended.code == 0
    assert "log p(x) of 9 data, nats per datum" in ended.out and "9 of 9 data settled" in ended.out
    assert "quadrature (9)" in ended.out and str(trained / "evidence.json") in ended.out
    assert "goes on from" not in ended.out and "Going on" not in ended.out


def test_a_second_call_goes_on(run: Run, trained: Path) -> None:
    """What stands in the state is not computed again."""
    common = ("evidence", f"--run={trained}", *BRACKET)
    first, again = (run(*common, "--limit=3", "--json").json() for _ in range(2))
    assert again["seconds"] == first["seconds"] and again["data"] == first["data"]
    assert "Going on from" in run(*common, "--limit=3").out
    assert "Going on" not in run(*common, "--limit=2").out
    states = {path.name.removesuffix(".state.safetensors") for path in trained.glob("*.state.safetensors")}
    assert states == {"evidence-last-test-3-0", "evidence-last-test-2-0"}


def test_what_cannot_be_continued_or_answered(run: Run, trained: Path) -> None:
    for option, told in (
        ("--budget=0", "budget must be a number > 0"),
        ("--tolerance=-1", "tolerance must be a number > 0"),
    ):
        assert run("evidence", f"--run={trained}", "--method=bracket", option).refused(told)
    assert run("evidence", f"--run={trained}", "--method=bracket", "--budget=1e-9").refused("too small to answer")
    assert run("evidence", f"--run={trained}", "--method=guess").code == 2
    state = trained / "evidence-last-test-0.state.safetensors"
    state.write_bytes(b"something else")
    assert run("evidence", f"--run={trained}", *BRACKET).refused(str(state), "remove it to begin anew")
    assert state.read_bytes() == b"something else"
    assert not (trained / "evidence.json").exists()


def test_data_that_need_more_time_are_said_to(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from elbowroom.inference.evidence.bracket.forecast import Forecast

    monkeypatch.setattr(Forecast, "measure", classmethod(lambda cls, target: Forecast(1.0, 1e-9, 2)))
    ended = run("evidence", f"--run={trained}", "--method=bracket", "--budget=5")
    assert ended.code == 0 and "The same command again goes on from" in ended.out
    rows = read_json(trained / "evidence.json")["data"]
    assert all(row["upper"] is row["upper_method"] is row["width"] is None for row in rows)
    assert all("no upper bound" in row["flag"] for row in rows)


@pytest.mark.slow
def test_a_budget_of_evaluations(run: Run, trained: Path) -> None:
    """As a text; two runs that share no state write the same numbers."""
    common = ("evidence", f"--run={trained}", "--method=bracket", "--limit=3", "--budget=3e4 evaluations", "--json")
    one, other = (run(*common, f"--output={place}").json() for place in ("one", "other"))
    assert one["data"] == other["data"] and one["forecast"] == other["forecast"]
    assert one["budget"] == "3e4 evaluations" and one["unit"] == "evaluations"
    assert Path("one/evidence-last-test-3-0.state.safetensors").exists()
