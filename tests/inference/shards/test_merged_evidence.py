"""What audit and versus make of evidence that shards have."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom.inference import Merged, Target, audit_target, importance, merge_shards, read_shards, versus
from toys.programs import normal_guide, normal_model
from toys.shard_worker import OPTIONS, share, target_of


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Merged:
    place = tmp_path_factory.mktemp("shards")
    share(str(place), 8)
    return read_shards(merge_shards(place))


def test_data_are_found_by_their_contents(merged: Merged) -> None:
    target, order = target_of(), [17, 2, 9, 29, 6]
    found = merged.of(target.select(order))
    assert torch.equal(found.value, merged["importance"].value[order])
    assert torch.equal(found.info["pareto_k"], merged["importance"].info["pareto_k"][order])
    assert found.flags == tuple(merged["importance"].flags[b] for b in order)
    assert found.info["num_samples"] == OPTIONS["num_samples"]


def test_other_data_and_other_programs_are_refused(merged: Merged) -> None:
    target = target_of()
    with pytest.raises(ValueError, match="1 of its 3 data are not among these 30, such as datum 2"):
        merged.of(Target(normal_model, normal_guide(0.9), torch.stack([*target.data[0][:2], torch.tensor(9.0)])))
    with pytest.raises(ValueError, match="its programs are not those that were evaluated"):
        merged.of(Target(normal_model, normal_guide(0.8), target.data[0]))
    with pytest.raises(KeyError, match="importance"):
        merged.of(target, "bracket")


def test_an_audit_takes_them_for_its_own(merged: Merged, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("all data were weighed again")

    monkeypatch.setattr(import_module("elbowroom.inference.audit.audit"), "importance", asked)
    target = target_of().select(range(8))
    evidence = merged.of(target)
    found = audit_target(target, budget="2e4 evaluations", num_simulations=0, evidence=evidence)
    assert torch.equal(found.sampled.value, evidence.value) and found.sampled.info["num_samples"] == 50
    with pytest.raises(ValueError, match=r"evidence: got an estimate of 30 data, expected .* these 8 data"):
        audit_target(target, evidence=merged["importance"])
    with pytest.raises(ValueError, match=r"evidence: its info lacks \["):
        audit_target(target, evidence=type(evidence)(evidence.value, evidence.stderr, "lower"))


def test_versus_takes_them_for_its_first_estimates(
    merged: Merged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = target_of(), Target(normal_model, normal_guide(0.7), target_of().data[0])
    evidence = merged.of(a), importance(b, seed=3, **OPTIONS)

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("data were weighed again")

    monkeypatch.setattr("elbowroom.inference.two_models.contender.importance", asked)
    found = versus(a, b, budget="3e5 evaluations", evidence=evidence, tolerance=0.5)
    assert torch.equal(found.elbos[0].value, evidence[0].info["elbo"][found.data])
    assert torch.equal(found.elbos[1].value, evidence[1].info["elbo"][found.data])
