"""The first screen, and all sentences of the verdict below it, grouped by what they answer."""

from collections.abc import Mapping
from typing import Any

from elbowroom.inference.audit import Audit, Finding, Headline
from elbowroom.report.page.chart_brief import brief_chart
from elbowroom.report.records.words import interval_text, kinds_of, value_text

_MOST_LINKS = 12  # data named below a sentence
TONES = {"good": ("✓", "Good"), "note": ("i", "Note"), "warning": ("!", "Warning"), "bad": ("✗", "Bad")}
_ORDER = tuple(TONES)  # the worse the later
_TITLES = {
    "verdict": "In short",
    "room": "How much room",
    "worth": "Is it good",
    "source": "Whose it is",
    "worst": "Single data",
    "next": "What next",
    "use": "What q may be used for",
    "calibration": "Calibration",
    "latents": "The latents",
    "caution": "What to be careful about",
}
_ABOUT = {"ELBO": ("the bound", "bound"), "log p(x)": ("what it bounds", "exact"), "room": ("between them", "room")}


def brief_section(audit: Audit) -> dict[str, Any]:
    """The verdict at a glance."""
    brief = audit.brief
    mark, word = TONES[brief.tone]
    bits = audit.about.get("bits per dimension", {})
    return {
        "sentence": brief.sentence, "tone": brief.tone, "mark": mark, "word": word, "whose": brief.whose,
        "next_step": brief.next_step, "worth": brief.worth, "chart": brief_chart(audit),
        "numbers": [_three(number, bits) for number in brief.numbers],
    }  # fmt: skip


def _three(number: Headline, bits: Mapping[str, str]) -> tuple[Headline, str, str, str]:
    """A number, what it is in two words, whose colour it bears, and bits per dimension where those were asked for."""
    in_bits, _, _ = bits.get(number.label, "").partition(" (")  # its interval is among the origins
    return (number, *_ABOUT[number.label], in_bits)


def finding_groups(audit: Audit, shown: set[int]) -> list[dict[str, Any]]:
    """Sentences by topic, in their order; those with a warning are open.

    Args:
        audit: whose findings.
        shown: data that have a row in the table, to link to.
    """
    topics = list(dict.fromkeys(finding.topic for finding in audit.findings))
    groups = []
    for topic in topics:
        findings = [finding for finding in audit.findings if finding.topic == topic]
        tone = max((finding.tone for finding in findings), key=_ORDER.index)
        mark, word = TONES[tone]
        groups.append({
            "title": _TITLES[topic], "tone": tone, "mark": mark, "word": word, "open": tone in ("warning", "bad"),
            "findings": [_finding(finding, audit, shown) for finding in findings],
        })  # fmt: skip
    return groups


def _finding(finding: Finding, audit: Audit, shown: set[int]) -> dict[str, Any]:
    order = {name: i for i, name in enumerate(audit.numbers)}
    rests = [
        (order[name], name, value_text(audit.numbers[name]), interval_text(audit.numbers[name]))
        for name in finding.numbers
        if name in order
    ]
    return {
        "sentence": finding.sentence, "tone": finding.tone, "word": TONES[finding.tone][1], "rests": rests,
        "kinds": kinds_of(finding, audit.numbers),
        "data": [(b, b in shown) for b in finding.data[:_MOST_LINKS]], "more": max(0, len(finding.data) - _MOST_LINKS),
    }  # fmt: skip
