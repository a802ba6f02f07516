"""Where the numbers of an audit come from, as pairs of words: data, model, guide, weights, and the call itself."""

from collections.abc import Mapping
from typing import Any

from elbowroom.inference.audit import Audit
from elbowroom.report.records.words import seconds_text

Pairs = list[tuple[str, str]]

_DIGITS = 6  # of a number that nobody chose to round


def origins(audit: Audit) -> list[tuple[str, Pairs]]:
    """(heading, pairs) of each part that the audit is about, in its order, and of the call."""
    parts = [(part, _pairs(names)) for part, names in audit.about.items() if names]
    return [*parts, ("call", _pairs(audit.provenance))]


def _pairs(names: Mapping[str, Any]) -> Pairs:
    return [(name, _said(name, value)) for name, value in names.items()]


def _said(name: str, value: Any) -> str:
    """A value as people write it: a duration, a number without the noise of its last digits."""
    if isinstance(value, float):
        return seconds_text(value) if name == "seconds" else f"{value:.{_DIGITS}g}"
    return "–" if value in (None, "") else str(value)
