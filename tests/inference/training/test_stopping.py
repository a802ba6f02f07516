"""What ends training early, and what is called after each epoch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom.inference import Target, importance
from elbowroom.inference.training import EpochState, fit, load_checkpoint
from elbowroom.inference.training.checkpoint_reading import read_checkpoint
from toys.training import NormalisedGuide, ToyModel, equal, make_data, make_pair, values

OVERFITS: dict[str, Any] = {"validation": make_data(30, seed=2).double(), "num_epochs": 60, "learning_rate": 0.1,
                            "validate_every": 1, "progress": False}  # fmt: skip
"""Of two points: the validation ELBO rises for a few epochs, then falls."""


def quiet(*arguments: Any, **options: Any) -> Any:
    return fit(*arguments, **{"progress": False} | options)


def test_patience_ends_training_and_the_best_epoch_is_kept() -> None:
    """The epochs are those of the whole run up to the best one and five more."""
    two = make_data(2)
    whole = fit(*make_pair(), two, **OVERFITS)
    model, guide = make_pair()
    fitted = fit(model, guide, two, patience=5, keep="best", **OVERFITS)
    elbos = [row["elbo"] for row in whole.history]
    ends = next(e for e in range(1, 61) if e - (1 + max(range(e), key=elbos.__getitem__)) >= 5)
    assert len(fitted.history) == ends < 60 and fitted.stopped == "patience" and whole.stopped is None
    assert [row["elbo"] for row in fitted.history] == elbos[:ends]
    assert fitted.best_epoch == ends - 5 and fitted.num_steps == ends
    again = make_pair()
    fit(*again, two, **OVERFITS | {"num_epochs": fitted.best_epoch})
    assert equal(values(model, guide), values(*again))
    assert "ended by patience" in str(fitted)


def test_patience_begins_after_the_warm_up_and_waits_for_a_validation() -> None:
    options = OVERFITS | {"warmup_epochs": 30, "validate_every": 7}
    fitted = fit(*make_pair(), make_data(2), patience=5, **options)
    assert fitted.best_epoch < 30 and [row["epoch"] for row in fitted.history if "elbo" in row][-1] == 35
    assert len(fitted.history) == 35


def test_what_a_callback_is_shown() -> None:
    """The programs themselves in eval mode, the row of the epoch, β and learning rate; a copy of the row."""
    seen: list[EpochState] = []
    model, guide = ToyModel(), NormalisedGuide()

    def look(state: EpochState) -> None:
        assert state.model is model and state.guide is guide and not guide.network[1].training
        seen.append(state)
        state.metrics["epoch"] = -1

    fitted = quiet(model, guide, make_data(), num_epochs=4, batch_size=10, validation=make_data(8), validate_every=2,
                   warmup_epochs=2, schedule="cosine", on_epoch=look)  # fmt: skip
    assert [state.epoch for state in seen] == [row["epoch"] for row in fitted.history] == [1, 2, 3, 4]
    for state, row in zip(seen, fitted.history, strict=True):
        assert (state.beta, state.learning_rate) == (row["beta"], row["learning_rate"])
        assert state.metrics == row | {"epoch": -1}
    assert (seen[-1].best_epoch, seen[-1].best_elbo) == (fitted.best_epoch, fitted.best_elbo)
    assert guide.network[1].training


def test_what_a_callback_draws_and_differentiates_is_not_trainings() -> None:
    def busy(state: EpochState) -> None:
        torch.randn(100)
        importance(Target(state.model, state.guide, make_data(4)), num_samples=10)
        sum(p.square().sum() for p in state.model.parameters()).backward()

    plain, watched = make_pair(), make_pair()
    quiet(*plain, make_data(), num_epochs=3, batch_size=16)
    quiet(*watched, make_data(), num_epochs=3, batch_size=16, on_epoch=busy)
    assert equal(values(*plain), values(*watched))


def test_a_callback_ends_training(tmp_path: Path) -> None:
    """True ends it, other values do not; the run is then complete, and resuming it returns at once."""
    pair, whole = make_pair(), make_pair()
    fitted = quiet(
        *pair,
        make_data(),
        num_epochs=9,
        run_dir=tmp_path,
        on_epoch=lambda state: state.epoch if state.epoch < 3 else True,
    )
    assert (len(fitted.history), fitted.num_steps, fitted.stopped) == (3, 3, "on_epoch")
    quiet(*whole, make_data(), num_epochs=3)
    assert equal(values(*pair), values(*whole))
    again = make_pair()
    resumed = quiet(*again, make_data(), num_epochs=9, run_dir=tmp_path, resume=True, on_epoch=pytest.fail)
    assert equal(values(*again), values(*pair)) and resumed.history == fitted.history
    assert resumed.stopped == "on_epoch"


def test_an_exception_in_a_callback_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    epochs: list[int] = []

    def breaks(state: EpochState) -> None:
        epochs.append(state.epoch)
        torch.randn(7)
        if len(epochs) == 2:
            raise RuntimeError("no space for the picture")

    options: dict[str, Any] = {"num_epochs": 4, "batch_size": 16, "run_dir": tmp_path, "on_epoch": breaks}
    whole, cut = make_pair(), make_pair()
    quiet(*whole, make_data(), num_epochs=4, batch_size=16)
    with pytest.raises(RuntimeError, match="no space for the picture"):
        quiet(*cut, make_data(), **options)
    assert read_checkpoint(tmp_path).progress["epoch"] == 2
    resumed = make_pair()
    quiet(*resumed, make_data(), resume=True, **options)
    assert equal(values(*whole), values(*resumed)) and epochs == [1, 2, 3, 4]


def test_checkpoints_say_what_the_objective_bounds(tmp_path: Path) -> None:
    for beta, bound in ((1.0, "lower"), (0.5, "none")):
        run = tmp_path / bound
        quiet(*make_pair(), make_data(), num_epochs=2, beta=beta, run_dir=run)
        assert read_checkpoint(run).progress["objective"] == {"loss": "Trace_ELBO", "beta": beta, "bound": bound}
        assert [json.loads(line)["bound"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [bound] * 2
        load_checkpoint(run, *make_pair())
