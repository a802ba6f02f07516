"""Topic models on the command line: bags of words trained, weighed, audited, and drawn with their words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elbowroom.datasets import KINDS, load
from elbowroom.inference import Estimate, perplexity
from toys.commands import Run
from toys.strict_json import read_json

TRAIN = (
    "train",
    "--data.name=bags.npy",
    "--programs.model=topics",
    "--programs.encoder_hidden=[8]",
    "--training.epochs=4",
    "--training.batch_size=32",
)


@pytest.fixture
def bags(folder: Path) -> Path:
    """60 bags of up to 300 words, small numbers of bits, and a vocabulary of nine words."""
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(2), 60) @ random.dirichlet(np.full(9, 0.5), 2)
    counts = np.stack([random.multinomial(n, p) for n, p in zip(random.integers(0, 301, 60), shares, strict=True)])
    np.save(folder / "bags.npy", np.minimum(counts, 255).astype(np.uint8))
    (folder / "bags.vocabulary.txt").write_text("\n".join("abcdefghi"))
    return folder / "bags.npy"


@pytest.mark.slow
def test_a_topic_model_is_asked_everything(run: Run, bags: Path) -> None:
    assert run(*TRAIN, "--programs.options={num_topics: 2, topics: mixture}", "--output=run").code == 0
    assert read_json(Path("run/config.json"))["record"]["programs"]["options"] == {"num_topics": 2, "topics": "mixture"}
    told = run("evidence", "--run=run", "--num_samples=200", "--num_particles=[5]", "--json").json()
    assert all(row["elbo"] < row["exact"] + 4 * row["elbo_stderr"] for row in told["data"])
    check_perplexities(told, {"elbo": "upper", "exact": "exact"})
    audited = run("audit", "--run=run", "--limit=3", "--budget=1e4 evaluations", "--num_simulations=20", "--json")
    assert audited.code == 0 and Path("run/audit/report.html").stat().st_size > 1000
    drawn = run("generate", "--run=run", "--num_samples=5", "--json").json()
    assert {Path(file).stem for file in drawn["files"]} >= {"prior-samples", "reconstructions", "topics", "samples"}
    assert (
        "a datum is a bag" in drawn["left_out"]["traversal"]
        and "a datum is a bag" in drawn["left_out"]["interpolations"]
    )
    with np.load("run/generate/samples.npz") as samples:
        np.testing.assert_allclose(samples["mean"].sum(1), 1, rtol=1e-5)  # of one word


@pytest.mark.slow
def test_evidence_says_the_perplexity_with_what_it_bounds(run: Run, bags: Path) -> None:
    assert run(*TRAIN, "--programs.options={num_topics: 2, topics: mixture}", "--output=run").code == 0
    quick = ("evidence", "--run=run", "--limit=2", "--exact=no")
    said = run(*quick, "--num_samples=200", "--num_particles=[5]").out
    assert re.search(r"importance: perplexity \d.* \(95 %: .* … .*\), an upper bound, of \d+ words\nas a sample", said)
    check_perplexities(read_json(Path("run/evidence.json")), {"elbo": "upper", "importance": "upper"})
    told = run(*quick, "--method=bracket", "--budget=1e5 evaluations", "--json").json()
    check_perplexities(told, {"lower": "upper", "upper": "lower"})


def check_perplexities(told: dict[str, Any], bounds: dict[str, str]) -> None:
    """Against the numbers of each bag that stand beside them, and what each is to bound."""
    bags = KINDS["bag"].arguments(load("bags.npy", binarize="none"), "test")[0][: len(told["data"])]
    assert list(told["perplexity"]) == list(bounds)
    for name, bound in bounds.items():
        error = "exact_error" if name == "exact" else f"{name}_stderr"
        value, stderr = (torch.tensor([row[key] for row in told["data"]]) for key in (name, error))
        expected, found = perplexity(Estimate(value, stderr, "none"), bags), told["perplexity"][name]
        assert (found["value"], found["stderr"]) == pytest.approx((expected.value, expected.stderr), rel=1e-6)
        assert found["interval"] == pytest.approx(expected.interval, rel=1e-6) and found["bound"] == bound


def test_grey_values_and_missing_options_are_refused(run: Run, bags: Path) -> None:
    assert run(*TRAIN, "--output=run").refused("ProdLDA needs num_topics")
    options = "--programs.options={num_topics: 2}"
    assert run(*TRAIN, options, "--data.binarize=threshold").refused("this model is of whole numbers")
