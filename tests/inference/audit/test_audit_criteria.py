"""Conditions for continuous integration: what can be read, what holds, what is refused."""

import ast
import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbowroom.inference.audit import Number, check_condition, failed, numbers, terms, wiring_numbers
from elbowroom.inference.audit.number_names import NAMES

NUMBERS = {
    "gap": Number(5.0, 4.5, 5.5, "nats", "room"),
    "use_means": Number(0.8, 0.7, 0.9, "share", "means"),
    "missed_mass": Number(math.nan, 0.0, 1.0, "share", "unknown"),
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("gap > 4.99", True), ("gap > 5", False), ("gap >= 5", True), ("gap < 5", False), ("gap <= 5.0", True),
        ("gap == 5", True), ("gap == 5.1", False), ("gap>-1e2", True), ("  gap\t<  .5e1 ", False), ("gap < +6", True),
        ("use_means < 0.9", True), ("gap > 9 or use_means < 0.9", True),
    ],
)  # fmt: skip
def test_the_value_is_compared(condition: str, holds: bool) -> None:
    assert bool(failed(condition, NUMBERS)) == holds


def test_what_holds_is_told_with_its_numbers() -> None:
    told = failed("gap > 1 or use_means > 0.9 or use_means < 1", NUMBERS)
    assert told == ("gap = 5 (4.5 to 5.5) > 1", "use_means = 0.8 (0.7 to 0.9) < 1")


def test_a_value_that_is_not_a_number_fails() -> None:
    assert len(failed("missed_mass > 2", NUMBERS)) == len(failed("missed_mass < -2", NUMBERS)) == 1


def test_a_name_that_no_audit_has_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ValueError, match=r"no audit has a number 'gapp'; did you mean gap\?"):
        check_condition("gap > 9 or gapp > 1")
    with pytest.raises(ValueError, match="'qqqq'; there are elbo, log_p, gap, "):
        check_condition("qqqq > 1")


def test_a_number_that_this_audit_does_not_have_is_told_with_those_that_it_has() -> None:
    with pytest.raises(ValueError, match=r"no number 'rhat', .* it has gap, missed_mass, use_means"):
        failed("gap > 9 or rhat > 1", NUMBERS)


def test_every_key_where_numbers_are_made_is_among_the_names() -> None:
    made = set()
    for module in (numbers, wiring_numbers):
        for function in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(function, ast.Dict):
                made |= {key.value for key in function.keys if isinstance(key, ast.Constant)}
            if isinstance(function, ast.Subscript) and ast.unparse(function.value) == "numbers":
                made |= {function.slice.value} if isinstance(function.slice, ast.Constant) else set()
    parts_of_results = {"model", "one_sided"}
    assert {"gap", "rate", "pruned", "codes_at"} <= made and made - set(NAMES) - parts_of_results == set()
    assert len(set(NAMES)) == len(NAMES)
    assert {"gain_mean_field", "gain_full_covariance", "gain_flow", "use_model_comparison"} <= set(NAMES)


@pytest.mark.parametrize(
    "condition",
    ["", "gap", "gap >", "> 5", "gap > five", "gap => 5", "gap = 5", "5 < gap", "gap > 5 and gap < 9", "gap > 5 or",
     "or gap > 5", "gap > 5 gap > 6", "gap > 5e", "gap > nan", "__import__('os') > 1", "gap > 1; gap > 2",
     "gap > 9 OR gap < 1"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="fail_if"):
        terms(condition)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "or"),
            st.sampled_from([">", ">=", "<", "<=", "=="]),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_is_read(wanted: list[tuple[str, str, float]]) -> None:
    assert terms(" or ".join(f"{name} {sign} {limit!r}" for name, sign, limit in wanted)) == wanted
