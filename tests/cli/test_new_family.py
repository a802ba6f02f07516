"""A family is a file and one line: registered, it trains, is killed and resumed, weighed, audited and drawn by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.commands.families import families_table
from elbowroom.guides.registry import GUIDES
from elbowroom.inference.training.train_step import TrainStep
from elbowroom.models.registry import MODELS
from toys import family_of_mine
from toys.commands import Run, metrics, parameters
from toys.strict_json import read_json

SHORT = ("--training.epochs=4", "--training.batch_size=32", "--training.learning_rate=0.03")
LABELLED = ("--data.name=labelled.npz", "--data.binarize=none")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The lines and the files of the new families."""
    for package in ("models", "guides"):
        monkeypatch.setitem(sys.modules, f"elbowroom.{package}.family_of_mine", family_of_mine)
    for name, entry in family_of_mine.FAMILIES.items():
        monkeypatch.setitem(MODELS, name, entry)
    for name, guide in family_of_mine.GUIDES.items():
        monkeypatch.setitem(GUIDES, name, guide)
    yield


@pytest.fixture
def labelled(pixels: Path) -> Path:
    """The pixels with a label: whether the first is on."""
    x = np.load(pixels)
    np.savez("labelled.npz", x=x, y=x[:, 0, 0].astype(np.int64))
    return Path("labelled.npz")


def files(run: Run, *options: str) -> dict:
    ended = run("generate", *options, "--num_samples=5", "--json").json()
    assert all(Path(file).stat().st_size > 200 for file in ended["files"])
    return {"drawn": {Path(file).stem for file in ended["files"]}, "left out": set(ended["left_out"])}


@pytest.mark.slow
def test_several_latents_a_switch_and_labels(run: Run, labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after three steps and resumed it is the uninterrupted run; then all that is asked of a run is answered."""
    train = ("train", *LABELLED, "--programs.model=switched", *SHORT)
    assert run(*train, "--output=whole").code == 0
    step, seen = TrainStep.__call__, []

    def stopped(self: TrainStep, *args):
        seen.append(1)
        if len(seen) > 3:
            raise ValueError("killed")
        return step(self, *args)

    with monkeypatch.context() as killed:
        killed.setattr(TrainStep, "__call__", stopped)
        assert run(*train, "--output=run").refused("killed")
    assert run(*train, "--output=run", "--resume").code == 0
    whole, resumed = parameters(Path("whole")), parameters(Path("run"))
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert metrics(Path("whole")) == metrics(Path("run"))
    rows = run("evidence", "--run=run", "--num_samples=500", "--num_particles=[5]", "--json").json()["data"]
    assert sum(abs(row["importance"] - row["exact"]) < 4 * row["importance_stderr"] + 1e-3 for row in rows) >= 7
    audited = run("audit", "--run=run", "--limit=4", "--budget=2e4 evaluations", "--num_simulations=20", "--json")
    assert audited.code == 0 and Path("run/audit/report.html").stat().st_size > 1000
    told = files(run, "--run=run")
    assert told == {
        "drawn": {"prior-samples", "samples"},
        "left out": {"reconstructions", "traversal", "interpolations"},
    }
    with np.load("run/generate/samples.npz") as samples:
        assert samples["x"].shape == (5, 9) and samples["z_level"].shape == (5,)


def test_latents_that_are_all_summed_out(run: Run, pixels: Path) -> None:
    options = ("--data.name=pixels.npy", "--programs.model=patterns", "--programs.options={num_patterns: 4}", *SHORT)
    told = run("train", *options, "--output=run", "--json").json()
    assert told["last"]["kl"] == 0 and told["last"]["elbo_stderr"] == 0
    assert parameters(Path("run"))["model.shares"].shape == (4,)
    assert read_json(Path("run/config.json"))["record"]["programs"]["options"] == {"num_patterns": 4}
    rows = run("evidence", "--run=run", "--num_samples=30", "--num_particles=[5]", "--json").json()["data"]
    assert all(row["elbo"] == pytest.approx(row["exact"], abs=1e-5) and not row["flag"] for row in rows)
    assert "KL 0.000 (per latent: all of them are summed out)" in run("train", *options, "--output=again").out
    for command in (("evidence",), ("evidence", "--method=bracket", "--budget=1e4 evaluations")):
        assert run(*command, "--run=run").code == 0
    assert files(run, "--run=run")["drawn"] == {"prior-samples", "samples"}


@pytest.mark.slow
def test_sequences_with_a_latent_each_step(run: Run, pixels: Path) -> None:
    grey = ("--data.name=pixels.npy", "--data.binarize=none")
    assert run("train", *grey, "--programs.model=chain", *SHORT, "--output=run").code == 0
    assert set(parameters(Path("run"))) >= {"model.decay", "guide.log_sd"}
    assert files(run, "--run=run") == {
        "drawn": {"prior-samples", "reconstructions", "samples"},
        "left out": {"traversal", "interpolations"},
    }


def test_a_wrong_option_of_a_new_family_lists_its_own(run: Run, pixels: Path) -> None:
    options = ("--data.name=pixels.npy", "--programs.model=patterns", "--output=run")
    assert run("train", *options, "--programs.options={patterns: 4}").refused(
        "Patterns has no option 'patterns' (did you mean 'num_patterns'?); it takes data_dim, num_patterns=3"
    )
    assert run("train", *options, "--programs.latent_dim=5").refused(
        "latent_dim: got 5", "patterns with the guide none"
    )
    assert run("train", "--data.name=pixels.npy", "--programs.model=switched").refused("no labels of the train split")


def test_few_labels_reach_the_program(run: Run, labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is opened with the labels that it was trained with."""
    told = []

    class Partly(family_of_mine.Switched):
        """Takes labels that are not told as the first class."""

        def forward(self, x: torch.Tensor, y: torch.Tensor, seen: torch.Tensor) -> None:
            told.append(seen)
            super().forward(x, y)

    class PartlyGuide(family_of_mine.SwitchedGuide):
        def forward(self, x: torch.Tensor, y: torch.Tensor, seen: torch.Tensor) -> None:
            super().forward(x, y)

    monkeypatch.setattr(family_of_mine, "Switched", Partly)
    monkeypatch.setattr(family_of_mine, "SwitchedGuide", PartlyGuide)
    monkeypatch.setitem(MODELS, "switched", MODELS["switched"]._replace(data="partly-labelled"))
    options = (*LABELLED, "--programs.model=switched", "--data.labels_per_class=2", "--training.epochs=1")
    assert run("train", *options, "--output=run").code == 0
    assert {int(seen.sum()) for seen in told if len(seen) == 72} == {4}  # all training data are one minibatch
    assert read_json(Path("run/config.json"))["record"]["data"]["labels_per_class"] == 2
    assert run("evidence", "--run=run", "--split=train", "--num_samples=20", "--limit=3", "--exact=no").code == 0


def test_the_table_has_it() -> None:
    assert "| `patterns` | none | binary | sum | x is one of K patterns" in families_table()
