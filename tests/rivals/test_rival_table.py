"""The table of rivals: who is best, who is not told apart, by how much others are behind; rows chosen by name."""

import math

import pytest
import torch
from torch import Tensor

from elbowroom.inference import Estimate
from elbowroom.rivals import RIVALS, Digits, Fitted, Rival, RivalsTable, Sides, compare_rivals, digits
from elbowroom.rivals import registry as registry_of_rows
from elbowroom.rivals.pictures import nearest_distance, roughness
from elbowroom.rivals.row import DRAWS, measure
from elbowroom.rivals.table import checked_rows

SHAPE = (3, 4)


def toy_data(num_test: int = 10) -> Digits:
    generator = torch.Generator().manual_seed(0)
    train, validation, test = (torch.rand(n, 12, generator=generator).round() for n in (30, 8, num_test))
    return Digits("binary", 2, train, validation, test, SHAPE)


def toy(
    value: float,
    spread: float = 0.1,
    bound: str = "exact",
    room: float | None = None,
    ones: float = 0.0,
    raised: float = 0.0,
) -> Rival:
    """A rival whose log p(x) are numbers that are told; `ones` is added for each one in x."""

    def log_p(x: Tensor) -> Estimate:
        values = value + spread * torch.linspace(-1, 1, len(x)) + ones * x.sum(1)
        return Estimate(values, torch.zeros(len(x)), bound)  # type: ignore[arg-type]

    def both_sides(x: Tensor) -> Sides:
        flags = ("", "a flag", "", "") if room == 1.5 else ()
        both = (raised, raised + (room or 0.0))
        lower, upper = (Estimate(torch.full((4,), v), torch.zeros(4), "none", {}, flags) for v in both)
        return Sides(log_p(x), lower, upper)

    def fit(data: Digits, seed: int) -> Fitted:
        return Fitted(log_p, lambda n, seed: data.train[:1].expand(n, -1), 7, None if room is None else both_sides)

    return Rival("a toy", ("binary",), "it is told", "learn", fit)


def table(**rivals: Rival) -> RivalsTable:
    data = toy_data()
    return RivalsTable(tuple(measure(name, rival, data) for name, rival in rivals.items()), "binary", 10, 0)


def test_the_best_and_how_far_others_are_behind_it() -> None:
    result = table(a=toy(-4.5), b=toy(-4.0), c=toy(-4.02, spread=0.3))
    assert result.best.name == "b"
    assert result.behind(result["a"]).difference == pytest.approx((0.5, 0.0), abs=1e-6)
    less = 0.02 + 0.2 * torch.linspace(-1, 1, 10)  # paired: the spread of each is not the error of the difference
    error = less.std().item() / math.sqrt(10)
    found = result.behind(result["c"])
    assert found.difference == pytest.approx((0.02, error), abs=1e-6)
    assert found.least == pytest.approx(0.02 - 1.959964 * error, abs=1e-6)
    said = " ".join(result.verdict())
    assert "has b: -4.00 nats (95 % -4.04 … -3.96), exact." in said
    assert "Not told apart from it on these 10 data: c." in said
    assert "Behind it by at least (95 %, paired, nats): a (0.50)." in said


def test_what_may_be_above_a_value_is_taken_off_what_is_certain() -> None:
    result = table(best=toy(-4.0), wide=toy(-5.0, bound="lower", room=1.5), narrow=toy(-5.0, bound="lower", room=0.2))
    assert result["wide"].reported == "both sides" and result["wide"].num_looked == 4
    assert result.behind(result["wide"]).least == pytest.approx(-0.5)
    assert result.behind(result["narrow"]).least == pytest.approx(0.8)
    assert result["wide"].interval[1] == pytest.approx(result["wide"].held_out.nats.interval[1] + 1.5)
    assert "Not told apart from it on these 10 data: wide." in result.verdict()
    assert "With data whose value is flagged as not to be trusted: wide (1)." in result.verdict()


def test_a_closer_look_raises_what_is_known_from_below() -> None:
    result = table(best=toy(-4.0, bound="lower", room=0.5, raised=0.25), other=toy(-5.0, room=0.25, raised=0.5))
    best, other = result.rows
    assert (result.best.name, best.log_p.value, best.apart) == ("best", pytest.approx(-3.75), pytest.approx((0.5, 0.0)))
    assert result.behind(other).difference.value == pytest.approx(0.75, abs=1e-6)
    assert result.behind(other).least == pytest.approx(0.5, abs=1e-6)
    assert best.interval == pytest.approx(
        (best.held_out.nats.interval[0] + 0.25, best.held_out.nats.interval[1] + 0.75)
    )
    assert "| best | -3.75 ± 0.02 | 0.500 ± 0.000 |" in result.markdown()


def test_a_bound_is_called_one() -> None:
    result = table(best=toy(-4.0), low=toy(-5.0, bound="lower"), none=toy(math.nan, bound="none"))
    assert [row.reported for row in result.rows] == ["exact", "lower bound", "no log p(x)"]
    said = " ".join(result.verdict())
    assert "Of low only a lower bound is known: these may be better" in said and "none (" not in said
    assert "Behind it" not in said and "Not told apart" not in said and result.behind(result["low"]).least == -math.inf
    assert result.best.name == "best"
    last = str(result).splitlines()[-1]
    assert last.split()[:6] == ["none", "–", "–", "–", "–", "–"] and last.endswith("no log p(x)")
    assert "nan" not in str(result).replace("none", "") + result.markdown()


def test_training_less_test_data() -> None:
    """As many training data as there are test data, at equal distances."""
    data = toy_data()
    row = measure("a", toy(-4.0, spread=0.0, ones=0.1), data)
    some = data.train[[0, 3, 6, 10, 13, 16, 19, 23, 26, 29]]
    found = row.held_out.overfit
    assert torch.equal(data.some_train, some) and found is not None
    assert found.value == pytest.approx(0.1 * (some.sum() - data.test.sum()).item() / 10, abs=1e-6)


def test_draws_are_measured_in_units_of_held_out_data() -> None:
    data = toy_data()
    row, same = measure("a", toy(-4.0), data), data.train[:1]  # all draws are the first training image
    assert row.roughness == pytest.approx(roughness(same, SHAPE) / roughness(data.test, SHAPE))
    assert row.distance == 0 and nearest_distance(data.test, data.train) > 0
    assert (row.num_parameters, len(row.draws)) == (7, min(16, DRAWS)) and torch.equal(row.draws[:1], same)


def test_the_table_in_text_and_for_a_page() -> None:
    result = table(a=toy(-5.0), b=toy(-4.0, bound="lower", room=0.25))
    lines = str(result).splitlines()
    order = [line.split()[0] for line in lines if line.startswith(("a ", "b "))]
    assert order == ["b", "a"] and "both sides" in next(line for line in lines if line.startswith("b "))
    page = result.markdown()
    assert "| a | a toy | it is told | exact | learn |" in page
    assert "| b | -4.00 ± 0.02 | 0.250 ± 0.000 |" in page
    assert "another seed is another model" in result.verdict()[-2]
    record = result.record()
    assert [row["name"] for row in record["rows"]] == ["a", "b"]
    assert record["rows"][0]["behind_best"] == pytest.approx(1.0)
    assert record["rows"][1]["bits_per_value"] == pytest.approx(4 / 12 / math.log(2))


def test_rows_are_chosen_by_name_and_by_the_kind_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_rows("binary", None) == [name for name, rival in RIVALS.items() if "binary" in rival.kinds]
    assert checked_rows("binary", ["made", "pixels"]) == ["pixels", "made"]
    with pytest.raises(ValueError, match=r"rows: got 'hierarchy', expected some of pixels, mixture, .* of levels data"):
        checked_rows("levels", ["made", "hierarchy"])
    with pytest.raises(ValueError, match="rows: got none"):
        checked_rows("binary", [])
    monkeypatch.setitem(registry_of_rows.RIVALS, "toy", toy(-3.0))
    result = compare_rivals(toy_data(), ["toy"], seed=4)
    assert (result.best.name, result.seed, result.num_test) == ("toy", 4, 10)


def test_without_a_library_its_rows_are_left_out_or_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RIVALS, "made", RIVALS["made"]._replace(needs="no_such_library"))
    assert "made" not in checked_rows("binary", None)
    with pytest.raises(ImportError, match=r"rows: made: made of no_such_library, which is not installed; try pip"):
        checked_rows("binary", ["pixels", "made"])
    monkeypatch.setattr("elbowroom.rivals.table.measure", lambda name, rival, data, seed: name)
    table = compare_rivals(digits("binary", 4))
    assert table.left_out == ("made",) and "made" not in table.rows
    assert "Left out, for no_such_library is not installed" in table._missing()[0]


def test_the_embedded_digits_as_zeros_and_ones_and_as_levels() -> None:
    binary, grey = digits("binary"), digits("levels", limit=9)
    assert (binary.kind, binary.levels, binary.test.shape) == ("binary", 2, (360, 64))
    assert (grey.kind, grey.levels, grey.test.shape, grey.some_train.shape) == ("levels", 17, (9, 64), (9, 64))
    assert torch.equal((grey.train > 8).float(), binary.train)
    with pytest.raises(ValueError, match="kind: got 'grey', expected 'binary' or 'levels'"):
        digits("grey")
    with pytest.raises(ValueError, match="limit: got 1"):
        digits(limit=1)
