"""Models of data beside a context on the command line: labels, some labels, the half of an image."""

from pathlib import Path

import numpy as np
import pytest

from toys.commands import Run, parameters
from toys.strict_json import read_json

SHORT = ("--training.epochs=3", "--training.batch_size=32", "--programs.hidden=[6]", "--programs.encoder_hidden=[6]")


@pytest.fixture
def labelled(pixels: Path) -> Path:
    """The pixels with a label: how many of the first two are on."""
    x = np.load(pixels)
    np.savez("labelled.npz", x=x, y=x[:, 0, :2].sum(1).astype(np.int64))
    return Path("labelled.npz")


def answered(run: Run, *programs: str) -> set[str]:
    """Trained, weighed, audited and drawn; which pictures there are."""
    data = ("--data.name=labelled.npz", "--data.binarize=none")
    assert run("train", *data, *programs, *SHORT, "--output=run").code == 0
    rows = run("evidence", "--run=run", "--num_samples=500", "--num_particles=[5]", "--json").json()["data"]
    assert len(rows) == 9
    assert sum(abs(row["importance"] - row["exact"]) < 4 * row["importance_stderr"] + 1e-3 for row in rows) >= 7
    audited = run("audit", "--run=run", "--limit=3", "--budget=2e4 evaluations", "--num_simulations=20", "--json")
    assert audited.code == 0 and Path("run/audit/report.html").stat().st_size > 1000
    drawn = run("generate", "--run=run", "--num_samples=5", "--json").json()
    assert all(Path(file).stat().st_size > 200 for file in drawn["files"])
    return {Path(file).stem for file in drawn["files"]}


def test_data_given_their_label(run: Run, labelled: Path) -> None:
    drawn = answered(run, "--programs.model=conditional-vae", "--programs.options={prior: standard}")
    assert drawn == {"prior-samples", "reconstructions", "samples"}
    assert parameters(Path("run"))["guide.encoder.layers.0.weight"].shape == (6, 9 + 3)
    assert not any("latents.network" in name for name in parameters(Path("run")))


@pytest.mark.slow
def test_the_rest_of_an_image(run: Run, labelled: Path) -> None:
    drawn = answered(run, "--programs.model=completion-vae")
    assert drawn == {"prior-samples", "reconstructions", "samples"}
    assert parameters(Path("run"))["guide.encoder.layers.0.weight"].shape == (6, 3 + 6)
    with np.load("run/generate/samples.npz") as samples:
        assert samples["x"].shape == (5, 3)
    compared = run("compare", "--run=run", "--indices=[0]", "--mcmc=false", "--num_samples=100")
    assert compared.code == 0 and Path("run/compare/posteriors.png").stat().st_size > 1000, compared.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guide", "drawn"), [("normal", set()), ("label-and-normal", {"reconstructions"})], ids=["z", "y and z"]
)
def test_few_labels(run: Run, labelled: Path, guide: str, drawn: set[str]) -> None:
    options = ("--programs.model=semi-supervised-vae", f"--programs.guide={guide}", "--data.labels_per_class=3")
    assert answered(run, *options) == {"prior-samples", "samples"} | drawn
    assert parameters(Path("run"))["model.label_logits"].shape == (3,)
    assert read_json(Path("run/config.json"))["record"]["data"]["labels_per_class"] == 3
