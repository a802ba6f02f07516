"""Values that are no log-likelihoods: every table, page and file of them says so, once where it is read first."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from elbowroom.inference import Comparison, Estimate
from elbowroom.inference.audit import Audit
from elbowroom.inference.audit.result import Finding
from elbowroom.inference.audit.verdict.brief import brief_of
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.report import (
    audit_datatree,
    audit_record,
    audit_table,
    bounds_table,
    bracket_table,
    comparison_record,
    comparison_table,
    evidence_table,
)
from elbowroom.report.page.document import page
from elbowroom.report.records.estimate_groups import estimates_group, evidence_group
from toys.audit_results import good_audit
from toys.report import toy

WHY = "NO LOG-LIKELIHOOD: of grey values"
TEXTS = (WHY, "")


def renamed(estimate: Estimate) -> Estimate:
    """The first datum is grey."""
    return replace(estimate, unnormalised=(WHY, *[""] * (len(estimate) - 1)))


@pytest.fixture
def comparison() -> Comparison:
    found = toy().comparison
    evidence = {name: renamed(estimate) for name, estimate in found.evidence.items()}  # type: ignore[arg-type]
    return replace(found, evidence=evidence)  # type: ignore[arg-type]


@pytest.fixture
def audit() -> Audit:
    found = good_audit()
    bracket = replace(found.bracket, lower=renamed(found.bracket.lower), upper=renamed(found.bracket.upper))
    first = Finding("verdict", "warning", f"{WHY} (1 of {len(found)} data).", (), (0,))
    findings = (first, *found.findings)
    return replace(found, bracket=bracket, findings=findings, brief=brief_of(findings, found.numbers))


def test_tables_begin_with_it(comparison: Comparison, audit: Audit) -> None:
    sampled, exact = comparison.evidence["importance"], comparison.evidence["quadrature"]
    ledger = Ledger.empty(2)
    ledger.put("quadrature", torch.arange(2), exact)
    tables = [
        bounds_table(sampled, exact),
        evidence_table(sampled, exact),
        bracket_table(read(ledger, 0.1, {}, unnormalised=TEXTS)),
        comparison_table(comparison),
        read(ledger, 0.1, {}, unnormalised=TEXTS).table(),
    ]
    for table in tables:
        assert table.count(WHY) == 1 and "(1 of 2 data)" in table, table
    for table in tables[:4]:
        assert WHY in table.splitlines()[0], table
    assert WHY in audit_table(audit).splitlines()[-4] == f"! {audit.brief.sentence}"  # the verdict stands last


def test_a_page_says_it_in_its_verdict(audit: Audit) -> None:
    text = page(audit)
    assert WHY in text and text.index(WHY) < text.index(audit.findings[1].sentence[:20])


def test_files_have_it_for_each_datum(comparison: Comparison, audit: Audit) -> None:
    rows = comparison_record(comparison)["evidence"]
    assert [row["unnormalised"] for row in rows] == list(TEXTS)
    assert evidence_group(comparison).variables["unnormalised"].values.tolist() == list(TEXTS)
    group = estimates_group({"exact": comparison.evidence["quadrature"]}, comparison.data)
    assert group.variables["exact_unnormalised"].values.tolist() == list(TEXTS)
    variable = audit_record(audit)["groups"]["log_evidence"]["variables"]["unnormalised"]
    stored = audit_datatree(audit)["log_evidence"]["unnormalised"].values
    assert variable["values"] == np.asarray(stored).tolist() == [*TEXTS, *[""] * (len(audit) - 2)]


def test_log_likelihoods_are_not_spoken_of() -> None:
    comparison = toy().comparison
    assert "unnormalised" not in evidence_group(comparison).variables
    assert "NO LOG" not in comparison_table(comparison)
    assert "unnormalised" not in audit_record(good_audit())["groups"]["log_evidence"]["variables"]
