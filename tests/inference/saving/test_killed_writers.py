"""kill -9 at random moments and durable steps, also with a second process at the door: exact, whole, nothing left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRIALS = {"train": (40, 8), "bracket": (30, 6), "audit": (30, 6)}
"""Processes that are killed, and those of them with a second process meanwhile: 100 and 20."""


def killed(folder: Path, job: str, trials: int, meanwhile: int, seed: int) -> dict[str, int]:
    tests = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-m", "toys.writers_killed", folder, job, trials, meanwhile, seed]
    run = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, cwd=tests,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    report: dict[str, int] = json.loads(run.stdout)
    assert report["tried"] == report["exact"] == trials and report["meanwhile"] == meanwhile, run.stderr
    assert report["torn"] == report["left"] == 0, run.stderr
    return report


@pytest.mark.slow
def test_a_few_brackets_are_killed(tmp_path: Path) -> None:
    report = killed(tmp_path, "bracket", 4, 1, 1)
    assert report["killed"] >= 2


@pytest.mark.slow
@pytest.mark.parametrize("job", TRIALS)
def test_a_hundred_are_killed(tmp_path: Path, job: str) -> None:
    report = killed(tmp_path, job, *TRIALS[job], 2)
    # A second process that comes when the first is dead already is let in, and goes on from what that has left.
    assert report["killed"] >= 0.8 * report["tried"] and report["refused"] >= 0.5 * report["meanwhile"]
