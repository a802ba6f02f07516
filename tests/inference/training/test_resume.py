"""Resuming: a run cut anywhere and continued is the uninterrupted run, to the last bit."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from elbowroom.inference import InUseError
from elbowroom.inference.training import CheckpointError, EpochState, fit
from elbowroom.inference.training.generators import Generators
from elbowroom.inference.training.optimiser import JointOptimiser
from elbowroom.inference.training.run_seal import UNSEALED
from elbowroom.inference.training.train_step import TrainStep
from elbowroom.inference.training.trainer import Trainer
from toys.forged import of_before, resealed
from toys.selections import rest_slow
from toys.training import NormalisedGuide, ToyModel, equal, make_data, make_pair, values


class Cut(Exception):
    """Stands for a crash."""


class CutAfter:
    """A `prepare` that adds noise and crashes at its n-th minibatch (the 0th is the example that `fit` looks at)."""

    def __init__(self, steps: int | None) -> None:
        self.steps, self.seen = steps, 0
        self.__qualname__ = "CutAfter"

    def __call__(self, x: Tensor) -> Tensor:
        if self.seen == self.steps:
            raise Cut
        self.seen += 1
        return x + 0.01 * torch.randn_like(x)


def train(run_dir: Path | None, cut: int | None = None, **options: Any) -> tuple[list[Tensor], Any]:
    """Eight steps of three an epoch of programs with noise, dropout, batch norm and validation."""
    torch.manual_seed(0)
    model, guide = ToyModel(), NormalisedGuide()
    defaults: dict[str, Any] = {
        "validation": make_data(6, seed=2), "num_epochs": 3, "batch_size": 8, "learning_rate": 0.02, "seed": 1,
        "schedule": "cosine", "warmup_epochs": 1.5, "clip_norm": 5.0, "validate_every": 2,
    }  # fmt: skip
    fitted = fit(
        model, guide, make_data(20), prepare=CutAfter(cut), run_dir=run_dir, checkpoint_seconds=0, progress=False,
        **defaults | options,
    )  # fmt: skip
    return values(model, guide), fitted


def rows_of(run_dir: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.parametrize("steps", rest_slow([5, 6, 1, 2, 3, 4, 7, 8, 9], 2))
def test_cut_at_any_step(tmp_path: Path, steps: int) -> None:
    """Crash at step 0 … 8 of 9, resume: parameters, buffers, history and metrics are those of the whole run."""
    whole, expected = train(tmp_path / "whole")
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=steps)
    resumed, fitted = train(tmp_path / "cut", resume=True)
    assert equal(whole, resumed)
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")
    assert (fitted.best_epoch, fitted.best_elbo, fitted.num_steps) == (expected.best_epoch, expected.best_elbo, 9)
    assert [row["epoch"] for row in fitted.history] == [1, 2, 3]


def test_cut_with_several_particles(tmp_path: Path) -> None:
    """Vectorised particles in an outer plate draw their noise in the same order."""
    options: dict[str, Any] = {"loss": "RenyiELBO", "num_particles": 3, "warmup_epochs": 0}
    whole, _ = train(None, **options)
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=5, **options)
    assert equal(whole, train(tmp_path / "cut", resume=True, **options)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "AdamW", "weight_decay": 0.1, "kl_weight": "cyclical", "num_cycles": 2, "beta": 0.7},
        {"optimizer": "SGD", "schedule": "exponential", "kl_weight": "constant", "free_bits": 0.2},
        {"num_epochs": 9, "learning_rate": 0.7, "warmup_epochs": 0, "validate_every": 1, "patience": 2, "keep": "best"},
    ],
    ids=["AdamW, cyclical", "SGD, free bits", "patience"],
)
@pytest.mark.parametrize("steps", rest_slow([6, 2], 1))
def test_cut_with_every_optimiser_weight_and_stop(tmp_path: Path, options: dict[str, Any], steps: int) -> None:
    options = {"warmup_epochs": 0} | options
    whole, expected = train(tmp_path / "whole", **options)
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=steps, **options)
    resumed, fitted = train(tmp_path / "cut", resume=True, **options)
    assert equal(whole, resumed)
    assert rows_of(tmp_path / "cut") == rows_of(tmp_path / "whole")
    assert (fitted.stopped, len(fitted.history)) == (expected.stopped, len(expected.history))
    assert (fitted.stopped == "patience") == ("patience" in options) and len(fitted.history) < 9


@pytest.mark.slow
def test_a_run_of_before_there_were_these_options_goes_on(tmp_path: Path) -> None:
    """Its record lacks their names, which then had one meaning: that of the defaults, and no other."""
    whole, _ = train(None)
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=5)
    younger = {"beta", "kl_weight", "num_cycles", "free_bits", "optimizer", "weight_decay", "final_learning_rate",
               "patience", "loss_options", "own_bound"}  # fmt: skip
    of_before(tmp_path / "cut", lambda config: [config["arguments"].pop(name) for name in younger])
    with pytest.raises(CheckpointError, match=r"arguments\.beta: 1\.0 in the run directory, now 2\.0"):
        train(tmp_path / "cut", resume=True, beta=2.0)
    found, fitted = train(tmp_path / "cut", resume=True)
    assert equal(whole, found) and UNSEALED in [note for row in fitted.history for note in row.get("notes", [])]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cut_on_a_gpu(tmp_path: Path) -> None:
    """The device's own generator is part of the state."""
    whole, _ = train(None, device="cuda")
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=5, device="cuda")
    assert equal(whole, train(tmp_path / "cut", resume=True, device="cuda")[0])


def test_cut_and_resumed_many_times(tmp_path: Path) -> None:
    whole, _ = train(None)
    resume = False
    for _ in range(3):
        with pytest.raises(Cut):
            train(tmp_path / "cut", cut=3, resume=resume)
        resume = True
    resumed, _ = train(tmp_path / "cut", resume=True)
    assert equal(whole, resumed)


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", ["generator", "optimiser", "step_in_epoch"])
def test_forgetting_a_part_of_the_state_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """The negative test: without the generator's state (or Adam's, or the place in the epoch) the result is another."""
    whole, _ = train(None)
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=6)
    if forgotten == "generator":
        monkeypatch.setattr(Generators, "put_back", lambda self, states: None)
    elif forgotten == "optimiser":
        monkeypatch.setattr(JointOptimiser, "load_state_tensors", lambda *args: None)
    else:
        restore = Trainer.restore

        def at_the_start(self: Trainer) -> None:
            restore(self)
            self.state.progress.step_in_epoch = 0

        monkeypatch.setattr(Trainer, "restore", at_the_start)
    resumed, _ = train(tmp_path / "cut", resume=True)
    assert not equal(whole, resumed)


def test_parameters_of_functions_and_autoguides(tmp_path: Path) -> None:
    """`pyro.param` in the store and an AutoGuide that makes its parameters at the first call."""

    def model(x: Tensor) -> None:
        m = pyro.sample("m", dist.Normal(pyro.param("centre", torch.tensor(0.5)), 1.0))
        with pyro.plate("items", len(x)):
            pyro.sample("x", dist.Normal(m, 1.0), obs=x)

    def run(run_dir: Path | None, cut: int | None, resume: bool = False) -> list[Tensor]:
        pyro.clear_param_store()
        guide = AutoNormal(model)
        fit(model, guide, torch.arange(5.0), plate=None, num_epochs=6, prepare=CutAfter(cut), run_dir=run_dir,
            resume=resume, checkpoint_seconds=0, progress=False, learning_rate=0.1)  # fmt: skip
        return [*values(guide), pyro.param("centre").detach().clone()]

    whole = run(None, None)
    with pytest.raises(Cut):
        run(tmp_path / "cut", 4)
    assert equal(whole, run(tmp_path / "cut", None, resume=True))


def test_a_finished_run_returns_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, expected = train(tmp_path / "run")
    before = (tmp_path / "run" / "last.json").read_bytes()
    monkeypatch.setattr(TrainStep, "__call__", lambda self, rows: pytest.fail("a finished run took a step"))
    again, fitted = train(tmp_path / "run", resume=True)
    assert equal(whole, again)
    assert fitted.history == expected.history
    assert (tmp_path / "run" / "last.json").read_bytes() == before


def test_the_best_epoch_survives(tmp_path: Path) -> None:
    options: dict[str, Any] = {"keep": "best", "learning_rate": 0.5, "validate_every": 1, "num_epochs": 6,
                               "schedule": "constant"}  # fmt: skip
    whole, expected = train(None, **options)
    assert expected.best_epoch < 6
    with pytest.raises(Cut):
        train(tmp_path / "cut", cut=14, **options)
    assert equal(whole, train(tmp_path / "cut", resume=True, **options)[0])


@pytest.mark.parametrize("exists", [False, True])
def test_resuming_nothing_begins(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "run").mkdir()
    assert equal(train(None)[0], train(tmp_path / "run", resume=True)[0])


def test_a_run_that_had_ended_takes_no_steps(tmp_path: Path) -> None:
    _, fitted = train(tmp_path / "run")
    _, again = train(tmp_path / "run", resume=True)
    assert (fitted.steps, again.steps) == ("run", "none") and again.num_steps == fitted.num_steps


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "run")
    before = sorted(p.name for p in (tmp_path / "run").iterdir())
    with pytest.raises(FileExistsError, match="is not empty: continue that run with resume=True"):
        train(tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(FileExistsError, match="holds other files and no run to continue"):
        train(tmp_path / "thesis", resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file"):
        train(tmp_path / "file")


def test_a_second_writer_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """A second call on a run directory, from within the first one."""
    said: list[str] = []

    def second(state: EpochState) -> None:
        before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        for resume in (False, True):
            with pytest.raises(InUseError) as refused:
                train(tmp_path / "run", resume=resume)
            said.append(str(refused.value))
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before

    whole = train(tmp_path / "run", on_epoch=second)
    assert len(said) == 6 and f"run_dir='{tmp_path / 'run'}' is in use: this process ({os.getpid()})" in said[0]
    assert equal(whole[0], train(None)[0]) and [row["epoch"] for row in rows_of(tmp_path / "run")] == [1, 2, 3]
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_run_that_fails_lets_the_next_one_in(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        train(tmp_path / "run", cut=4)
    with pytest.raises(FileExistsError):
        train(tmp_path / "run")
    (tmp_path / "run" / ".lock").write_text('{"pid": 1, "host": "gone", "since": "2020"}')  # of a killed process
    assert equal(train(tmp_path / "run", resume=True)[0], train(None)[0])
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".lock").touch()
    train(tmp_path / "new")


def test_another_configuration_is_refused_key_by_key(tmp_path: Path) -> None:
    with pytest.raises(Cut):
        train(tmp_path / "run", cut=4, config={"name": "a"})
    with pytest.raises(CheckpointError, match="another configuration") as caught:
        train(tmp_path / "run", resume=True, learning_rate=0.03, num_epochs=2, config={"name": "b"})
    told = str(caught.value)
    assert "arguments.learning_rate: 0.02 in the run directory, now 0.03" in told
    assert "arguments.num_epochs: 3 in the run directory, now 2" in told
    assert "record.name: 'a' in the run directory, now 'b'" in told
    assert "arguments.seed" not in told


@pytest.mark.slow
@pytest.mark.parametrize("cut", [None, 5])
def test_a_run_may_be_trained_for_longer(tmp_path: Path, cut: int | None) -> None:
    """With a constant learning rate it is the longer run, whether the shorter one had ended or was cut."""
    whole, _ = train(None, num_epochs=5, schedule="constant")
    if cut is None:
        train(tmp_path / "run", schedule="constant")
    else:
        with pytest.raises(Cut):
            train(tmp_path / "run", cut=cut, schedule="constant")
    again, fitted = train(tmp_path / "run", resume=True, num_epochs=5, schedule="constant")
    assert equal(whole, again) and len(fitted.history) == 5
    notes = [note for row in rows_of(tmp_path / "run") for note in row.get("notes", [])]
    assert notes == ["extended from 3 to 5 epochs"]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["arguments"]["num_epochs"] == 5
    assert equal(again, train(tmp_path / "run", resume=True, num_epochs=5, schedule="constant")[0])


def test_a_longer_run_says_that_its_schedule_is_another(tmp_path: Path) -> None:
    train(tmp_path / "run")
    train(tmp_path / "run", resume=True, num_epochs=4)
    (note,) = rows_of(tmp_path / "run")[3]["notes"]
    assert note.startswith("extended from 3 to 4 epochs, with schedules of the longer run from here on")


def test_other_data_and_other_programs_are_refused(tmp_path: Path) -> None:
    model, guide = make_pair()
    data = make_data()
    fit(model, guide, data, num_epochs=1, run_dir=tmp_path / "run", progress=False)
    data[3, 1] += 1e-9
    with pytest.raises(CheckpointError, match=r"data\.data\.sha256"):
        fit(model, guide, data, num_epochs=1, run_dir=tmp_path / "run", resume=True, progress=False)
    with pytest.raises(
        CheckpointError, match=r"programs\.guide: 'ToyGuide' in the run directory, now 'NormalisedGuide'"
    ):
        fit(model, NormalisedGuide(), make_data(), num_epochs=1, run_dir=tmp_path / "run", resume=True, progress=False)


def test_another_environment_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Cut):
        train(tmp_path / "run", cut=5)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["environment"]["threads"] == torch.get_num_threads()
    resealed(tmp_path / "run", lambda config: config["environment"].update(threads=99))
    with caplog.at_level(logging.WARNING, logger="elbowroom"):
        with pytest.raises(Cut):
            train(tmp_path / "run", cut=2, resume=True)
        _, fitted = train(tmp_path / "run", resume=True)
    note = f"exactness is not promised: threads: 99 in the run directory, now {torch.get_num_threads()}"
    assert note in caplog.text
    assert [str(row.get("notes")).count(note) for row in fitted.history] == [0, 1, 0]


def killed(folder: Path, mode: str, number: int) -> dict[str, int]:
    tests = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "toys.training_killed", str(folder), mode, str(number)],
        capture_output=True, text=True, cwd=tests, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["exact"] == report["tried"], run.stderr
    return report


@pytest.mark.slow
def test_kill_9_inside_saves(tmp_path: Path) -> None:
    report = killed(tmp_path, "points", 97)
    assert report["killed"] == report["tried"] >= 2


@pytest.mark.slow
def test_kill_9_at_every_place_of_every_save(tmp_path: Path) -> None:
    report = killed(tmp_path, "points", 1)
    assert report["killed"] == report["tried"] >= 150


@pytest.mark.slow
def test_kill_9_at_many_random_moments(tmp_path: Path) -> None:
    assert killed(tmp_path, "moments", 30)["killed"] >= 15
