"""The audit in a terminal: verdict last, means with errors, the worst data with their reasons."""

from dataclasses import replace

import pytest
from rich.cells import cell_len

from elbowroom.report.records.audit_means import means
from elbowroom.report.records.words import amount
from elbowroom.report.tables.audit import audit_table
from toys.audit_results import bad_audit, good_audit, short_audit, tabular_audit


def test_the_verdict_comes_last_with_its_tone_and_the_sentences_before_it() -> None:
    audit = bad_audit()
    lines = audit_table(audit, width=200).splitlines()
    marks = {"good": "✓", "note": "·", "warning": "!", "bad": "✗"}
    sentence, *rest = audit.brief.lines
    assert len(rest) == 3 and lines[-4:] == [f"✗ {sentence}", *(f"  {line}" for line in rest)]
    expected = [f"{marks[finding.tone]} {finding.sentence}" for finding in audit.findings]
    assert [line for line in lines[:-4] if line in expected] == expected
    assert lines.index("  Intervals: Monte Carlo") == lines.index(expected[0]) + 1


def test_the_ladder_has_every_mean_with_its_error_and_both_means() -> None:
    found = bad_audit().decomposition
    assert found is not None
    text = audit_table(bad_audit())
    for name, mean in means(bad_audit()).items():
        assert amount(mean.value, mean.stderr, signed=name.startswith("gain")) in text
        if not name.startswith("gain"):
            assert amount(mean.with_all) in text
    assert "mean-field (the guide's family)" in text and "2 data left out of means" in text
    assert "mean of all data" not in audit_table(good_audit())


def test_the_worst_data_come_with_reasons() -> None:
    text = audit_table(bad_audit(), most=3)
    body = text.split("Worst 3 of 60")[1].splitlines()
    assert [line.split()[0] for line in body[4:7]] == ["8", "5", "34"]
    assert "! datum 8: the encoder's output is not a number" in text
    assert "Good for: those of means, intervals, tails, model comparison." in text
    assert body[4].endswith("means, intervals") and body[5].endswith("✓ all")
    assert "Worst" not in audit_table(bad_audit(), most=0)
    with pytest.raises(ValueError, match=r"most must be an integer from 0 .* got -1"):
        audit_table(bad_audit(), most=-1)


def test_missing_parts_are_said_and_their_columns_left_out() -> None:
    text = audit_table(short_audit())
    assert "The room was not taken apart: the budget did not allow it" in text
    header = next(line for line in text.splitlines() if line.split()[:1] == ["datum"])
    assert header.split() == ["datum", "log", "p(x)"]
    assert audit_table(replace(short_audit(), numbers={}, findings=(), cost={}))


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_into_the_terminal(width: int) -> None:
    for audit in (bad_audit(), tabular_audit()):
        lines = audit_table(audit, width=width).splitlines()
        assert max(map(cell_len, lines)) <= width
