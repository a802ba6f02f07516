"""elbowroom shard and merge: a run's programs on its own data, on an array of many, and by several workers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elbowroom.commands.options import ShardOptions
from elbowroom.inference import Target, read_shards
from elbowroom.inference.shards import estimators
from elbowroom.inference.shards.launchers import LAUNCHERS
from elbowroom.inference.shards.shard import BATCH, CHUNK
from toys.commands import Run

FEW = ("--run=run", "--options={num_samples: 20, search: false}", "--batch=4")


@pytest.mark.slow
def test_a_runs_own_data_in_chunks_by_two_tasks(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("shard", *FEW, "--output=whole")
    assert whole.code == 0 and "1 of 1 chunks" in whole.out
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    half = run("shard", *FEW, "--output=two", "--chunk=4", "--json").json()
    assert half["num_done"] < half["num_chunks"] and half["failed"] == {}
    refused = run("merge", "--shards=two")
    assert refused.code == 3 and "data are missing in two: 0 … 3" in refused.err
    partial = run("merge", "--shards=two", "--partial", "--file=some.nc")
    assert partial.code == 0 and read_shards("some.nc").data[0] == 4
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert run("shard", *FEW, "--output=two", "--chunk=4").code == 0
    assert run("merge", "--shards=two").code == run("merge", "--shards=whole").code == 0
    assert Path("two/evidence.nc").read_bytes() == Path("whole/evidence.nc").read_bytes()
    status = run("shard", "--status=two")
    assert status.code == 0 and "data" in status.out and run("shard", "--status=two", "--json").json()["tried"] == {}


@pytest.mark.slow
def test_an_array_stands_in_the_place_of_a_runs_data(run: Run, trained: Path, pixels: Path) -> None:
    x = np.load(pixels)
    np.save("bytes.npy", (255 * x).astype(np.uint8))
    np.save("numbers.npy", x)
    for name in ("bytes", "numbers"):
        assert run("shard", *FEW, f"--array={name}.npy", f"--output={name}", "--chunk=8").code == 0
        assert run("merge", f"--shards={name}").code == 0
    found = read_shards("bytes")
    assert len(found) == len(x) and np.array_equal(found.keys, read_shards("numbers").keys)
    assert torch.equal(found["importance"].value, read_shards("numbers")["importance"].value)


def test_a_dry_run_writes_nothing(run: Run, trained: Path, pixels: Path) -> None:
    said = run("shard", *FEW, "--array=pixels.npy", "--chunk=8", "--dry_run")
    assert said.code == 0 and "90 data in 12 chunks of 8" in said.out and "workers" in said.out
    assert run("shard", *FEW, "--dry_run", "--json").json()["num_chunks"] == 1
    assert not Path("shards").exists()


def test_chunks_that_are_left_out_end_with_6(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise FloatingPointError("no number")

    with monkeypatch.context() as context:
        context.setitem(estimators.ESTIMATORS, "importance", failing)  # type: ignore[index]
        ended = run("shard", *FEW)
    assert ended.code == 6 and "chunks 0 were left out" in ended.err and "FloatingPointError: no number" in ended.out
    assert run("shard", "--status=shards").code == 6 and run("shard", *FEW).code == 6
    assert run("shard", *FEW, "--retry").code == 0


def test_what_cannot_be_done_is_refused(run: Run, trained: Path) -> None:
    assert run("shard", "--run=run", "--array=none.npy").refused("none.npy")
    assert run("shard", "--run=run", "--options={draws: 3}").refused("options: importance takes")
    assert run("shard", "--run=run", "--engine=slurm").refused("SLURM_ARRAY_TASK_ID")
    assert run("merge", "--shards=nowhere").refused("no shards at nowhere")
    assert run("shard", "--status=nowhere").refused("no shards at nowhere")


@pytest.mark.slow
def test_audit_and_versus_are_told_what_shards_have(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from elbowroom.commands import audit, versus

    told: list[Any] = []

    def take(*targets: Target, evidence: Any, **options: object) -> None:
        told.append(evidence)
        raise ValueError("enough")

    monkeypatch.setattr(audit, "audit_target", take)
    monkeypatch.setattr(versus, "versus", take)
    assert run("shard", *FEW).code == run("merge").code == 0
    shutil.copytree("run", "other")
    both = ("--run=run", "--run=other", "--b.name=other")
    assert run("audit", "--run=run", "--limit=3", "--evidence=shards").refused("enough")
    assert run("versus", *both, "--a.evidence=shards", "--b.evidence=shards/evidence.nc").refused("enough")
    merged = read_shards("shards")["importance"]
    assert torch.equal(told[0].value, merged.value[:3]) and torch.equal(told[1][1].value, merged.value)
    assert run("versus", *both, "--a.evidence=shards").refused("go together")
    assert run("audit", "--run=run", "--split=train", "--evidence=shards").refused("are not among these")
    assert run("audit", "--run=run", "--evidence=none.nc").refused("no table at none.nc")


def test_names_and_numbers_are_the_librarys() -> None:
    options = ShardOptions()
    assert (options.chunk, options.batch) == (CHUNK, BATCH)
    assert set(ShardOptions.__annotations__["engine"].__args__) == {"auto", *LAUNCHERS}
    assert set(ShardOptions.__annotations__["estimator"].__args__) == set(estimators.ESTIMATORS)


@pytest.mark.slow
def test_workers_of_torchrun_are_told_of_the_run_and_speak_with_one_voice(run: Run, trained: Path) -> None:
    """After `--` torchrun takes `--run` for none of its own options."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "elbowroom"]
    done = subprocess.run(
        [*start, "--", "shard", *FEW, "--output=two", "--chunk=4"],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Data: ") == 1 and run("merge", "--shards=two").code == 0


def test_leading_dashes_are_nothing(run: Run, trained: Path) -> None:
    assert run("--", "shard", *FEW, "--output=one").code == 0
