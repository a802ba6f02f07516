"""Signals, resumption, closed pipes and numbers that are not finite: the exit codes that are promised."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from toys.commands import ELBOWROOM, SMALL, Run, metrics, parameters
from toys.strict_json import read_json

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as in a shell
STOPPED = ("--data.name=pixels.npy", "--training.epochs=4", "--training.batch_size=16",
           "--programs.model=mine:stopped_model", "--programs.guide=mine:guide")  # fmt: skip


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stopped_run_resumes_as_if_nothing_had_happened(
    run: Run, folder: Path, pixels: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    assert run("train", *STOPPED, "--output=whole").code == 0
    sys.modules.pop("mine")
    monkeypatch.setenv("STOP_AT", "17")
    monkeypatch.setenv("STOP_BY", name)
    stopped = run("train", *STOPPED, "--output=run")
    assert stopped.code == code and name in stopped.err and "--resume" in stopped.err
    assert "Traceback" not in stopped.err and not (folder / "run" / "result.json").exists()
    step = int(read_json(folder / "run" / "last.json")["checkpoint"].removeprefix("step-"))
    assert 0 < step < 20
    monkeypatch.delenv("STOP_AT")
    assert run("train", *STOPPED, "--output=run").refused("not empty", "--resume")
    resumed = run("train", *STOPPED, "--output=run", "--resume", "--json")
    assert resumed.json()["steps"] == 20
    whole, again = parameters(folder / "whole"), parameters(folder / "run")
    assert whole.keys() == again.keys() and all(torch.equal(whole[key], again[key]) for key in whole)
    assert metrics(folder / "whole") == metrics(folder / "run")


def test_a_finished_run_resumes_at_once(run: Run, trained: Path) -> None:
    before = parameters(trained)
    ended = run("train", "--data.name=pixels.npy", *SMALL, f"--output={trained}", "--resume")
    assert ended.code == 0 and "9 steps" in ended.out
    assert all(torch.equal(before[name], value) for name, value in parameters(trained).items())


def test_another_configuration_is_not_resumed(run: Run, trained: Path) -> None:
    options = (f"--data.dir={trained.parent}", "--data.name=pixels.npy", *SMALL)
    ended = run("train", *options, "--training.batch_size=16", f"--output={trained}", "--resume")
    assert ended.refused("another configuration", "batch_size: 32 in the run directory, now 16")


def test_numbers_that_are_not_finite_exit_with_4(run: Run, folder: Path) -> None:
    data = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    training = np.full((32, 4), 1.0, np.float32) * data[:32]
    training[5] = 3e37
    np.savez("wild.npz", train=training, validation=data[32:36], test=data[36:])
    wild = ("--data.name=wild.npz", "--data.binarize=none", "--programs.likelihood=normal-fixed", "--programs.sigma=1")
    ended = run("train", *wild, *SMALL, "--output=run")
    assert ended.code == 4 and "not finite" in ended.err and "Traceback" not in ended.err
    assert read_json(folder / "run" / "nonfinite.json")["rows"] == [5]


@pytest.mark.slow
def test_sigterm_from_outside_after_the_reader_has_left(folder: Path, pixels: Path) -> None:
    """A real process, told to stop while it trains for `| head -0`: one message, no traceback."""
    endless = ("--data.name=pixels.npy", "--training.epochs=1000000", "--output=run")
    process = subprocess.Popen(
        [ELBOWROOM, "train", *endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BUFFERED
    )
    assert process.stdout is not None
    process.stdout.close()
    try:
        deadline = time.monotonic() + 300
        metrics_file = folder / "run" / "metrics.jsonl"
        while not (metrics_file.exists() and metrics_file.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.stdout = None
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 143, err
    assert "SIGTERM after step" in err and "Traceback" not in err and "Broken" not in err
    assert (folder / "run" / "last.json").exists()


@pytest.mark.slow
def test_a_reader_who_leaves_does_not_stop_the_work(folder: Path, pixels: Path) -> None:
    """`elbowroom train | head -0`: no traceback, and the run is whole."""
    process = subprocess.Popen(
        [ELBOWROOM, "train", "--data.name=pixels.npy", *SMALL, "--output=run"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BUFFERED,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert (process.wait(timeout=300), err) == (0, "")
    assert read_json(folder / "run" / "result.json")["steps"] == 9


def test_help_into_a_closed_pipe(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "elbowroom", "train", "--help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")
