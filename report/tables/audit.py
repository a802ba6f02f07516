"""An audit in the terminal: the ladder with its means, the worst data, every sentence, and the verdict last."""

import math

from elbowroom.entrances import checked
from elbowroom.inference.audit import Audit
from elbowroom.report.records.audit_means import ROOM, Mean, means
from elbowroom.report.records.data_rows import DataRows, Row
from elbowroom.report.records.words import amount, count, interval_text, kinds_of, seconds_text, short, value_text
from elbowroom.report.tables.render import Part, Sheet, note, render, warning

_MARKS = {"good": ("✓", "green"), "note": ("·", ""), "warning": ("!", "yellow"), "bad": ("✗", "bold red")}


_EXPLAINED, _MOST_LETTERS = 3, 160
"""So many of the data that are shown get the reasons why q does not do for them, so long: the page has all."""


@checked
def audit_table(
    audit: Audit, *, most: int = 10, numbers: bool = False, width: int | None = None, color: bool | None = None
) -> str:
    """The ladder from ELBO to log p(x), the worst data, every sentence, and last, where a terminal stops, the verdict.

    Args:
        audit: from `audit`.
        most: so many data at most.
        numbers: also list the numbers that the verdict rests on.
        width, color: see `render`.

    Raises:
        ValueError: if `most` is out of range.
    """
    if most < 0:
        raise ValueError(f"most must not be negative, got {most}: so many data are shown")
    parts = [*_ladder(audit), *_worst(audit, most), *(_numbers(audit) if numbers else [])]
    spent = ", ".join(f"{part} {seconds_text(seconds)}" for part, seconds in audit.cost.items())
    parts += [note(f"Cost: {spent}."), note("")] if spent else []
    return render([*parts, *_findings(audit), *_brief(audit)], width=width, color=color)


def _findings(audit: Audit) -> list[Part]:
    """Every sentence; below it what its intervals are of, where that differs from the one before."""
    parts: list[Part] = []
    before = ""
    for finding in audit.findings:
        mark, style = _MARKS[finding.tone]
        kinds = kinds_of(finding, audit.numbers)
        parts.append(note(f"{mark} {finding.sentence}", style=style))
        if kinds and kinds != before:
            parts.append(note(f"  {kinds}"))
        before = kinds or before
    return [*parts, note("")]


def _brief(audit: Audit) -> list[Part]:
    """The sentence in the colour of its tone, and the three numbers, whose the room is, what next."""
    mark, style = _MARKS[audit.brief.tone]
    first, *rest = audit.brief.lines
    return [note(f"{mark} {first}", style=f"bold {style}".strip()), *(note(f"  {line}", style="") for line in rest)]


def _numbers(audit: Audit) -> list[Part]:
    if not audit.numbers:
        return []
    columns = [("number", "left"), ("value", "right"), ("95\u00a0% interval", "right"), ("of", "left")]
    columns += [("what it is", "left")]
    sheet = Sheet("What the verdict rests on", columns)
    for name, number in audit.numbers.items():
        sheet.add(name, value_text(number), interval_text(number), number.kind, number.about)
    return [sheet, note("")]


def _ladder(audit: Audit) -> list[Part]:
    """Means of each rung with what it gained, up to log p(x); both means where data are left out."""
    decomposition = audit.decomposition
    if decomposition is None:
        why = audit.skipped.get("examination", "the budget did not allow it")
        return [warning(f"! The room was not taken apart: {why}."), note("")]
    mean = means(audit)
    left_out = mean[ROOM].left_out
    columns = [("", "left"), ("mean ± error", "right"), ("gain ± error", "right"), ("over data", "right")]
    columns += [("mean of all data", "right")] if left_out else []
    sheet = Sheet(f"From the ELBO up to log p(x), {count(mean[ROOM].num_data)}, nats", columns)
    for rung in decomposition.ladder:
        gain = mean.get(f"gain, {rung}")
        mark = " (the guide's family)" if rung == decomposition.family else ""
        sheet.add(*_row(f"ELBO, {rung}{mark}", mean[f"ELBO, {rung}"], gain, bool(left_out)))
    sheet.add(*_row("log p(x)", mean["log p(x)"], None, bool(left_out)))
    sheet.add_line()
    for name, label in (
        (ROOM, "room"), ("amortization", "of it the encoder's"), ("optimisation", "of it still to be found"),
        ("approximation", "of it the family's"),
    ):  # fmt: skip
        sheet.add(*_row(label, mean[name], None, bool(left_out)))
    parts: list[Part] = [sheet, note("± error: Monte Carlo; over data: of the mean as a sample of data.")]
    if left_out:
        parts.append(warning(f"! {count(left_out)} left out of means: the encoder's output is not usable"))
    return [*parts, note("")]


def _row(label: str, mean: Mean, gain: Mean | None, everything: bool) -> list[str]:
    gained = "" if gain is None else amount(gain.value, gain.stderr, signed=True)
    over = "–" if math.isnan(mean.over_data) else f"± {short(mean.over_data, 2)}"
    return [label, amount(mean.value, mean.stderr), gained, over, *([amount(mean.with_all)] if everything else [])]


def _worst(audit: Audit, most: int) -> list[Part]:
    columns, rows = DataRows(audit).filled()
    rows = rows[:most]
    if not rows:
        return []
    used = any(row.uses for row in rows)
    header = [
        ("datum", "right"),
        *((name, "right") for _, name, _ in columns),
        *([("good for", "left")] if used else []),
    ]
    sheet = Sheet(f"Worst {len(rows)} of {audit.num_data}", header)
    reasons: list[Part] = []
    for row in rows:
        sheet.add(f"{row.datum}{' !' if row.notes else ''}", *(cell.text for cell in row.cells), *_fit(row, used))
        if row.notes and len(reasons) < _EXPLAINED:
            reasons.append(warning(f"! datum {row.datum}: {_cut(row.notes)}"))
    if (silent := sum(bool(row.notes) for row in rows) - len(reasons)) > 0:
        reasons.append(note(f"  and {silent} more; report.html and audit.json have the reasons"))
    uses = next((list(row.uses) for row in rows if row.uses), [])
    legend = "Nats ± standard error (Monte Carlo)." + (f" Good for: those of {', '.join(uses)}." if uses else "")
    return [sheet, note(legend), *reasons, note("")]


def _cut(notes: str) -> str:
    return notes if len(notes) <= _MOST_LETTERS else notes[:_MOST_LETTERS].rstrip() + " … (all of it is in report.html)"


def _fit(row: Row, used: bool) -> list[str]:
    return [" ".join(words for words, _ in row.good_for)] if used else []
