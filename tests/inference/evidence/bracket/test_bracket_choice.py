"""What a bracket makes of its methods' answers, and the file that keeps them."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from elbowroom.inference import Estimate, StateError
from elbowroom.inference.estimate import NORMAL_95
from elbowroom.inference.evidence.bracket.choice import FROM_BELOW, LOWER, UPPER, choose, settled, width
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read

NAN, INF = math.nan, math.inf
Answer = tuple[float, float, str]


def ledger(**answers: Answer) -> Ledger:
    """One datum's answers: (value, stderr, flag) by method, `_` for a space and a final `_up` for `, upper`."""
    made = Ledger.empty(1)
    for name, (value, stderr, flag) in answers.items():
        method = name.replace("_up", ", upper").replace("_", " ")
        made.put(method, torch.tensor([0]), estimate([value], [stderr]), (flag,))
    return made


def estimate(value: list[float], stderr: list[float]) -> Estimate:
    return Estimate(torch.tensor(value), torch.tensor(stderr), "none")


def sides(made: Ledger) -> tuple[str, str]:
    return choose(made, LOWER).methods[0], choose(made, UPPER).methods[0]


# Which value is taken ------------------------------------------------------------------------------------------------


def test_the_order_of_trust_does_not_look_at_values() -> None:
    """However high or low a clean answer is, within chance of the others the first of the order is taken."""
    everything = {
        "quadrature": (0.0, 0.0, ""),
        "adapted_importance": (0.3, 0.1, ""),
        "importance": (-9.0, 0.1, ""),
        "adapted_importance_up": (0.2, 0.1, ""),
        "reverse_annealing": (7.0, 0.1, ""),
    }
    order = [("quadrature", "quadrature"), ("adapted importance", "adapted importance, upper")]
    order += [("annealing", "adapted importance, upper"), ("importance", "adapted importance, upper")]
    everything["annealing"] = (-0.1, 0.1, "")
    for expected, gone in zip(order, ["quadrature", "adapted_importance", "annealing", "importance"], strict=True):
        assert sides(ledger(**everything)) == expected
        del everything[gone]
    del everything["adapted_importance_up"]
    assert sides(ledger(**everything)) == ("", "reverse annealing")


def test_a_flagged_answer_gives_way_to_a_clean_one() -> None:
    made = ledger(quadrature=(0.0, 0.0, "bad"), adapted_importance=(0.5, 0.1, "bad"), importance=(-0.3, 0.2, ""))
    lower = choose(made, LOWER)
    assert (lower.methods, lower.flags, lower.value.item(), lower.stderr.item()) == (("importance",), ("",), -0.3, 0.2)


@pytest.mark.parametrize("above", ["adapted_importance", "importance", "expedition", "earlier_rounds"])
@pytest.mark.parametrize("flag", ["", "chains do not mix"])
def test_an_answer_below_a_lower_bound_is_not_believed(above: str, flag: str) -> None:
    """Both ways of annealing began in one of two modes, and agree; another bound knows of both, flagged or not."""
    made = ledger(annealing=(-0.1, 0.0, ""), reverse_annealing=(-0.1, 0.0, ""), **{above: (0.0, 0.01, flag)})
    lower, upper = choose(made, LOWER), choose(made, UPPER)
    name = above.replace("_", " ")
    if name in LOWER:
        assert (lower.methods[0], lower.flags[0], lower.value.item()) == (name, flag, 0.0)
    else:
        assert lower.methods[0] == "annealing" and "says 0.000 ± 0.010 from below" in lower.flags[0]
    assert upper.methods[0] == "reverse annealing"
    assert "reverse annealing says -0.100 ± 0.000" in upper.flags[0] and "the methods disagree" in upper.flags[0]
    assert not settled(made, 1.0).item()
    # What is not known well contradicts nobody, and neither does what lies within chance.
    for value, error in ((0.0, 0.3), (-0.06, 0.01), (NAN, NAN)):
        vague = ledger(annealing=(-0.1, 0.0, ""), reverse_annealing=(-0.1, 0.0, ""), **{above: (value, error, "bad")})
        assert choose(vague, UPPER).flags == ("",) and choose(vague, LOWER).methods[0] == "annealing"


def test_a_clean_answer_that_nothing_contradicts_comes_before_an_earlier_one_in_the_order() -> None:
    made = ledger(annealing=(-0.1, 0.0, ""), importance=(0.0, 0.01, ""), adapted_importance_up=(0.01, 0.01, ""))
    assert sides(made) == ("importance", "adapted importance, upper") and settled(made, 0.1).item()


def test_the_largest_of_earlier_rounds_is_remembered() -> None:
    made, every = Ledger.empty(3), torch.arange(3)
    made.remember("adapted importance", "earlier rounds", every)
    assert not made.columns
    for values in ([1.0, 2.0, NAN], [3.0, 1.0, NAN]):
        made.put("adapted importance", every, estimate(values, [0.1, 0.2, 0.3]))
        made.remember("adapted importance", "earlier rounds", every)
    kept = made.columns["earlier rounds"]
    assert kept.value.nan_to_num(-9).tolist() == [3.0, 2.0, -9.0] and kept.stderr[:2].tolist() == [0.1, 0.2]


def test_of_flagged_answers_the_largest_is_taken_with_its_flag() -> None:
    made = ledger(annealing=(1.0, 0.1, "a"), importance=(2.0, 0.2, "b"), adapted_importance=(NAN, NAN, "c"))
    lower = choose(made, LOWER)
    assert (lower.methods[0], lower.flags[0], lower.value.item()) == ("importance", "b", 2.0)
    alone = choose(ledger(importance=(NAN, NAN, "NaN")), LOWER)
    assert (alone.methods[0], alone.flags[0]) == ("importance", "NaN") and alone.value.isnan().all()


def test_no_answer() -> None:
    found = read(Ledger.empty(2), 0.1, {})
    assert found.lower.value.tolist() == [-INF, -INF] and found.upper.value.tolist() == [INF, INF]
    assert found.lower.stderr.tolist() == [INF, INF] and not found.settled.any()
    assert found.width.tolist() == [INF, INF] and found.method(0) == "none"
    assert found.table().splitlines()[0].startswith("0 of 2 data settled")


# When a datum is settled ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "upper", "length"),
    [
        ((1.0, 0.0), (1.25, 0.0), 0.25),
        ((1.0, 0.1), (1.25, 0.2), 0.25 + 0.3 * NORMAL_95),
        ((1.0, 0.5), (-0.5, 0.01), 0.51 * NORMAL_95),  # crossed by noise: not a negative width
        ((1.0, INF), (1.0, 0.0), INF),
        ((1.0, NAN), (1.0, 0.0), INF),
        ((-INF, 0.0), (-INF, 0.0), INF),
        ((NAN, NAN), (1.0, 0.0), INF),
    ],
)
def test_width(lower: tuple[float, float], upper: tuple[float, float], length: float) -> None:
    made = ledger(adapted_importance=(*lower, ""), adapted_importance_up=(*upper, ""))
    assert width(choose(made, LOWER), choose(made, UPPER)).item() == pytest.approx(length)


def test_settled_needs_both_sides_no_flag_no_doubt_and_a_short_interval() -> None:
    good: Answer = (1.0, 0.01, "")
    both = {"adapted_importance": good, "adapted_importance_up": good}
    assert settled(ledger(**both), 0.1).item() and not settled(ledger(**both), 0.01).item()
    assert not settled(ledger(adapted_importance=good), 0.1).item()
    assert not settled(ledger(adapted_importance_up=good), 0.1).item()
    assert not settled(ledger(**both | {"adapted_importance": (1.0, 0.01, "bad")}), 0.1).item()
    assert not settled(ledger(**both | {"adapted_importance_up": (1.0, 0.01, "bad")}), 0.1).item()
    assert not settled(ledger(**both, bridge=(2.0, 0.01, "")), 0.1).item()
    assert settled(ledger(**both, bridge=(2.0, 0.01, "bad")), 0.1).item()  # that the bridge failed says nothing


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({}, ""),
        ({"adapted_importance_up": (0.5, 0.01, "")}, "lies above the upper one"),
        ({"adapted_importance_up": (0.93, 0.01, "")}, ""),  # 0.07 < 4 · √2 · 0.01 + 0.02
        ({"adapted_importance_up": (0.92, 0.01, "")}, "lies above the upper one"),  # 0.08 > that
        ({"bridge": (1.5, 0.01, "")}, "bridge says 1.500 ± 0.010, outside of the bracket"),
        ({"bridge": (0.5, 0.01, "")}, "bridge says 0.500"),
        ({"bridge": (0.5, 0.2, "")}, ""),
        ({"bridge": (0.5, 0.01, "failed")}, ""),
        ({"annealing": (1.5, 0.01, "")}, "annealing says 1.500"),  # a lower bound above both
        ({"annealing": (0.5, 0.01, "")}, ""),  # a lower bound may be low
        ({"importance": (1.5, 0.01, "")}, "importance says"),
        ({"importance": (1.5, 0.01, "k̂")}, "importance says 1.500"),  # a flagged value is, if anything, too low
        ({"expedition": (1.5, 0.01, "")}, "a search from the prior says 1.500"),
        ({"expedition": (0.2, 0.01, "")}, ""),
    ],
)
def test_suspicions(answers: dict[str, Answer], told: str) -> None:
    good = {"adapted_importance": (1.0, 0.01, ""), "adapted_importance_up": (1.0, 0.01, "")}
    made = ledger(**good | answers)
    flag = read(made, 0.5, {}).flags[0]
    assert told in flag and bool(told) == bool(flag)


def test_how_little_was_seen_from_the_prior_is_a_note() -> None:
    good = {"adapted_importance": (1.0, 0.01, ""), "adapted_importance_up": (1.0, 0.01, "")}
    found = read(ledger(**good, expedition=(-9.0, 1.0, "looked for with 2 effective points")), 0.1, {})
    assert found.flags == ("",) and found.notes == ("looked for with 2 effective points",)


def test_notes_on_guides_that_miss_a_part() -> None:
    good = {"adapted_importance": (1.0, 0.01, ""), "adapted_importance_up": (1.0, 0.01, "")}
    for importance, told in (((0.3, 0.01, ""), "0.70 nats low"), ((0.3, 0.01, "k̂"), ""), ((0.95, 0.01, ""), "")):
        found = read(ledger(**good, importance=importance), 0.1, {})
        assert told in found.notes[0] and bool(told) == bool(found.notes[0]) and found.flags == ("",)


def test_flags_tell_each_reason_once() -> None:
    made = ledger(annealing=(1.0, 0.1, "few chains; at the limit"), reverse_annealing=(1.0, 0.1, "stuck; at the limit"))
    assert read(made, 0.1, {}).flags == ("few chains; at the limit; stuck",)
    wide = read(ledger(adapted_importance=(1.0, 0.0, ""), adapted_importance_up=(1.15, 0.0, "")), 0.1, {})
    assert wide.flags == ("the interval is 0.15 nats wide, more than 0.1: more time would narrow it",)
    missing = read(ledger(importance=(1.0, 0.1, "")), 0.1, {})
    assert missing.flags[0].startswith("no upper bound: no chains were run")
    assert missing.method(0) == "importance / none"


def test_the_least_certain_come_first() -> None:
    made, rows = Ledger.empty(4), torch.arange(4)
    made.put("quadrature", rows, estimate([0.0] * 4, [0.0, 0.01, 0.02, 0.0]), ("", "", "", "bad"))
    found = read(made, 0.1, {})
    assert found.least_certain(9) == [3, 2, 1, 0] and found.least_certain(2) == [3, 2]


# The file ------------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
COLUMNS = st.dictionaries(
    st.sampled_from([*FROM_BELOW, *UPPER, "bridge"]),
    st.lists(st.tuples(NUMBERS, NUMBERS, st.text(st.characters(codec="utf-8"))), min_size=3, max_size=3),
)


@given(COLUMNS, st.lists(st.integers(-1, 3), min_size=3, max_size=3), st.floats(0, 1e9))
@settings(max_examples=20, deadline=None)
def test_a_ledger_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, list[Answer]], effort: list[int], seconds: float
) -> None:
    torch.set_default_dtype(torch.float64)
    made = Ledger.empty(3)
    for name, rows in columns.items():
        value, stderr, flags = zip(*rows, strict=True)
        made.put(name, torch.arange(3), estimate(list(value), list(stderr)), flags)
    made.effort, made.seconds = torch.tensor(effort), seconds
    path, told = tmp_path_factory.mktemp("ledger") / "state", {"data": "ab", "seed": 3, "programs": ["1.5"]}
    made.write(path, told)
    found = Ledger.read(path, told)
    assert (found.num_data, found.seconds, found.effort.tolist()) == (3, seconds, effort)
    assert found.columns.keys() == made.columns.keys()
    for name, column in made.columns.items():
        torch.testing.assert_close(found.columns[name].value, column.value, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(found.columns[name].stderr, column.stderr, rtol=0, atol=0, equal_nan=True)
        assert found.columns[name].flags == column.flags
        assert torch.equal(found.has(name), made.has(name))


def written(path: Path) -> Path:
    made = ledger(quadrature=(1.25, 0.5, ""), importance=(1.0, 0.1, "k̂"))
    made.write(path, {"seed": 1})
    return path


@pytest.mark.parametrize("what", ["empty", "half", "text", "number", "flag", "other", "no header", "list", "folder"])
def test_a_damaged_file_is_refused_and_left(tmp_path: Path, what: str) -> None:
    path = tmp_path / "state"
    content = written(path).read_bytes()
    old = torch.tensor([1.25], dtype=torch.float64).numpy().tobytes()
    new = torch.tensor([9.25], dtype=torch.float64).numpy().tobytes()
    assert old in content
    changed = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "text": b"not a state",
        "number": content.replace(old, new),
        "flag": content.replace(rb"k\\u0302", rb"k\\u0303").replace("k̂".encode(), b"ook"),
        "other": save({"a": torch.ones(1)}),
        "no header": save(load(content)),
        "list": save(load(content), {"elbowroom": json.dumps([1])}),
        "folder": None,
    }[what]
    if changed is None:
        path.unlink()
        path.mkdir()
    else:
        assert changed != content
        path.write_bytes(changed)
    with pytest.raises(StateError, match="state="):
        Ledger.read(path, {"seed": 1})
    assert path.is_dir() if changed is None else path.read_bytes() == changed


def test_other_fingerprints_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "state")
    with pytest.raises(
        StateError, match=r"written for other seed: it holds 1, this call has 2.*remove it to begin anew"
    ):
        Ledger.read(path, {"seed": 2})


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "state")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space"):
                ledger(quadrature=(7.0, 0.0, "")).write(path, {"seed": 1})
        assert path.read_bytes() == before and os.listdir(tmp_path) == ["state"]
    assert Ledger.read(path, {"seed": 1}).columns["quadrature"].value.item() == 1.25


def test_answers_are_written_over() -> None:
    made = Ledger.empty(3)
    made.put("bridge", torch.tensor([2, 0]), estimate([1.0, 2.0], [0.1, 0.2]), ("a", ""))
    made.put("bridge", torch.tensor([2]), estimate([3.0], [0.3]), ("",))
    column = made.columns["bridge"]
    assert column.value.nan_to_num(-9).tolist() == [2.0, -9.0, 3.0] and column.flags == ["", "", ""]
    assert made.has("bridge").tolist() == [True, False, True] and not made.has("annealing").any()
    made.put("bridge", torch.tensor([1]), estimate([NAN], [NAN]), ("NaN",))
    assert made.has("bridge").tolist() == [True, True, True]
