"""Bags of words: the simulated set and its topics; sparse arrays and vocabularies in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from elbowroom.datasets import KINDS, SPLITS, load
from elbowroom.datasets.topics import CONCENTRATION, VOCABULARY, simulate_topics
from toys.failure_budget import sigmas

COUNTS = np.random.default_rng(0).poisson(0.7, (30, 4)).astype(np.int64)
WORDS = ["alpha", "βήτα", "gamma", "delta"]


def test_the_simulated_set() -> None:
    data = load("topics-simulated")
    assert [data.split(split).shape for split in SPLITS] == [(160, 50), (20, 50), (20, 50)]
    assert data.vocabulary == VOCABULARY and len(set(VOCABULARY)) == 50
    totals = torch.cat([KINDS["bag"].arguments(data, split)[0].sum(1) for split in SPLITS])
    assert totals.min() >= 20 and 90 <= totals.max() <= 100
    digest = data.record()["sha256"]["test"]
    assert digest == load("topics-simulated", seed=5).record()["sha256"]["test"]
    assert digest.startswith("f93359fc132a4d1e")


def test_more_bags_of_the_same_topics() -> None:
    few, many, other = simulate_topics(5), simulate_topics(8), simulate_topics(8, seed=1)
    np.testing.assert_array_equal(few.proportions, many.proportions[:5])
    np.testing.assert_array_equal(few.topics, other.topics)
    assert (many.counts != other.counts).any()


def test_the_words_follow_the_shares_of_the_topics() -> None:
    """Of 4000 bags: totals of each word against their means, moments of θ against the prior that is said."""
    bags = simulate_topics(4000, seed=2)
    totals = bags.counts.sum(1)
    probs = bags.proportions @ bags.topics
    mean, variance = totals @ probs, totals @ (probs * (1 - probs))
    assert (np.abs(bags.counts.sum(0) - mean) < sigmas(50) * np.sqrt(variance)).all()
    assert totals.mean() == pytest.approx(60, abs=sigmas() * 23.4 / np.sqrt(4000))
    ratio = np.log(bags.proportions[:, 0] / bags.proportions[:, 1])  # N(0, 2 s²), s² = (1 − 1/3) / α
    expected = 2 * (1 - 1 / 3) / CONCENTRATION
    assert ratio.var() == pytest.approx(expected, rel=sigmas() * np.sqrt(2 / 4000))


def write(folder: Path, form: str) -> Path:
    if form == "npy":
        np.save(folder / "bags.npy", COUNTS)
    elif form == "dense":
        np.savez(folder / "bags.npz", x=COUNTS)
    else:
        sparse.save_npz(folder / "bags.npz", {"csr": sparse.csr_array, "csc": sparse.csc_matrix}[form](COUNTS))
    return next(folder.glob("bags.np*"))


@pytest.mark.parametrize("form", ["npy", "dense", "csr", "csc"])
def test_counts_and_words_from_files(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form)
    assert load(path).vocabulary == ()
    (tmp_path / "bags.vocabulary.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    data = load("bags" + path.suffix, data_dir=tmp_path)
    assert data.vocabulary == tuple(WORDS)
    assert [file.name for file in data.files] == [path.name, "bags.vocabulary.txt"]
    found = torch.cat([KINDS["bag"].arguments(data, split)[0] for split in SPLITS]).numpy()
    assert sorted(map(tuple, found)) == sorted(map(tuple, COUNTS.astype(np.float32)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"alpha\nbeta\n", "2 words for 4 columns"),
        (b"alpha\n\nbeta\ngamma", "line 2 is empty"),
        (b"\xff\xfe\n", "not UTF-8"),
    ],
)
def test_wrong_vocabularies(tmp_path: Path, text: bytes, message: str) -> None:
    path = write(tmp_path, "npy")
    (tmp_path / "bags.vocabulary.txt").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        load(path)


def _sparse(**changed: Any) -> dict[str, Any]:
    array = sparse.csr_array(COUNTS)
    parts = {"data": array.data, "indices": array.indices, "indptr": array.indptr, "shape": array.shape}
    return {**parts, "format": b"csr", **changed}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": b"coo", "row": np.zeros(2, int), "col": np.arange(2), "data": np.ones(2)}, "'coo', expected 'csr'"),
        ({"indices": np.full(int((COUNTS > 0).sum()), 10**6, np.int32)}, "cannot read .npz"),
        ({"format": b"what"}, "cannot read .npz"),
    ],
)
def test_wrong_sparse_arrays(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "bags.npz", **_sparse(**changed))
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "bags.npz")
