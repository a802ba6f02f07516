"""The register of claims: complete, written by the notebooks that it names, and the page of it as the register says."""

import ast
import datetime
import math
from pathlib import Path
from typing import Any

import jupytext
import pytest
import yaml

import claims
import claims_page

FOLDER = Path(claims.__file__).parent
NOTEBOOKS = {path.stem: path for path in FOLDER.glob("[0-9]*.py")}
ENTRIES = claims.read()
SAID = {
    "verdict": "true",
    "number": 1.0,
    "error": 0.1,
    "unit": "nats",
    "measured": "a difference",
    "error_of": "standard error",
    "holds": "here",
}


def recorded(path: Path) -> list[tuple[str, dict[str, str]]]:
    """The claims that a notebook records, by `record` or a function that hands on to it, and the words that it
    writes."""
    text = "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.args]
    found = []
    for call in calls:
        first = call.args[0]
        if isinstance(call.func, ast.Name) and isinstance(first, ast.Constant) and first.value in claims.CLAIMS:
            words = {str(k.arg): k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
            found.append((str(first.value), words))
    return found


def test_every_claim_is_there() -> None:
    assert list(claims.CLAIMS) == [f"C{number}" for number in range(1, 41)]
    assert list(ENTRIES) == list(claims.CLAIMS)


@pytest.mark.parametrize("name", claims.CLAIMS)
def test_an_entry_says_what_was_measured(name: str) -> None:
    entry = ENTRIES[name]
    assert {key: entry[key] for key in claims.static(name)} == claims.static(name)
    assert set(entry) == {*claims.static(name), *SAID, "date"}
    assert entry["verdict"] in claims.VERDICTS and entry["holds"]
    assert datetime.date(2026, 1, 1) <= datetime.date.fromisoformat(entry["date"])
    if entry["number"] is None:
        assert entry["verdict"] == "not shown" and entry["error"] is None, "a verdict rests on a number"
    else:
        assert math.isfinite(entry["number"]) and entry["error"] > 0 and entry["unit"] and entry["error_of"]


def test_each_claim_is_recorded_by_its_notebook_alone() -> None:
    by = {stem: [name for name, _ in recorded(path)] for stem, path in NOTEBOOKS.items()}
    for name, claim in claims.CLAIMS.items():
        where = [stem for stem, names in by.items() if name in names]
        if name in claims.WAITING:
            assert where == [] and ENTRIES[name]["number"] is None, f"{name} is no longer waiting: {where}"
        else:
            assert where == [claim.notebook] and by[claim.notebook].count(name) == 1, (name, where)


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_the_register_says_what_the_notebook_writes(stem: str) -> None:
    for name, words in recorded(NOTEBOOKS[stem]):
        said = {key: ENTRIES[name][key] for key in words if key in SAID and key not in ("number", "error")}
        assert said == {key: words[key] for key in said}, f"{name}: run notebooks/execute.py {stem}"


def test_the_page_is_the_register() -> None:
    assert claims_page.PAGE.read_text(encoding="utf-8") == claims_page.page(), "python docs/claims_page.py writes it"


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "claims.yaml"
    monkeypatch.setenv("ELBOWROOM_CLAIMS", str(path))
    return path


def entry_of(register: Path, name: str = "C5", **changes: Any) -> dict[str, Any]:
    claims.record(name, **{**SAID, **changes})
    return yaml.safe_load(register.read_text(encoding="utf-8"))[name]


def test_a_number_is_kept_within_its_error(register: Path) -> None:
    assert entry_of(register)["number"] == 1.0
    assert entry_of(register, number=1.09)["number"] == 1.0
    assert entry_of(register, number=1.2)["number"] == 1.2
    assert entry_of(register, number=1.2, verdict="false")["verdict"] == "false"


def test_entries_are_in_the_order_of_the_claims(register: Path) -> None:
    for name in ("C40", "C5", "C12"):
        entry_of(register, name)
    assert list(yaml.safe_load(register.read_text(encoding="utf-8"))) == ["C5", "C12", "C40"]
    assert [path.name for path in register.parent.iterdir()] == ["claims.yaml"]


def test_digits_follow_the_error(register: Path) -> None:
    entry = entry_of(register, number=17.123456, error=0.0123)
    assert (entry["number"], entry["error"]) == (17.123, 0.012)
    assert entry_of(register, number=1234.0, error=321.0)["number"] == 1230.0


@pytest.mark.parametrize("wrong", [{"name": "C41"}, {"verdict": "maybe"}, {"number": math.nan}, {"error": 0.0}])
def test_what_cannot_be_is_refused(register: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"name, verdict: got|number, error: got"):
        entry_of(register, **wrong)
    assert not register.exists()
