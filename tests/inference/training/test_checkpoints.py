"""Checkpoints and run directories: whole or not there, and never trusted unchecked."""

import errno
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from torch import Tensor, nn

from elbowroom.inference.training import CheckpointError, checkpoint_reading, fit, load_checkpoint
from elbowroom.inference.training.checkpoint import write_checkpoint
from elbowroom.inference.training.checkpoint_reading import read_checkpoint
from toys.training import ToyGuide, ToyModel, equal, make_data, make_pair, values


def train(run_dir: Path, **options: Any) -> tuple[ToyModel, ToyGuide]:
    model, guide = make_pair()
    defaults: dict[str, Any] = {"validation": make_data(6, seed=2), "num_epochs": 2, "validate_every": 1}
    fit(model, guide, make_data(), run_dir=run_dir, progress=False, **defaults | options)
    return model, guide


def current(run_dir: Path) -> Path:
    return run_dir / "checkpoints" / json.loads((run_dir / "last.json").read_text())["checkpoint"]


def test_what_a_run_directory_holds(tmp_path: Path) -> None:
    train(tmp_path / "run", config={"data": "toy"}, batch_size=16)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "checkpoints",
        "config.json",
        "last.json",
        "metrics.jsonl",
    ]
    files = sorted(p.name for p in current(tmp_path / "run").iterdir())
    tensors = [f"{group}.safetensors" for group in ("best", "generator", "optimiser", "parameters")]
    assert files == sorted([*tensors, "manifest.json", "progress.json"])
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["arguments"]["batch_size"], config["arguments"]["validate_every"]) == (16, 1) and config[
        "record"
    ] == {"data": "toy"}
    assert config["parameters"]["guide.network.weight"] == {"shape": [2, 5], "dtype": "float64"}
    assert config["data"]["data"]["shapes"] == [[40, 5]] and len(config["data"]["data"]["sha256"]) == 64
    assert {"python", "torch", "pyro-ppl", "numpy", "threads", "platform", "device"} <= config["environment"].keys()
    assert os.uname().nodename not in json.dumps(config["environment"]).split('"')
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    keys = {"epoch", "step", "beta", "bound", "learning_rate", "train_loss", "gradient_norm", "seconds"}
    assert keys | {"elbo", "elbo_stderr", "reconstruction", "kl", "kl_per_dim"} == rows[0].keys()


def test_checkpoints_come_back(tmp_path: Path) -> None:
    tensors = {"parameters": {"a": torch.randn(3), "b": torch.tensor(2)}, "generator": {"cpu": torch.get_rng_state()}}
    write_checkpoint(tmp_path, "step-1", tensors, {"step": 1, "loss_sum": 0.1 + 0.2})
    write_checkpoint(tmp_path, "step-2", tensors, {"step": 2})
    found = read_checkpoint(tmp_path)
    assert found is not None and found.progress == {"step": 2}
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-2"]
    for group, expected in tensors.items():
        assert all(torch.equal(found.tensors[group][name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("parameters.safetensors", "missing"),
        ("best.safetensors", "truncated"),
        ("optimiser.safetensors", "tampered"),
        ("generator.safetensors", "missing"),
        ("progress.json", "truncated"),
        ("progress.json", "tampered"),
        ("manifest.json", "missing"),
        ("manifest.json", "truncated"),
        ("manifest.json", "tampered"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    train(tmp_path / "run")
    file = current(tmp_path / "run") / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[:-1])
    else:
        file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    model, guide = make_pair(5)
    before = values(model, guide)
    for attempt in (
        lambda: load_checkpoint(tmp_path / "run", model, guide),
        lambda: fit(model, guide, make_data(), validation=make_data(6, seed=2), num_epochs=2, validate_every=1,
                    run_dir=tmp_path / "run", resume=True, progress=False),
    ):  # fmt: skip
        with pytest.raises(CheckpointError, match=rf"{name} is missing or damaged") as caught:
            attempt()
        assert "Restore this run directory from a copy, or train again" in str(caught.value)
    assert equal(before, values(model, guide))


def test_reading_while_a_run_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint that was pointed to is replaced while it is being read: the newer one is returned."""
    write_checkpoint(tmp_path, "step-1", {"parameters": {"a": torch.zeros(3)}}, {})
    real, saves = checkpoint_reading._parsed, []

    def parse(path: Path, content: bytes) -> Any:
        if path.name == "last.json" and not saves:
            saves.append(write_checkpoint(tmp_path, "step-2", {"parameters": {"a": torch.ones(3)}}, {}))
        return real(path, content)

    monkeypatch.setattr(checkpoint_reading, "_parsed", parse)
    found = read_checkpoint(tmp_path)
    assert found is not None and found.path.name == "step-2"


@pytest.mark.parametrize("pointer", [b"", b"{}", b'{"checkpoint": "step-1"', b'["step-1"]'])
def test_a_damaged_pointer_is_named(tmp_path: Path, pointer: bytes) -> None:
    train(tmp_path / "run")
    (tmp_path / "run" / "last.json").write_bytes(pointer)
    with pytest.raises(CheckpointError, match=r"last\.json is missing or damaged"):
        load_checkpoint(tmp_path / "run", *make_pair())


def test_a_missing_pointer_is_told_from_a_new_run(tmp_path: Path) -> None:
    train(tmp_path / "run")
    (tmp_path / "run" / "last.json").unlink()
    with pytest.raises(CheckpointError, match=r"last\.json is missing"):
        train(tmp_path / "run", resume=True)


def test_a_pointer_cannot_lead_outside(tmp_path: Path) -> None:
    train(tmp_path / "run")
    pointer = json.loads((tmp_path / "run" / "last.json").read_text())
    shutil.move(current(tmp_path / "run"), tmp_path / "step-1")
    (tmp_path / "run" / "last.json").write_text(json.dumps(pointer | {"checkpoint": "../../step-1"}))
    with pytest.raises(CheckpointError, match=r"manifest\.json is missing"):
        load_checkpoint(tmp_path / "run", *make_pair())
    (tmp_path / "run" / "last.json").write_text(json.dumps(pointer | {"checkpoint": ".."}))
    with pytest.raises(CheckpointError, match=r"last\.json is missing or damaged: it does not name a checkpoint"):
        load_checkpoint(tmp_path / "run", *make_pair())


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("config.json", "config.json is missing or damaged"),
        ("metrics.jsonl", "metrics.jsonl is missing or damaged: it has 0 bytes"),
    ],
)
def test_missing_records_stop_a_resume(tmp_path: Path, name: str, match: str) -> None:
    train(tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    with pytest.raises(CheckpointError, match=match):
        train(tmp_path / "run", resume=True)


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[int]]:
    """Every fsync from the `after`-th on says that the disk is full."""
    count, real = [0], os.fsync

    def fsync(descriptor: int) -> None:
        count[0] += 1
        if count[0] > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        yield count


def test_a_full_disk_at_any_write_of_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is clear, nothing temporary stays, and the earlier checkpoint (or the new one) is whole."""
    old, new = {"parameters": {"a": torch.zeros(3)}}, {"parameters": {"a": torch.ones(3)}}
    with full_disk(monkeypatch, 10**9) as count:
        write_checkpoint(tmp_path / "count", "step-2", new, {})
    for after in range(count[0]):
        run_dir = tmp_path / str(after)
        write_checkpoint(run_dir, "step-1", old, {})
        with full_disk(monkeypatch, after), pytest.raises(CheckpointError, match="No space left on device"):
            write_checkpoint(run_dir, "step-2", new, {})
        found = read_checkpoint(run_dir)
        assert found is not None
        expected = old if found.path.name == "step-1" else new
        assert torch.equal(found.tensors["parameters"]["a"], expected["parameters"]["a"])
        assert not [p for p in (*run_dir.iterdir(), *(run_dir / "checkpoints").iterdir()) if p.name.endswith(".tmp")]
        write_checkpoint(run_dir, "step-2", new, {})
        assert [p.name for p in (run_dir / "checkpoints").iterdir()] == ["step-2"]
    assert count[0] >= 6


def test_training_on_a_full_disk_can_be_continued(tmp_path: Path) -> None:
    """The limit on file sizes stands for a disk that fills up while training: the operating system refuses a write."""
    expected = values(*train(tmp_path / "whole", num_epochs=40))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (current(tmp_path / "whole") / "optimiser.safetensors").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200, hard))
        with pytest.raises(
            CheckpointError,
            match=r"(write|save) .*: File too large \(it needs [\d,]+ bytes, .* are free\); raise",
        ):
            train(tmp_path / "run", num_epochs=40, checkpoint_seconds=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert equal(expected, values(*train(tmp_path / "run", num_epochs=40, resume=True)))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"could not begin a run in .*file is no directory; remove or rename it"):
        train(tmp_path / "file/run")
    with pytest.raises(ValueError, match=r"run_dir must be a path .*names of at most 255 bytes"):
        train(tmp_path / ("n" * 300))


def test_loading_last_and_best(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_epochs": 30, "learning_rate": 0.1, "validate_every": 1}
    last = values(*train(tmp_path / "run", **options))
    best = values(*train(tmp_path / "again", keep="best", **options))
    model, guide = make_pair(9)
    loaded = load_checkpoint(tmp_path / "run", model, guide)
    assert equal(last, values(model, guide)) and (loaded.which, loaded.epoch, loaded.elbo) == ("last", 30, None)
    loaded = load_checkpoint(tmp_path / "run", model, guide, which="best")
    assert equal(best, values(model, guide)) and not equal(best, last)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert loaded.elbo == rows[loaded.epoch - 1]["elbo"] == max(row["elbo"] for row in rows)


def test_loading_what_functions_made(tmp_path: Path) -> None:
    """Parameters in the store exist after one call: load_checkpoint makes it, given data."""

    def guide(x: Tensor) -> None:
        slope = pyro.param("slope", lambda: torch.ones(5, 2))
        with pyro.plate("data", len(x)):
            pyro.sample("z", pyro.distributions.Normal(x @ slope, 1.0).to_event(1))

    model, _ = make_pair()
    fit(model, guide, make_data(), num_epochs=3, learning_rate=0.1, run_dir=tmp_path / "run", progress=False)
    trained = pyro.param("slope").detach().clone()
    pyro.clear_param_store()
    with pytest.raises(ValueError, match=r"'store.slope' is in .* but not in these programs"):
        load_checkpoint(tmp_path / "run", model, guide)
    load_checkpoint(tmp_path / "run", model, guide, make_data(3))
    assert torch.equal(pyro.param("slope"), trained)


def test_loading_into_other_programs_tells_every_difference(tmp_path: Path) -> None:
    train(tmp_path / "run")
    model, guide = ToyModel(3), ToyGuide()
    model.extra = nn.Parameter(torch.zeros(1))
    guide.network.bias = None
    before = values(model, guide)
    with pytest.raises(ValueError, match="these programs are not the ones that were saved") as caught:
        load_checkpoint(tmp_path / "run", model, guide)
    told = str(caught.value)
    assert "'model.extra' is not in" in told
    assert "'guide.network.bias' is in" in told and "but not in these programs" in told
    assert "'model.network.weight' is (5, 2) torch.float64 in" in told and "here (5, 3) torch.float64" in told
    assert equal(before, values(model, guide))
    with pytest.raises(ValueError, match="float32"):
        load_checkpoint(tmp_path / "run", ToyModel().float(), ToyGuide())


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path / "nowhere", *make_pair())
    model, guide = make_pair()
    fit(model, guide, make_data(), num_epochs=1, run_dir=tmp_path / "run", progress=False)
    with pytest.raises(CheckpointError, match="it was trained without validation data"):
        load_checkpoint(tmp_path / "run", model, guide, which="best")
    with pytest.raises(ValueError, match="unknown which 'first'; known: last, best"):
        load_checkpoint(tmp_path / "run", model, guide, which="first")
