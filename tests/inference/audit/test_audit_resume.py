"""An audit that is stopped and goes on, and the states that it refuses."""

import json
import math
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from elbowroom.inference import Audit, InUseError, StateError, audit_target, decompose
from elbowroom.inference.audit import block_sizes, examination
from elbowroom.inference.saving.one_writer import only_writer
from toys.audit import GENEROUS, Line, one_block

TOLERANCE = {"rhat": 2e-3}
"""Of what depends on ranks of draws: rounding may swap two of them."""

parts = import_module("elbowroom.inference.audit.audit")  # the package's name of it is the function


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short chains and one family: what is told here is what is kept, not how good it is."""
    monkeypatch.setattr(examination, "NUM_DRAWS", 100)
    monkeypatch.setattr(examination, "NUM_WARMUP", 30)
    monkeypatch.setattr(examination, "decompose", partial(decompose, families=["mean-field"]))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is computed, as it is: names of parts, and rows of blocks."""
    told: list[Any] = []

    def counted(name: str) -> None:
        original = getattr(parts, name)
        monkeypatch.setattr(parts, name, lambda *given, **options: told.append(name) or original(*given, **options))

    for name in ("importance", "calibrate", "latent_use"):
        counted(name)
    block = examination.Examiner._block
    monkeypatch.setattr(
        examination.Examiner, "_block", lambda self, rows, *given: told.append(tuple(rows)) or block(self, rows, *given)
    )
    return told


def audited(state: Path | None, budget: float = GENEROUS, s: float = 0.8, num_data: int = 20, seed: int = 3) -> Audit:
    return audit_target(Line(s).target(num_data), budget=budget, seed=seed, num_simulations=40, state=state)


def per_datum(audit: Audit) -> dict[str, Tensor]:
    """Columns in the order of the data."""
    assert audit.decomposition is not None and audit.agreement is not None
    order = torch.tensor(audit.rows["decomposition"]).argsort()
    found, seen = audit.decomposition, audit.agreement
    columns = {name: getattr(found, name).value for name in ("elbo", "log_p", "amortization", "approximation")}
    columns |= {name: getattr(found, name).stderr for name in ("elbo", "log_p")}
    columns |= {f"gain {name}": gain.value for name, gain in found.gains.items()}
    columns |= {"mean_error": seen.mean_error, "missed_mass": seen.missed_mass, "kl_p_q": seen.kl_p_q.value}
    columns |= {use: marks.double() for use, marks in seen.uses.items()}
    assert audit.chains is not None and audit.chains.rows == audit.rows["decomposition"]
    columns["rhat"] = audit.chains.convergence.rhat
    return {name: column[order] for name, column in columns.items()}


@pytest.mark.slow
def test_an_audit_that_ran_out_of_time_goes_on(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two calls, and in blocks of other sizes, it ends with the numbers of an audit that was never stopped."""
    state = tmp_path / "deep" / "state"
    with one_block():
        short = audited(state)
    assert len(short.rows["decomposition"]) == 16 == short.numbers["examined"].value
    assert [call for call in calls if isinstance(call, str)] == ["importance", "latent_use", "calibrate"]
    calls.clear()
    full = audited(state)
    (rest,) = calls
    assert set(rest) == set(range(20)) - set(short.rows["decomposition"])
    assert full.rows["decomposition"] == (*short.rows["decomposition"], *rest)
    assert full.rows["random"] == tuple(parts.Examiner.order(_examiner(full)))
    calls.clear()
    again = audited(state)
    assert calls == [] and again.numbers == full.numbers and again.findings == full.findings
    monkeypatch.setattr(block_sizes, "FIRST", 12)
    monkeypatch.setattr(block_sizes, "MOST", 8)
    whole = audited(None)
    assert [len(rows) for rows in calls if isinstance(rows, tuple)] == [12, 8]
    for name, column in per_datum(whole).items():
        torch.testing.assert_close(per_datum(full)[name], column, rtol=0, atol=TOLERANCE.get(name, 1e-6), msg=name)
    assert set(whole.numbers) == set(full.numbers)
    for name, number in whole.numbers.items():
        near = pytest.approx((number.value, number.low, number.high), abs=TOLERANCE.get(name, 1e-6))
        found = full.numbers[name]
        assert (found.value, found.low, found.high) == near, name
    assert [f.sentence for f in whole.findings] == [f.sentence for f in full.findings]
    for name, seconds in short.cost.items():
        assert full.cost[name] >= seconds, name


def _examiner(audit: Audit) -> Any:
    return examination.Examiner(Line(0.8).target(20), audit.bracket, 3, None, None, {})


@pytest.mark.slow
def test_an_audit_that_was_interrupted_goes_on(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was finished stands."""
    monkeypatch.setattr(block_sizes, "FIRST", 4)
    monkeypatch.setattr(block_sizes, "MOST", 4)
    block = examination.Examiner._block

    def stopped(self: Any, rows: list[int], first: Any, pace: Any) -> Any:
        if first:  # the one that is done
            raise KeyboardInterrupt
        return block(self, rows, first, pace)

    with monkeypatch.context() as patch:
        patch.setattr(examination.Examiner, "_block", stopped)
        with pytest.raises(KeyboardInterrupt):
            audited(tmp_path, num_data=8)
    done = [call for call in calls if isinstance(call, tuple)]
    assert [len(rows) for rows in done] == [4]
    calls.clear()
    full = audited(tmp_path, num_data=8)
    assert len(calls) == 1 and full.rows["decomposition"] == (*done[0], *calls[0])


@pytest.mark.slow
def test_data_are_examined_once_whatever_is_the_worst_by_now(
    tmp_path: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A better bracket may make other data the worst: nothing is examined twice, nothing left out."""
    monkeypatch.setattr(block_sizes, "FIRST", 1)
    monkeypatch.setattr(block_sizes, "MOST", 1)
    with one_block():
        first = audited(tmp_path, num_data=2)
    assert len(first.rows["decomposition"]) == 1
    original = parts.queue_of
    monkeypatch.setattr(parts, "queue_of", lambda order, room, worst: original(order, room, worst)[::-1])
    full = audited(tmp_path, num_data=2)
    assert sorted(full.rows["decomposition"]) == [0, 1]
    assert full.numbers["examined"].value == 2


@pytest.mark.slow
def test_other_numbers_of_simulations_are_other_calibrations(tmp_path: Path, calls: list[Any]) -> None:
    target = Line(0.8).target(4)
    for number in (30, 50, 30):
        found = audit_target(target, budget=GENEROUS, num_simulations=number, state=tmp_path).calibration
        assert found is not None and found.num_simulations == number
    assert calls.count("calibrate") == 2


@pytest.mark.slow
def test_a_state_of_something_else_is_refused(tmp_path: Path) -> None:
    audited(tmp_path, num_data=4)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) >= {"importance.safetensors", "bracket.safetensors", "examination-0000.safetensors"}
    others: list[tuple[Callable[[], Any], str]] = [
        (lambda: audited(tmp_path, num_data=5), "other data"),
        (lambda: audited(tmp_path, num_data=4, s=0.7), "other programs"),
        (lambda: audited(tmp_path, num_data=4, seed=4), "other programs|other seed"),
    ]
    for call, told in others:
        with pytest.raises(StateError, match=told):
            call()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Each of them, cut short, with one bit turned, empty, or of another part: named, and left as it is."""
    audited(tmp_path, num_data=8)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    for place, (path, other) in enumerate(zip(files, files[1:] + files[:1], strict=True)):
        good = path.read_bytes()
        turned = bytearray(good)
        turned[-3] ^= 1
        ways = (good[: len(good) // 2], bytes(turned), b"", other.read_bytes())
        for damaged in (ways[place % 4], ways[(place + 1) % 4]):
            path.write_bytes(damaged)
            with pytest.raises(StateError, match=path.name):
                audited(tmp_path, num_data=8)
            assert path.read_bytes() == damaged
        path.write_bytes(good)
    audited(tmp_path, num_data=8)


@pytest.mark.slow
def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    """A field that is no more, a type that is not known: a reason, not a riddle."""
    from elbowroom.inference.saving.state_file import _digest

    audited(tmp_path, num_data=4)
    path = tmp_path / "importance.safetensors"
    good = path.read_bytes()
    for old, new in (('"stderr"', '"sd"'), ('"Estimate"', '"Estimates"')):
        path.write_bytes(good)
        with safe_open(path, framework="pt") as file:
            told = json.loads(file.metadata()["elbowroom"].replace(old, new))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told.pop("digest")
        told["digest"] = _digest(tensors, told)
        save_file(tensors, path, {"elbowroom": json.dumps(told)})
        with pytest.raises(StateError, match=r"importance\.safetensors.*another version"):
            audited(tmp_path, num_data=4)


@pytest.mark.parametrize("budget", [0.0, -1.0, math.nan])
def test_a_budget_must_be_positive(budget: float) -> None:
    with pytest.raises(ValueError, match="budget must be a number > 0"):
        audited(None, budget, num_data=2)


def test_a_state_has_one_writer(tmp_path: Path, calls: list[Any]) -> None:
    with (
        only_writer(tmp_path / "state", "state", folder=True),
        pytest.raises(InUseError, match=r"state='.*state' is in use: this process"),
    ):
        audited(tmp_path / "state")
    assert not calls and not list(tmp_path.glob("state/*"))
