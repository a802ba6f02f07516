"""A run directory of somebody else's: what was changed is told, what lies beside is left alone, links lead nowhere."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from elbowroom.inference.training import CheckpointError, fit, load_checkpoint
from elbowroom.inference.training.checkpoint import write_checkpoint
from toys.forged import resealed
from toys.training import equal, make_data, make_pair, values


def train(run: Path, num_epochs: int = 3, **options: Any) -> list[torch.Tensor]:
    model, guide = make_pair()
    chosen = {"num_epochs": num_epochs, "schedule": "constant", "progress": False} | options
    fit(model, guide, make_data(), run_dir=run, **chosen)
    return values(model, guide)


def rows(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


@pytest.mark.parametrize(("old", "new"), [('"learning_rate": 0.01', '"learning_rate": 0.02'), ("toy", "joy")])
def test_a_changed_config_is_told(tmp_path: Path, old: str, new: str) -> None:
    """Also in what is the user's own, and where the call that resumes says the same as the changed file."""
    train(tmp_path, config={"data": "toy"}, learning_rate=0.01)
    file = tmp_path / "config.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    said = {"config": {"data": new if old == "toy" else "toy"}, "learning_rate": 0.01 if old == "toy" else 0.02}
    with pytest.raises(CheckpointError, match=r"config\.json is missing or damaged: .*sha256 differs"):
        train(tmp_path, 5, resume=True, **said)


@pytest.mark.parametrize("epochs", [2, 4])
def test_a_changed_number_of_epochs_is_told(tmp_path: Path, epochs: int) -> None:
    """More epochs are an extension, which is noted, whatever config.json says; fewer are a damage."""
    train(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"num_epochs": 3', f'"num_epochs": {epochs}'))
    with pytest.raises(CheckpointError, match=r"config\.json is missing or damaged: .*trained for 3 epochs"):
        train(tmp_path, resume=True)
    if epochs == 4:
        train(tmp_path, 4, resume=True)
        assert rows(tmp_path)[3]["notes"] == ["extended from 3 to 4 epochs"]


@pytest.mark.parametrize("where", [10, -10])
def test_a_changed_digit_of_the_metrics_is_told(tmp_path: Path, where: int) -> None:
    train(tmp_path)
    file = tmp_path / "metrics.jsonl"
    content = bytearray(file.read_bytes())
    content[where] = ord("7") if content[where] != ord("7") else ord("8")
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is missing or damaged: its sha256"):
        train(tmp_path, 5, resume=True)


def test_metrics_of_a_run_that_was_cut_and_went_on_are_known_again(tmp_path: Path) -> None:
    """Lines after the checkpoint are dropped, whatever they hold, and the next checkpoint knows the new ones."""
    whole = train(tmp_path / "whole", 7)
    train(tmp_path / "run")
    with open(tmp_path / "run" / "metrics.jsonl", "ab") as file:
        file.write(b'{"epoch": 4, \xff')
    train(tmp_path / "run", 5, resume=True)
    assert equal(whole, train(tmp_path / "run", 7, resume=True))
    found = [{k: v for k, v in row.items() if k != "notes"} for row in rows(tmp_path / "run")]
    assert found == rows(tmp_path / "whole")


@pytest.mark.parametrize("kind", [os.symlink, os.link])
def test_what_the_metrics_are_a_link_to_stays_as_it_is(tmp_path: Path, kind: Any) -> None:
    train(tmp_path / "run")
    file, victim = tmp_path / "run" / "metrics.jsonl", tmp_path / "precious"
    victim.write_bytes(file.read_bytes() + b"precious\n" * 50)
    before = victim.read_bytes()
    file.unlink()
    kind(victim, file)
    train(tmp_path / "run", 4, resume=True)
    assert victim.read_bytes() == before and len(rows(tmp_path / "run")) == 4 and not file.is_symlink()


def test_a_run_that_has_not_begun_writes_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("metrics.jsonl", "config.json"):
        (tmp_path / "run" / name).symlink_to(tmp_path / "nowhere")
    train(tmp_path / "run", resume=True)
    assert not (tmp_path / "nowhere").exists() and len(rows(tmp_path / "run")) == 3


def test_temporary_files_of_a_foreseen_name_are_not_followed(tmp_path: Path) -> None:
    train(tmp_path / "run")
    (tmp_path / "precious").write_text("mine")
    for name in ("last.json", "config.json", "metrics.jsonl"):
        (tmp_path / "run" / f".{name}.tmp").symlink_to(tmp_path / "precious")
    train(tmp_path / "run", 4, resume=True)
    assert (tmp_path / "precious").read_text() == "mine"


def test_resuming_removes_its_own_checkpoints_alone(tmp_path: Path) -> None:
    train(tmp_path)
    place = tmp_path / "checkpoints"
    (step,) = place.iterdir()
    own = ["step-000000001", f".step-000000001.{'0' * 16}.tmp", ".step-000000001.tmp"]
    others = ["my-backup", "step-000000006-copy", "before-step-1", ".hidden", "step-one"]
    for name in (*own, *others):
        shutil.copytree(step, place / name)
    (place / "notes.txt").write_text("mine")
    (place / "step-000000002").symlink_to(place / "my-backup")
    train(tmp_path, 4, resume=True)
    kept = {path.name for path in place.iterdir()}
    assert kept >= {*others, "notes.txt"} and not kept & {*own, step.name}
    assert sorted((place / "my-backup").iterdir())


def test_nothing_is_removed_or_written_through_linked_checkpoints(tmp_path: Path) -> None:
    train(tmp_path / "run")
    (tmp_path / "run" / "checkpoints").rename(tmp_path / "elsewhere")
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "elsewhere")
    shutil.copytree(next((tmp_path / "elsewhere").iterdir()), tmp_path / "elsewhere" / "step-000000001")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    with pytest.raises(CheckpointError, match=r"checkpoints is a link to .*not followed for writing"):
        train(tmp_path / "run", 4, resume=True)
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before
    load_checkpoint(tmp_path / "run", *make_pair())  # to read it is another matter


def test_a_checkpoint_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "step-1").symlink_to(tmp_path / "precious")
    path = write_checkpoint(tmp_path / "run", "step-1", {"parameters": {"a": torch.zeros(2)}}, {})
    assert not path.is_symlink() and not any((tmp_path / "precious").iterdir())


@pytest.mark.parametrize("group", ["parameters", "optimiser"])
def test_tensors_of_other_shapes_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    """All digests fit: the headers alone tell that these are not the tensors of this run."""
    train(tmp_path)
    place = next((tmp_path / "checkpoints").iterdir())
    header = json.dumps({"guide.network.weight": {"dtype": "F32", "shape": [2**20], "data_offsets": [0, 2**22]}})
    with open(place / f"{group}.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + 2**22)
    resealed(tmp_path)
    monkeypatch.setattr(safetensors.torch, "load", lambda content: pytest.fail("tensors were read"))
    with pytest.raises(CheckpointError, match=rf"{group}\.safetensors is missing or damaged: it.* (tensors|larger)"):
        train(tmp_path, 4, resume=True)
    if group == "parameters":
        with pytest.raises(ValueError, match="not the ones that were saved"):
            load_checkpoint(tmp_path, *make_pair())


@pytest.mark.parametrize(
    "other",
    [{"epoch": []}, {"step": -1}, {"metrics_bytes": "501"}, {"loss_sum": "x"}, {"notes": [1]}, {"best_epoch": "1"}],
)
def test_progress_of_other_types_is_named(tmp_path: Path, other: dict[str, Any]) -> None:
    train(tmp_path)
    resealed(tmp_path, progress=lambda old: old.update(other))
    with pytest.raises(CheckpointError, match=r"progress\.json is missing or damaged: it does not say where"):
        train(tmp_path, 4, resume=True)
    with pytest.raises(CheckpointError, match=r"progress\.json is missing or damaged: it does not say where"):
        load_checkpoint(tmp_path, *make_pair())


@pytest.mark.parametrize("name", ["last.json", "config.json", "metrics.jsonl"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"5", b'"x"', b"\xff\xfe{}", b'{"a": NaN}', b""])
def test_json_of_other_kinds_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    train(tmp_path)
    (tmp_path / name).write_bytes(content.ljust((tmp_path / name).stat().st_size))
    with pytest.raises(CheckpointError, match=rf"{name} is missing or damaged"):
        train(tmp_path, 4, resume=True)


@pytest.mark.parametrize(
    "name", ["last.json", "metrics.jsonl", "config.json", "manifest.json", "parameters.safetensors"]
)
def test_pipes_and_huge_files_are_not_waited_for(tmp_path: Path, name: str) -> None:
    train(tmp_path)
    place = tmp_path if (tmp_path / name).exists() else next((tmp_path / "checkpoints").iterdir())
    (place / name).unlink()
    os.mkfifo(place / name)
    with pytest.raises(CheckpointError, match=rf"{name} is missing or damaged: it (is no regular file|has 0 bytes)"):
        train(tmp_path, 4, resume=True)
    if name != "metrics.jsonl":
        (place / name).unlink()
        with open(place / name, "wb") as file:
            file.truncate(2**42)
        with pytest.raises(CheckpointError, match=rf"{name} is missing or damaged: it has 4,398,046,511,104 bytes"):
            train(tmp_path, 4, resume=True)
