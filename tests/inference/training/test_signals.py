"""SIGINT and SIGTERM while training: the step is finished, the state saved, the handlers put back."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elbowroom.inference.training import TrainingInterrupted, fit, load_checkpoint
from elbowroom.inference.training.signals import StopRequest
from toys.training import equal, make_data, make_pair, values


class Sender:
    """A `prepare` that sends signals to its own process while the n-th minibatch is being made."""

    def __init__(self, step: int | None, *signums: int) -> None:
        self.step, self.signums, self.seen = step, signums, 0

    __qualname__ = "Sender"

    def __call__(self, x: Tensor) -> Tensor:
        if self.seen == self.step:
            for signum in self.signums:
                os.kill(os.getpid(), signum)
        self.seen += 1
        return x + 0.01 * torch.randn_like(x)


def train(prepare: Callable[[Tensor], Tensor], **options: Any) -> tuple[list[Tensor], Any]:
    model, guide = make_pair()
    try:
        fit(model, guide, make_data(), num_epochs=4, batch_size=16, prepare=prepare, progress=False, **options)
    except TrainingInterrupted as stopped:
        return values(model, guide), stopped
    return values(model, guide), None


@pytest.mark.parametrize(
    ("signum", "exit_code", "step"),
    [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 5), (signal.SIGINT, 130, 6), (signal.SIGTERM, 143, 12)],
)
def test_a_signal_finishes_the_step_and_saves(tmp_path: Path, signum: int, exit_code: int, step: int) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    whole, _ = train(Sender(None))
    at_stop, stopped = train(Sender(step, signum), run_dir=tmp_path / "run")
    assert (stopped.signum, stopped.exit_code) == (signum, exit_code)
    assert f"{signal.Signals(signum).name} after step {step} of 12" in str(stopped)
    assert "continue with resume=True" in str(stopped)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    saved = make_pair(7)
    assert load_checkpoint(tmp_path / "run", *saved).epoch == step // 3
    assert equal(at_stop, values(*saved))
    resumed, none = train(Sender(None), run_dir=tmp_path / "run", resume=True)
    assert none is None and equal(whole, resumed)
    assert (step == 12) == equal(at_stop, whole)


def test_without_a_run_directory_the_programs_hold_the_finished_step() -> None:
    at_stop, stopped = train(Sender(2, signal.SIGTERM))
    assert stopped.exit_code == 143 and "resume" not in str(stopped)
    model, guide = make_pair()
    assert not equal(at_stop, values(model, guide))


def test_a_second_signal_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Sender(2, signal.SIGTERM, signal.SIGINT))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_other_threads_train_without_handlers() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(train(Sender(None))))
    thread.start()
    thread.join()
    torch.set_default_dtype(torch.float64)
    assert found and found[0][1] is None


def test_nested_requests_restore_in_order() -> None:
    outer = signal.getsignal(signal.SIGTERM)
    with StopRequest() as first:
        with StopRequest() as second:
            os.kill(os.getpid(), signal.SIGTERM)
        assert (first.signum, second.signum) == (None, signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert first.signum == signal.SIGINT
    assert signal.getsignal(signal.SIGTERM) == outer


@pytest.mark.slow
def test_a_script_can_exit_with_the_stated_code(tmp_path: Path) -> None:
    """From outside: a process told to stop by SIGTERM leaves a checkpoint and the stated exit code."""
    script = (
        "import os, signal, sys, torch\n"
        "from toys.training import make_data, make_pair\n"
        "from elbowroom.inference.training import TrainingInterrupted, fit\n"
        "sent = []\n"
        "def prepare(x):\n"
        "    if len(sent) == 20:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    sent.append(x)\n"
        "    return x\n"
        "try:\n"
        "    options = dict(num_epochs=10**6, prepare=prepare, run_dir=sys.argv[1])\n"
        "    fit(*make_pair(), make_data().float(), **options)\n"
        "except TrainingInterrupted as stopped:\n"
        "    sys.exit(stopped.exit_code)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 143, run.stderr
    assert (tmp_path / "run" / "last.json").exists()
