"""Sequences of different lengths on the command line: train, resume, evidence, audit, generate."""

from pathlib import Path

import numpy as np
import pytest

from elbowroom.datasets import KINDS, load
from elbowroom.guides import DeepKalmanSmoother
from elbowroom.inference import Target, importance, load_checkpoint
from elbowroom.models import LinearDynamicalSystem
from toys.commands import Run, metrics
from toys.strict_json import read_json

DATA = ("--data.name=ragged.npz", "--data.binarize=none")
PROGRAMS = ("--programs.model=linear-dynamical-system", "--programs.latent_dim=1")
SMALL = ("--training.epochs=4", "--training.batch_size=32", "--programs.guide_options={num_features: 8}")


@pytest.fixture
def ragged(folder: Path) -> Path:
    """60 walks of one to three steps, two values a step, NaN behind their ends."""
    random = np.random.default_rng(0)
    mask = np.arange(3) < random.integers(1, 4, (60, 1))
    x = random.normal(size=(60, 3, 2)).cumsum(1)
    np.savez(folder / "ragged.npz", x=np.where(mask[..., None], x, np.nan), mask=mask)
    return folder


@pytest.mark.slow
def test_a_model_of_sequences_is_trained_resumed_measured_audited_and_drawn(run: Run, ragged: Path) -> None:
    ended = run("train", *DATA, *PROGRAMS, *SMALL, "--output=whole")
    assert ended.code == 0, ended.err
    before = metrics(ragged / "whole")
    assert run("train", *DATA, *PROGRAMS, *SMALL, "--output=whole", "--resume=true").code == 0
    assert metrics(ragged / "whole") == before
    data = run("evidence", "--run=whole", "--num_samples=400", "--num_particles=[5]", "--json").json()["data"]
    model = LinearDynamicalSystem(2, 1, num_steps=3)
    guide = DeepKalmanSmoother(model, 8)
    load_checkpoint(ragged / "whole", model, guide)
    arguments = KINDS["sequence"].arguments(load(ragged / "ragged.npz"), "test")
    exact = model.log_prob(*arguments).tolist()
    assert [row["exact"] for row in data] == pytest.approx(exact, abs=1e-4)  # by quadrature, in single precision
    sampled = importance(Target(model, guide, *arguments), num_samples=400, search=False)
    assert [row["importance"] for row in data] == pytest.approx(sampled.value.tolist(), abs=1e-4)
    audited = run("audit", "--run=whole", "--limit=2", "--budget=2e4 evaluations")
    assert audited.code == 0, audited.err
    assert (ragged / "whole" / "audit" / "report.html").stat().st_size > 1000
    drawn = run("generate", "--run=whole", "--num_samples=5", "--json")
    assert {Path(f).name for f in drawn.json()["files"]} == {"prior-samples.png", "reconstructions.png", "samples.npz"}
    with np.load(ragged / "whole" / "generate" / "samples.npz") as samples:
        assert samples["x"].shape == (5, 3, 2) and samples["z_z_1"].shape == (5, 1)


@pytest.mark.slow
def test_the_rows_of_digits_are_sequences(run: Run, folder: Path) -> None:
    told = run("train", "--programs.model=deep-markov", *SMALL, "--training.epochs=1", "--output=run", "--json")
    assert told.code == 0, told.err
    record = read_json(folder / "run" / "config.json")["record"]
    assert record["dataset"]["image_shape"] == [8, 8] and record["programs"]["model"] == "deep-markov"
    assert len(read_json(folder / "run" / "result.json")["last"]["kl_per_dim"]) == 8  # a latent site for each row
    refused = run("train", "--programs.model=deep-markov", "--data.name=linear-system", "--output=new")
    assert refused.refused("grey values lie in [0, 1]", "--data.binarize none")
    grey = ("--programs.model=linear-dynamical-system", "--data.binarize=threshold")
    refused = run("train", *grey, "--output=new")
    assert refused.refused("linear-dynamical-system is a model of real numbers", "--data.binarize none")
    refused = run("train", "--programs.model=ppca", "--data.name=linear-system", "--output=new")
    assert refused.refused("sequences of different lengths", "deep-markov")
