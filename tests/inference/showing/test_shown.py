"""Every result prints as a short table, whatever its size and whatever its sites are called."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom import inference
from elbowroom.inference import (
    EncoderOverfitting,
    Estimate,
    Fit,
    Target,
    bounds,
    check_program,
    importance,
    merge_shards,
    read_shards,
    shard,
    shard_cost,
)
from elbowroom.inference.showing.shown import Shown
from toys.audit_results import HOSTILE, bad_audit, good_audit, short_audit
from toys.estimators import Pixels, stand_in
from toys.programs import data, normal_guide, normal_model
from toys.shown import Page, check_shown, shown_parts

MANY = 1000


def test_every_public_result_is_shown() -> None:
    kinds = {kind for name in inference.__all__ if isinstance(kind := getattr(inference, name), type)}
    settings = {inference.Gates, inference.Evaluations, inference.Bits}
    results = {kind for kind in kinds if not issubclass(kind, BaseException)} - settings
    assert {kind for kind in results if not issubclass(kind, Shown)} == set()
    generated = {kind for kind in results if dataclasses.is_dataclass(kind) and "__repr__" in vars(kind)}
    assert generated == set(), "declare them with @dataclass(repr=False)"


@pytest.mark.parametrize("audit", [good_audit, bad_audit])
def test_an_audit_of_many_data_and_all_its_parts(audit: Any) -> None:
    found = audit(MANY)
    parts = list(shown_parts(found))
    assert len({type(part) for part in parts}) >= 10
    for part in parts:
        check_shown(part)
    assert any(len(part) == MANY for part in parts if isinstance(part, Estimate))
    assert str(found).startswith(found.brief.sentence[:60]) and " more " in str(found)


def test_a_hostile_name_is_text() -> None:
    found = bad_audit(60)
    assert found.latent_use is not None
    assert HOSTILE in Page(found.latent_use._repr_html_()).text
    check_shown(found.latent_use)


def test_an_audit_that_was_cut_short() -> None:
    for part in shown_parts(short_audit()):
        check_shown(part)


def test_results_of_many_data() -> None:
    target = Pixels().target().select([0, 3] * (MANY // 2))
    draws = stand_in(target)
    for result in (target, draws, draws.convergence, importance(target, num_samples=20, search=False)):
        check_shown(result)
        assert "1000 data" in repr(result)
    assert f"{MANY} of {MANY} data did not pass" in str(draws) or "all passed" in str(draws)
    check_shown(bounds(target, num_samples=20, search=False))


def test_shards(tmp_path: Path) -> None:
    options: dict[str, Any] = {"batch": 2, "options": {"num_samples": 20, "search": False}}
    target = Pixels().target()
    standing = shard(target, output=tmp_path, chunk=2, progress=False, **options)
    cost = shard_cost(target, chunk=2, **options)
    failed = dict.fromkeys(range(MANY), ("ValueError: no number",) * 3)
    for result in (standing, replace(standing, failed=failed), cost, read_shards(merge_shards(tmp_path))):
        check_shown(result)


def test_flagged_data_come_first_with_their_reasons() -> None:
    value = torch.arange(MANY, dtype=torch.float64)
    flags = ["", *["heavy tail: k-hat 0.9"] * 2, *[""] * (MANY - 3)]
    estimate = Estimate(value, torch.full_like(value, 0.1), "lower", {}, tuple(flags))
    lines = str(estimate).splitlines()
    assert lines[0].startswith("a lower bound in expectation, 1000 data: mean 499.5000 ± 0.0032 nats")
    assert lines[1] == "2 of 1000 data flagged: not to be trusted as they are"
    assert [line.split()[0] for line in lines[4:7]] == ["1", "2", "0"]
    assert lines[4].endswith("heavy tail: k-hat 0.9")
    assert repr(estimate) == f"<Estimate: {lines[0]}>"


def test_one_datum_with_many_latents() -> None:
    draws = stand_in(Pixels(num_latents=50).target().select([2]))
    check_shown(draws)
    assert str(draws).splitlines()[-1].endswith("more latents")


def test_what_target_says() -> None:
    target = Target(normal_model, normal_guide(0.9), data(5))
    assert str(target).splitlines() == [
        "5 data (plate 'data'), 1 latents of each",
        "samples run as model: plate, guide: plate",
        "observed: x",
        "latent  shape  support",
        "z       ()     real",
    ]
    check_shown(check_program(normal_model, normal_guide(0.9), data(5)))


def test_training_and_overfitting() -> None:
    epoch = {"epoch": 1, "step": 10, "beta": 1.0, "learning_rate": 1e-3, "train_loss": 5.25, "seconds": 0.1}
    told = {**epoch, "elbo": -5.0, "elbo_stderr": 0.1, "notes": ["a note"]}
    run = Fit([{**(told if i % 2 else epoch), "epoch": i + 1} for i in range(500)], 2, -5.0, 5000, 1.5, Path("run"))
    check_shown(run)
    assert str(run).splitlines()[4].split()[:4] == ["500", "10", "5.25", "-5.00"]
    check_shown(replace(run, history=[]))
    overfitting = EncoderOverfitting(1.0, 1.4, 0.4, 0.1, (0.2, 0.6), 100, 50)
    check_shown(overfitting)
    assert "The encoder overfits" in str(overfitting)
