"""From outside: processes started by `torchrun` train one run, are killed, and go on to the same bits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[2]


def torchrun(*arguments: str, size: int = 2, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    """So many workers on this machine; their output together."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", f"--max-restarts={restarts}"]
    command = [sys.executable, *(launcher if size > 1 else []), "-m", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=TESTS, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            output, errors = process.communicate(timeout=300)
        except BaseException:
            process.terminate()  # which ends the workers, too
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def said(run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two workers get that nobody kills."""
    run = torchrun("toys.trained_by_workers", str(tmp_path_factory.mktemp("whole") / "run"))
    assert run.returncode == 0, run.stderr
    first, second = said(run)
    assert first == second and (first["steps"], first["workers"]) == (51, 2)
    return first


def test_two_workers_give_the_parameters_of_one(whole: dict[str, Any], tmp_path: Path) -> None:
    """51 steps in double precision: 1e-10."""
    (one,) = said(torchrun("toys.trained_by_workers", str(tmp_path / "run"), size=1))
    for ours, theirs in zip(whole["values"], one["values"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("worker", ["0", "1"])
def test_a_killed_worker_is_started_again_and_the_result_is_the_same(
    worker: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    """SIGKILL at step 20; torchrun begins all anew, from the last checkpoint, and the parameters are the same bits."""
    killed = (str(int(signal.SIGKILL)), "20", worker)
    run = torchrun("toys.trained_by_workers", str(tmp_path / "run"), *killed, restarts=1)
    assert run.returncode == 0, run.stderr
    finished = [one for one in said(run) if "values" in one]
    assert finished == [whole, whole]


def test_a_dead_worker_ends_the_other_with_one_sentence(tmp_path: Path) -> None:
    """Started by hand, without a launcher that would end it; long before the half hour that a hanging one is given."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "toys.trained_by_workers", str(tmp_path / "run"), "9", "20", "1"],
            cwd=TESTS,
            env={
                **os.environ, "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "TORCHELASTIC_RESTART_COUNT": "0",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [3, -signal.SIGKILL]
    assert "worker 0 of 2 stops, for another one has ended" in json.loads(outputs[0].splitlines()[-1])["ended"]


def test_a_signal_to_one_worker_stops_both_and_the_run_goes_on(whole: dict[str, Any], tmp_path: Path) -> None:
    stopped = torchrun("toys.trained_by_workers", str(tmp_path / "run"), str(int(signal.SIGTERM)), "20", "1")
    assert stopped.returncode and not said(stopped)
    assert "143" in stopped.stderr
    assert said(torchrun("toys.trained_by_workers", str(tmp_path / "run"))) == [whole, whole]


def test_the_command_trains_over_workers(tmp_path: Path) -> None:
    """50 steps of the digits: parameters to 1e-5 of one process's, and only the first worker prints."""
    from safetensors.torch import load_file

    found = {}
    for size in (1, 2):
        folder = tmp_path / str(size)
        options = ["--training.epochs", "5", "--data.name", "digits", "--training.warmup_epochs", "2"]
        run = torchrun("elbowroom", "train", "--output", str(folder), *options, size=size)
        assert run.returncode == 0, run.stderr
        assert run.stdout.count("Training on 1257 of digits") == 1 and run.stdout.count("Best ELBO") == 1
        assert (" by 2 workers" in run.stdout) == (size == 2)
        assert json.loads((folder / "result.json").read_text())["workers"] == size
        found[size] = load_file(next(folder.glob("checkpoints/*/parameters.safetensors")))
    for name, ours in found[1].items():
        assert (ours - found[2][name]).abs().max() < 1e-5, name


def test_a_density_is_refused(tmp_path: Path) -> None:
    run = torchrun("elbowroom", "train", "--output", str(tmp_path / "run"), "--density", "rbm")
    assert run.returncode and "densities are fitted by one process" in run.stderr and not (tmp_path / "run").exists()
