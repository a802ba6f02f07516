"""The JSON of an audit: documented, strict, complete, and the numbers of the audit itself."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from elbowroom.inference.audit import Audit
from elbowroom.report.archives.audit_json import SCHEMA, audit_record, save_audit_json
from elbowroom.report.records.audit_means import means, representative, share
from toys.audit_results import AUDITS, EXPLODED, HOSTILE, bad_audit, every_audit, good_audit, short_audit, tabular_audit
from toys.strict_json import read_json


@every_audit
def test_every_key_and_variable_is_documented(kind: str) -> None:
    words = set(re.findall(r"\w+", audit_record.__doc__ or ""))
    record = audit_record(AUDITS[kind]())
    assert set(record) <= words and record["schema"] == SCHEMA
    for name, group in record["groups"].items():
        assert name in words and set(group) == {"coords", "attrs", "variables"}
        assert set(group["variables"]) <= words, set(group["variables"]) - words
        for variable in group["variables"].values():
            assert set(variable) == {"dims", "unit", "about", "values"}
    for finding in record["verdict"]:
        assert set(finding) <= words
    for number in record["numbers"].values():
        assert set(number) <= words


@every_audit
def test_the_file_is_strict_json_with_the_record_in_it(kind: str, tmp_path: Path) -> None:
    path = save_audit_json(AUDITS[kind](), tmp_path / "deep" / "audit.json")
    assert read_json(path) == audit_record(AUDITS[kind]())


def test_numbers_are_those_of_the_audit_on_the_rows_that_were_examined() -> None:
    audit = bad_audit()
    found = audit.decomposition
    assert found is not None and audit.agreement is not None
    groups = audit_record(audit)["groups"]
    rows = audit.rows["decomposition"]
    told = groups["decomposition"]["variables"]
    assert told["approximation"]["values"][: len(rows)] == found.approximation.value.tolist()
    assert told["approximation"]["values"][len(rows) :] == [None] * (audit.num_data - len(rows))
    assert told["examined"]["values"] == [b in rows for b in range(audit.num_data)]
    rungs = groups["decomposition"]["coords"]["rung"]
    assert [row[rungs.index("mixture")] for row in told["ladder"]["values"][: len(rows)]] == found.ladder[
        "mixture"
    ].value.tolist()
    assert told["gain"]["values"][0][0] is None  # the first rung gained nothing
    uses = groups["agreement"]["coords"]["use"]
    fit = groups["agreement"]["variables"]["fit_for"]["values"]
    assert [row[uses.index("tails")] for row in fit[:30]] == audit.agreement.uses["tails"].double().tolist()
    assert fit[30] == [None] * 4
    assert groups["agreement"]["coords"]["latent"][1] == HOSTILE
    assert told["flag"]["values"][EXPLODED].startswith("the encoder's output")


def test_what_is_not_finite_is_null() -> None:
    record = audit_record(bad_audit())
    told = record["groups"]["decomposition"]["variables"]
    elbo = [row[0] for row in told["ladder"]["values"]]
    assert elbo[8] is None and elbo[EXPLODED] == -4.1e17  # minus infinity; huge, and kept
    assert record["numbers"]["log p"]["low"] is None and record["numbers"]["log p"]["high"] == -22.8


def test_both_means_are_told_where_data_were_left_out() -> None:
    audit = bad_audit()
    found = audit.decomposition
    assert found is not None
    means = audit_record(audit)["groups"]["means"]
    rung = means["coords"]["term"].index("ELBO, mean-field")
    variables = {name: variable["values"][rung] for name, variable in means["variables"].items()}
    values = found.ladder["mean-field"].value
    kept = values[found.usable]
    assert len(kept) == 48 and variables["num_data"] == 48 and variables["num_all"] == 50
    assert variables["value"] == pytest.approx(kept.mean().item(), abs=1e-12)
    assert variables["with_all"] == pytest.approx(values.mean().item(), abs=1e-12)
    assert variables["over_data"] == pytest.approx((kept.std() / 48**0.5).item(), abs=1e-12)
    stderr = found.ladder["mean-field"].stderr[found.usable]
    assert variables["stderr"] == pytest.approx((stderr.square().sum().sqrt() / 48).item(), abs=1e-12)
    terms = dict(zip(means["coords"]["term"], means["variables"]["with_all"]["values"], strict=True))
    assert terms["room"] is None  # infinite with the exploded data


def test_means_and_shares_are_over_the_random_sample() -> None:
    audit = tabular_audit()
    found, close = audit.decomposition, audit.agreement
    assert found is not None and close is not None
    sample = [place for place, row in enumerate(audit.rows["decomposition"]) if row in audit.rows["random"]]
    mean = means(audit)["room"]
    assert (mean.num_data, mean.num_all) == (15, 15)
    assert mean.value == pytest.approx(found.room().value[sample].mean().item(), abs=1e-12)
    told = audit_record(audit)["groups"]
    room = told["decomposition"]["variables"]["room"]["values"]
    assert mean.value == pytest.approx(sum(room[5:20]) / 15, abs=1e-12)  # by index of the datum
    tails = close.uses["tails"].clone()
    tails[sample[:3]] = False
    assert share(replace(close, uses={"tails": tails}), "tails", sample) == 12 / 15
    assert representative(replace(audit, rows={}), "agreement") == list(range(25))


def test_parts_that_did_not_run_have_no_group() -> None:
    assert list(audit_record(short_audit())["groups"]) == ["log_evidence"]


def test_a_part_without_rows_speaks_of_all_data() -> None:
    audit: Audit = good_audit()
    fields = {name: getattr(audit, name) for name in audit.__dataclass_fields__} | {"rows": {}}
    told = audit_record(Audit(**fields))["groups"]["decomposition"]["variables"]
    assert all(told["examined"]["values"]) and audit.decomposition is not None
    assert torch.tensor(told["room"]["values"]).equal(audit.decomposition.room().value)
