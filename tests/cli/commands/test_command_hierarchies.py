"""Hierarchies on the command line: trained, weighed, drawn; each of the two ways of writing them by its name."""

from pathlib import Path

import pytest

from toys.commands import SMALL, Run, parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "guide", "pictures"),
    [
        ("hierarchical-vae", "top-down", {"prior-samples", "reconstructions", "samples"}),
        ("hierarchical-vae-centred", "bottom-up", {"prior-samples", "reconstructions", "interpolations", "samples"}),
    ],
)
def test_each_with_its_own_guide(run: Run, pixels: Path, model: str, guide: str, pictures: set[str]) -> None:
    options = (f"--programs.model={model}", "--programs.options={latent_dims: [2, 1]}", "--data.name=pixels.npy")
    assert run("train", *options, "--data.binarize=none", *SMALL, "--output=run").code == 0
    assert parameters(Path("run"))["model.priors.0.network.layers.0.weight"].shape == (8, 1)
    assert any(name.startswith("guide.upward") for name in parameters(Path("run")))
    rows = run("evidence", "--run=run", "--num_samples=200", "--num_particles=[5]", "--json").json()["data"]
    assert len(rows) == 9
    drawn = run("generate", "--run=run", "--num_samples=5", "--json").json()
    assert {Path(file).stem for file in drawn["files"]} == pictures


def test_what_makes_a_family_is_not_an_option(run: Run, pixels: Path) -> None:
    options = ("--data.name=pixels.npy", "--data.binarize=none", *SMALL, "--output=run")
    centred = "--programs.options={centred: false}"
    assert run("train", "--programs.model=hierarchical-vae-centred", centred, *options).refused("centred")
    bottom_up = ("--programs.model=hierarchical-vae", "--programs.guide=bottom-up")
    assert run("train", *bottom_up, *options).refused("'bottom-up' does not go with hierarchical-vae")
