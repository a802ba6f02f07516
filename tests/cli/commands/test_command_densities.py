"""Densities on the command line: fitted, opened again, weighed and drawn; what they cannot be asked is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.commands.families import densities
from elbowroom.datasets import load
from elbowroom.densities import DENSITIES, load_density, make_density
from toys.commands import Run
from toys.strict_json import read_json

DATA = ("--data.name=pixels.npy",)
QUICK = ("--fit_options.num_epochs=3", "--fit_options.batch_size=32")
SMALL = {"gan": tuple(f"--density_options.{o}" for o in ("sigma=0.2", "num_steps=3", "num_chains=4", "hidden=[4]"))}
RBM = ("train", *DATA, "--density=rbm", "--density_options.num_hidden=3", *QUICK, "--output=run")


@pytest.fixture
def grey(folder: Path) -> Path:
    """Sixty images of 2×2 pixels of five levels, as bytes."""
    levels = np.random.default_rng(1).integers(0, 5, (60, 2, 2))
    np.save(folder / "grey.npy", np.where(levels == 4, 255, levels).astype(np.uint8))
    np.save(folder / "levels.npy", levels.astype(np.float32))
    return folder / "levels.npy"


def test_a_density_is_fitted_weighed_and_drawn(run: Run, pixels: Path) -> None:
    told = run(*RBM, "--fit_options.method=exact", "--json").json()
    assert told["parameters"] == 9 * 3 + 9 + 3 and told["validation"]["bound"] == "exact"
    density, data = load_density("run"), load("pixels.npy", data_dir=".", binarize="threshold")
    expected = density.log_prob(data.test).value
    found = run("evidence", "--run=run", "--json").json()
    assert found == read_json(Path("run/evidence.json"))
    assert [row["log_p"] for row in found["data"]] == pytest.approx(expected.tolist())
    assert found["log_p"] == pytest.approx(expected.mean().item())
    assert found["bits_per_value"] == pytest.approx(-expected.mean().item() / 9 / np.log(2))
    more = density.log_prob(data.train[torch.linspace(0, 71, 9).round().long()]).value.mean() - expected.mean()
    assert found["train_less_held_out"] == pytest.approx(more.item()) and found["estimation_stderr"] == 0
    shown = run("evidence", "--run=run", "--limit=4").out
    assert "log p(x), exact, of 4 held-out data: -" in shown and "bits per value" in shown
    assert "training data have" in shown and "training" not in run("evidence", "--run=run", "--split=train").out
    drawn = run("generate", "--run=run", "--num_samples=5", "--seed=3", "--json").json()
    assert drawn["files"] == ["run/generate/samples.png", "run/generate/samples.npz"]
    assert Path(drawn["files"][0]).stat().st_size > 200 and "traversal" in drawn["left_out"]
    with np.load("run/generate/samples.npz") as samples:
        assert np.array_equal(samples["x"], density.sample(5, seed=3).numpy())


def test_the_same_command_gives_the_same_density(run: Run, pixels: Path) -> None:
    assert run(*RBM).code == 0
    assert run(*RBM[:-1], "--output=again").code == 0
    assert run(*RBM[:-1], "--output=other", "--seed=1").code == 0
    one, again, other = (Path(name, "density.safetensors").read_bytes() for name in ("run", "again", "other"))
    assert one == again != other
    still = ("--fit_options.learning_rate=1e-9", "--output=still", "--seed=1")
    assert run(*RBM[:-1], *still).code == 0
    begun = make_density("rbm", 9, seed=1, num_hidden=3).network.weight  # the seed is that of the parameters, too
    torch.testing.assert_close(load_density("still").network.weight, begun, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, entry in DENSITIES.items() if entry.data == "any"])
def test_levels_are_those_of_the_file(run: Run, grey: Path, name: str) -> None:
    options = ("--data.name=levels.npy", "--data.binarize=none", f"--density={name}", *QUICK, *SMALL.get(name, ()))
    assert run("train", *options, "--output=run").code == 0
    assert load_density("run").levels == 5
    assert run("evidence", "--run=run").code == 0
    assert run("generate", "--run=run").code == 0
    with np.load("run/generate/samples.npz") as samples:
        assert samples["x"].max() == 4
    assert run("train", *options, "--density_options.levels=3", "--output=few").refused("whole numbers 0 … 2")


def test_zeros_and_ones_are_the_default_where_a_density_takes_both(run: Run, pixels: Path) -> None:
    assert run("train", *DATA, "--density=made", "--density_options.hidden=[8]", *QUICK, "--output=run").code == 0
    assert load_density("run").levels == 2
    assert read_json(Path("run/config.json"))["record"]["data"]["binarize"] == "threshold"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--density_options.hidden=3",), ("density_options: RBM has no option 'hidden'", "it takes num_hidden=16")),
        (("--density_options.num_hidden=0",), ("num_hidden must be an integer from 1", "got 0")),
        (("--fit_options.epochs=3",), ("RBM.fit has no option 'epochs' (did you mean 'num_epochs'?)", "method='pcd'")),
        (("--fit_options.seed=3",), ("no option 'seed'",)),
        (("--fit_options.method=ml",), ("method: got 'ml', expected one of 'pcd', 'exact'",)),
        (("--training.epochs=3",), ("training", "--density rbm has neither", "--fit_options")),
        (("--programs.latent_dim=3",), ("programs", "--density_options")),
        (("--resume",), ("resume",)),
        (("--data.binarize=dynamic",), ("data.binarize", "threshold or static")),
        (("--data.binarize=none", "--data.name=grey.npy"), ("--data.binarize threshold",)),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_written(
    run: Run, pixels: Path, grey: Path, options: tuple[str, ...], told: tuple[str, ...]
) -> None:
    ended = run("train", *DATA, "--density=rbm", "--output=run", *options)
    assert ended.refused(*told), ended
    assert not Path("run").exists()


def test_a_run_of_a_density_is_refused_where_a_guide_is_needed(run: Run, pixels: Path) -> None:
    assert run(*RBM).code == 0
    for command in ("audit", "compare"):
        assert run(command, "--run=run").refused("run is a run of the density rbm, which has neither latents nor")
    assert run("evidence", "--run=run", "--method=bracket").refused("no latents to integrate over")
    assert run(*RBM).refused("output=run is not empty")
    assert run(*RBM[:-1], "--output=run/config.json").refused("run/config.json is no directory; remove or rename it")
    np.save("pixels.npy", 1 - np.load("pixels.npy"))
    assert run("evidence", "--run=run").refused("are not those that run was trained on")
    assert run("evidence", "--run=absent").refused("no run at absent")


def test_families_lists_the_densities(run: Run) -> None:
    shown, told = run("families").out, run("families", "--json").json()["densities"]
    assert list(told) == list(DENSITIES) == list(densities())
    for name, about in told.items():
        assert f"\n{name} ({about['options']})\n    {about['what']}\n    a datum: " in shown
        assert "data_dim" not in about["options"] and f"log p(x): {about['bound']}" in shown
