"""train -> evidence -> compare -> generate: the files, the JSON, and that the numbers are those of the library."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import arviz
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from elbowroom.datasets import load
from elbowroom.inference import Estimate, Target, importance, quadrature
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo
from toys import arviz_oracle
from toys.commands import SMALL, Run, metrics, parameters, the_target
from toys.strict_json import read_json

DATA = ("--data.name=pixels.npy", *SMALL)
OWN = ("--programs.model=mine:make_model", "--programs.guide=mine:make_guide")


def test_train_writes_what_it_prints(run: Run, folder: Path, pixels: Path) -> None:
    ended = run("train", *DATA, "--output=run", "--seed=3", "--json")
    assert ended.json() == read_json(folder / "run" / "result.json")
    rows = metrics(folder / "run")
    assert [row["epoch"] for row in rows] == [1, 2, 3] and ended.json()["steps"] == 9
    assert ended.json()["last"]["elbo"] == rows[-1]["elbo"]
    assert ended.json()["best_elbo"] == max(row["elbo"] for row in rows if "elbo" in row)
    config = read_json(folder / "run" / "config.json")
    record = config["record"]
    assert config["arguments"]["seed"] == 3
    assert record["seed"] == 3 and record["data"]["name"] == "pixels.npy" and record["programs"]["hidden"] == [8]
    assert {"options", "guide_options", "datum"}.isdisjoint(record["programs"])  # as before there were such
    assert "labels_per_class" not in record["data"]
    assert record["dataset"]["sizes"] == {"train": 72, "validation": 9, "test": 9}


def test_train_for_a_person(run: Run, folder: Path, pixels: Path) -> None:
    ended = run("train", *DATA, "--output=run")
    assert ended.code == 0 and "Training on 72 of pixels.npy (threshold), validating on 9" in ended.out
    last = metrics(folder / "run")[-1]
    assert f"Validation ELBO {last['elbo']:.3f} ± {last['elbo_stderr']:.3f} nats per datum" in ended.out
    assert f"= reconstruction {last['reconstruction']:.3f} − KL {last['kl']:.3f}" in ended.out


def test_how_to_train_is_recorded_and_resumed(run: Run, folder: Path, pixels: Path) -> None:
    """β, optimiser and patience reach `fit`, its record and the result; resuming asks for the same."""
    options = ("--training.beta=0.5", "--training.optimizer=AdamW", "--training.weight_decay=0.2",
               "--training.patience=1", "--training.epochs=200", "--training.learning_rate=0.5")  # fmt: skip
    command = ("train", *DATA, "--output=run", *options)
    result = run(*command, "--json").json()
    assert (result["stopped"], result["beta"], result["bound"]) == ("patience", 0.5, "none")
    arguments = read_json(folder / "run" / "config.json")["arguments"]
    assert (arguments["beta"], arguments["optimizer"], arguments["weight_decay"]) == (0.5, "AdamW", 0.2)
    again = run(*command, "--resume=true")
    assert "ended by patience after epoch" in again.out and "is no bound on log p(x)" in again.out
    assert run(*command, "--training.beta=0.6", "--resume=true").refused("arguments.beta: 0.5 in the run directory")


@pytest.mark.parametrize("chosen", [(), OWN], ids=["family", "own programs"])
def test_the_seed_decides_everything(
    run: Run, folder: Path, pixels: Path, programs: Path, chosen: tuple[str, ...]
) -> None:
    options = (*DATA, *chosen, "--training.learning_rate=1e-9")  # what is seen is how the programs begin
    for seed, output in ((0, "a"), (0, "b"), (1, "c")):
        assert run("train", *options, f"--seed={seed}", f"--output={output}").code == 0
    first, same, other = (parameters(folder / name) for name in "abc")
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.allclose(first[name], other[name], atol=0.01) for name in first if "weight" in name)
    assert metrics(folder / "a") == metrics(folder / "b")


@pytest.mark.parametrize(("family", "shape"), [("ppca", ()), ("factor-analysis", (9,))])
def test_linear_models_on_grey_values(
    run: Run, folder: Path, pixels: Path, family: str, shape: tuple[int, ...]
) -> None:
    np.save("grey.npy", np.load(pixels).reshape(90, 9) * 0.5 + 0.1)
    grey = ("--data.name=grey.npy", "--data.binarize=none", "--programs.likelihood=normal-learned")
    told = run("train", *grey, f"--programs.family={family}", *SMALL[:2], "--output=run", "--json").json()
    learned = parameters(folder / "run")["model.log_sigma"]
    assert learned.shape == shape
    assert told["sigma"] == (None if shape else pytest.approx(learned.exp().item()))
    assert run("evidence", "--run=run", "--num_samples=50", "--num_particles=[5]", "--json").json()["data"]


@pytest.mark.parametrize("which", ["last", pytest.param("best", marks=pytest.mark.slow)])
def test_evidence_is_that_of_the_library(run: Run, trained: Path, which: str) -> None:
    options = ("--num_samples=200", "--num_particles=[5,20,500]", "--seed=4", f"--which={which}", "--json")
    ended = run("evidence", f"--run={trained}", *options)
    found = ended.json()
    assert found == read_json(trained / "evidence.json")
    target = the_target(trained, which)
    sampled, exact = importance(target, num_samples=200, seed=4, num_particles=[5, 20]), quadrature(target)
    rows = found["data"]
    assert [row["datum"] for row in rows] == list(range(9))
    for name, values in {
        "elbo": sampled.info["elbo"],
        "elbo_stderr": sampled.info["elbo_stderr"],
        "iwae_5": sampled.info["iwae"][5],
        "iwae_20": sampled.info["iwae"][20],
        "importance": sampled.value,
        "importance_stderr": sampled.stderr,
        "ess": sampled.info["ess"],
        "pareto_k": sampled.info["pareto_k"],
        "min_ss": sampled.info["min_ss"],
        "convergence_rate": sampled.info["convergence_rate"],
        "exact": exact.value,
        "exact_error": exact.stderr,
        "kl_q_p": exact.info["kl_q_p"],
        "kl_p_q": exact.info["kl_p_q"],
    }.items():
        assert [row[name] for row in rows] == [v if math.isfinite(v) else None for v in values.tolist()], name
    assert [row["flag"] for row in rows] == list(sampled.flags)
    assert "iwae_500" not in rows[0]  # more particles than samples
    assert (found["num_samples"], found["seed"], found["split"]) == (200, 4, "test")


def test_evidence_options(run: Run, folder: Path, trained: Path) -> None:
    common = (f"--run={trained}", "--num_samples=50", "--json")
    part = run("evidence", *common, "--limit=2", "--exact=no", "--output=elsewhere").json()
    assert len(part["data"]) == 2 and "exact" not in part["data"][0]
    assert part == read_json(folder / "elsewhere" / "evidence.json")
    assert not (trained / "evidence.json").exists()
    whole = run("evidence", *common, "--exact=no").json()
    for row, alone in zip(whole["data"][:2], part["data"], strict=True):  # equal up to single precision's rounding
        assert row["elbo"] == pytest.approx(alone["elbo"], rel=1e-6)
    validation = run("evidence", *common, "--split=validation", "--exact=no").json()
    assert validation["data"] != whole["data"]


def test_a_value_that_the_exact_one_contradicts_is_flagged(
    run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file and in the table: an importance value cannot stand unflagged in the row of an exact one 5 nats up."""

    def higher(target: Target, **options: Any) -> Estimate[QuadratureInfo]:
        found = quadrature(target, **options)
        return replace(found, value=found.value + 5.0)

    monkeypatch.setattr("elbowroom.commands.evidence.quadrature", higher)
    options = (f"--run={trained}", "--num_samples=300", "--limit=3")
    for row in run("evidence", *options, "--json").json()["data"]:
        assert row["flag"].endswith("below exact") and "nats" in row["flag"] and not row["exact_flag"]
    assert "importance sampling is flagged for 3 of 3" in " ".join(run("evidence", *options).out.split())


def test_numbers_that_are_not_finite_are_null(run: Run, trained: Path) -> None:
    """Ten samples have no tail to judge."""
    ended = run("evidence", f"--run={trained}", "--num_samples=10", "--num_particles=[10]", "--exact=no", "--json")
    assert [row["pareto_k"] for row in ended.json()["data"]] == [None] * 9
    assert "too few" in ended.json()["data"][0]["flag"]


def test_evidence_for_a_person(run: Run, trained: Path) -> None:
    ended = run("evidence", f"--run={trained}", "--num_samples=200", "--num_particles=[5]")
    assert ended.code == 0
    lines = ended.out.splitlines()
    for name in ("ELBO", "IWAE-5", "importance", "quadrature"):
        assert any(line.strip().startswith(name) for line in lines), name
    assert str(trained / "evidence.json") in ended.out


@pytest.mark.slow
def test_the_best_checkpoint_is_not_the_last(run: Run, folder: Path, pixels: Path) -> None:
    """A learning rate that ruins the run after its first epochs."""
    ruined = (*SMALL[1:], "--training.epochs=8", "--training.learning_rate=0.5", "--training.schedule=constant")
    assert run("train", "--data.name=pixels.npy", *ruined, "--output=run").code == 0
    assert read_json(folder / "run" / "result.json")["best_epoch"] < 8
    means = {}
    for which in ("last", "best"):
        rows = run("evidence", "--run=run", f"--which={which}", "--num_samples=20", "--exact=no", "--json").json()[
            "data"
        ]
        means[which] = sum(row["elbo"] for row in rows) / len(rows)
    assert means["best"] > means["last"]


@pytest.mark.slow
def test_compare_writes_tables_that_agree(run: Run, trained: Path) -> None:
    import xarray as xr

    small = ("--num_samples=300", "--num_chains=2", "--num_warmup=20", "--num_draws=30", "--indices=[7,2]")
    ended = run("compare", f"--run={trained}", *small, "--seed=5")
    assert "\nNUTS runs for each of 2 data by itself, 120 s at most in all (--budget)." in ended.out
    found = read_json(trained / "compare" / "comparison.json")
    assert ended.code == 0 and how_arviz_reads(ended.out) == len(plt.get_fignums()) == 1
    plt.close("all")
    assert found["data"] == [7, 2] and found["reference"] == "quadrature"
    assert {row["method"] for row in found["posteriors"]} == {"guide", "importance", "nuts", "quadrature"}
    assert sorted(Path(file).name for file in found["files"]) == ["comparison.nc", "posteriors.png"]
    assert all(Path(file).stat().st_size > 1000 for file in found["files"])
    exact = quadrature(the_target(trained))
    for row, datum in zip(found["evidence"], (7, 2), strict=True):
        assert row["datum"] == datum
        assert row["exact"] == pytest.approx(exact.value[datum].item(), abs=1e-5)
        assert row["kl_q_p"] == pytest.approx(exact.info["kl_q_p"][datum].item(), abs=1e-5)
    with xr.open_datatree(trained / "compare" / "comparison.nc", engine="h5netcdf") as tree:
        posterior = tree["posterior"].to_dataset()
        assert dict(posterior["z"].sizes) == {"chain": 2, "draw": 30, "datum": 2, "latent": 2}
        assert posterior["datum"].values.tolist() == [7, 2]
        test = load(trained.parent / "pixels.npy", binarize="threshold").test
        assert np.array_equal(tree["observed_data"]["x"].values.reshape(2, 9), test[[7, 2]].numpy())


@pytest.mark.slow
def test_compare_chooses_from_typical_to_worst(run: Run, trained: Path) -> None:
    found = run("compare", f"--run={trained}", "--mcmc=false", "--num_samples=300", "--json").json()
    assert found == read_json(trained / "compare" / "comparison.json")
    estimate = importance(the_target(trained), num_samples=1000, seed=0)
    order = (estimate.value - estimate.info["elbo"]).argsort().tolist()
    assert len(found["data"]) == 4 and (found["data"][0], found["data"][-1]) == (order[4], order[8])
    assert found["mcmc"] is None and all(row["method"] != "nuts" for row in found["posteriors"])


def test_compare_without_chains_for_a_person(run: Run, trained: Path) -> None:
    ended = run("compare", f"--run={trained}", "--num_samples=300", "--indices=[7,2]", "--mcmc=false")
    assert ended.code == 0 and "KL(q‖p)" in ended.out
    assert how_arviz_reads(ended.out) == len(plt.get_fignums()) == 0


def how_arviz_reads(out: str) -> int:
    """The line is Python, and right with either ArviZ: follows it for data 7 and 2, and returns how many plots."""
    (line,) = (line for line in out.splitlines() if line.startswith("With ArviZ: "))
    opening, summary, *plots = line.removeprefix("With ArviZ: ").split("; ")
    scope: dict[str, Any] = {"arviz": arviz}
    with arviz_oracle.quietly():
        exec(opening, scope)
        assert list(eval(summary, scope).index) == [f"z[{datum}, {latent}]" for datum in (7, 2) for latent in (0, 1)]
        for plot in plots:
            eval(plot, scope)
    return len(plots)


@pytest.mark.slow
def test_generate_draws_pictures_of_the_trained_model(run: Run, trained: Path) -> None:
    ended = run("generate", f"--run={trained}", "--num_samples=5", "--seed=2", "--json")
    names = {Path(file).name for file in ended.json()["files"]}
    assert {"prior-samples.png", "reconstructions.png", "traversal.png", "interpolations.png", "samples.npz"} == names
    assert all(Path(file).stat().st_size > 200 for file in ended.json()["files"])
    with np.load(trained / "generate" / "samples.npz", allow_pickle=False) as samples:
        z, mean = torch.from_numpy(samples["z"]), torch.from_numpy(samples["mean"])
    assert z.shape == (5, 2) and mean.shape == (5, 9)
    with torch.no_grad():
        decoded = the_target(trained).model.decode(z).mean
    assert torch.allclose(decoded, mean, atol=1e-6)
    assert run("generate", f"--run={trained}", "--num_samples=5", "--seed=2", "--output=again").code == 0
    with np.load("again/samples.npz") as same:
        assert np.array_equal(same["z"], z.numpy())


@pytest.mark.parametrize("guide", ["none", "categorical"])
def test_a_mixture_is_weighed_exactly_and_drawn_by_its_posterior_means(
    run: Run, folder: Path, pixels: Path, guide: str
) -> None:
    named = ("--programs.model=mixture", f"--programs.guide={guide}", "--programs.options={num_components: 3}")
    ended = run("train", "--data.name=pixels.npy", "--training.epochs=3", *named, "--output=run", "--json")
    assert ended.code == 0, ended
    assert run("evidence", "--run=run", "--num_samples=500", "--json").code == 0
    for row in read_json(folder / "run" / "evidence.json")["data"]:
        assert row["importance"] == pytest.approx(row["exact"], abs=1e-4) and not row["flag"]
        assert row["exact"] - row["elbo"] == pytest.approx(0, abs=1e-4 if guide == "none" else 1)
        assert "kl_q_p" not in row  # nothing is left of q
    drawn = run("generate", "--run=run", "--num_samples=5")
    assert drawn.code == 0 and "No traversal" in drawn.out and "No interpolations" in drawn.out
    names = {path.name for path in (folder / "run" / "generate").iterdir()}
    assert names == {"prior-samples.png", "reconstructions.png", "samples.npz", "generate.json"}
    told = "continuous latents" if guide == "none" else "discrete"
    assert run("compare", "--run=run", "--indices=[0]").refused(told)
