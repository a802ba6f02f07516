"""Conditions such as `gap > 5` on what an audit found: for continuous integration."""

import operator
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from elbowroom.inference.audit.number_names import NAMES
from elbowroom.inference.audit.result import Number

_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq}
_TERM = re.compile(
    r"\s*([a-z_][a-z0-9_]*)\s*(>=|<=|==|>|<)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)\s*", re.IGNORECASE
)


def failed(condition: str, numbers: Mapping[str, Number]) -> tuple[str, ...]:
    """The parts of a condition that are true, each with its number; none: the condition does not hold.

    The value is compared, not the interval; a value that is not a number fails.

    Raises:
        ValueError: if the condition cannot be read, or names a number that the audit does not have.
    """
    holding = []
    for name, sign, limit in terms(condition):
        if name not in numbers:
            raise ValueError(
                f"fail_if: this audit has no number {name!r}, which these programs or the budget did not allow"
                f"{_meant(name, numbers)}; it has {', '.join(sorted(numbers))}"
            )
        number = numbers[name]
        if number.value != number.value or _OPERATORS[sign](number.value, limit):
            holding.append(f"{name} = {number.value:.4g} ({number.low:.4g} to {number.high:.4g}) {sign} {limit:g}")
    return tuple(holding)


def check_condition(condition: str) -> None:
    """Refuse, before an audit, a condition that cannot hold of any.

    Raises:
        ValueError: if it cannot be read, or names a number that no audit has.
    """
    for name, _, _ in terms(condition):
        if name not in NAMES:
            known = _meant(name, NAMES) or f"; there are {', '.join(NAMES)}"
            raise ValueError(f"fail_if: no audit has a number {name!r}{known}")


def terms(condition: str) -> list[tuple[str, str, float]]:
    """A condition read: `name operator number`, or several of them joined by `or`.

    Raises:
        ValueError: if it cannot be read.
    """
    conditions = []
    for part in re.split(r"\s+or\s+", condition.strip()):
        read = _TERM.fullmatch(part)
        if read is None:
            raise ValueError(
                f"fail_if: cannot read {part!r}; expected 'name > number', several joined by 'or', such as "
                "'gap > 5 or missed_modes > 0'"
            )
        name, sign, limit = read.groups()
        conditions.append((name, sign, float(limit)))
    return conditions


def _meant(name: str, names: Collection[str]) -> str:
    near = get_close_matches(name.lower(), names, n=1)
    return f"; did you mean {near[0]}?" if near and near[0] != name else ""
