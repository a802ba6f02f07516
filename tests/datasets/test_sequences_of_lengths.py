"""Sequences of different lengths: masks in files and by name, and every way of getting them wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from elbowroom.datasets import KINDS, SPLITS, load
from elbowroom.datasets.linear_system import linear_system

X = np.random.default_rng(1).normal(size=(20, 5, 2))
MASK = np.arange(5) < np.random.default_rng(2).integers(1, 6, (20, 1))
HIDDEN = np.where(MASK[..., None], X, np.nan)


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_padding_in_a_file_may_hold_anything(tmp_path: Path) -> None:
    savemat(tmp_path / "c.mat", {"x": X, "mask": MASK.astype(np.uint8)})
    paths = [
        saved(tmp_path / "a.npz", x=HIDDEN, mask=MASK),
        saved(tmp_path / "b.npz", x=X, mask=MASK.astype(float)),
        tmp_path / "c.mat",
    ]
    first, *others = [load(path) for path in paths]
    for data in (first, *others):
        for split in SPLITS:
            x, mask = KINDS["sequence"].arguments(data, split)
            assert x.shape == (len(mask), 5, 2) and mask.dtype == torch.bool and mask.any(1).all()
            assert (x[~mask] == 0).all() and (x[mask] != 0).all()
            assert torch.equal(x, KINDS["sequence"].arguments(first, split)[0])
    joined = torch.cat([KINDS["sequence"].arguments(first, split)[1] for split in SPLITS])
    assert sorted(joined.sum(1).tolist()) == sorted(MASK.sum(1).tolist())


def test_splits_have_masks_of_their_own_and_a_value_a_step_is_a_sequence(tmp_path: Path) -> None:
    arrays = {"x_train": X[:15, :, 0], "mask_train": MASK[:15], "x_test": X[15:, :, 0], "mask_test": MASK[15:]}
    x, mask = KINDS["sequence"].arguments(load(saved(tmp_path / "a.npz", **arrays)), "test")
    assert x.shape == (5, 5, 1) and torch.equal(mask, torch.as_tensor(MASK[15:]))


def test_the_record_tells_masks_apart(tmp_path: Path) -> None:
    other = MASK.copy()
    other[3] = True
    hidden = np.where(MASK[..., None], X, 0.0)  # the same numbers, and in one of them zeros that count
    records = [load(saved(tmp_path / "a.npz", x=hidden, mask=mask)).record()["sha256"] for mask in (MASK, other)]
    assert {name for name in records[0] if records[0][name] != records[1][name]} & {f"{split} mask" for split in SPLITS}


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (MASK[:, :4], r"the train mask has shape \[20, 4\], expected \[20, 5\]"),
        (2.0 * MASK, "the train mask holds other values than zeros and ones"),
        (MASK & (np.arange(20) != 7)[:, None], r"leaves 1 sequences without a step \(first rows: \[7\]\)"),
    ],
)
def test_what_is_no_mask_of_these_data_is_refused(tmp_path: Path, mask: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        load(saved(tmp_path / "a.npz", x=X, mask=mask))


def test_a_split_without_a_mask_beside_one_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a mask of the train array, and none of the test one"):
        load(saved(tmp_path / "a.npz", x_train=X, mask_train=MASK, x_test=X))


def test_programs_without_masks_do_not_get_padding_as_data(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sequences of different lengths, and these programs are given x without"):
        KINDS["real"].arguments(load("linear-system"), "test")


def test_the_linear_system_is_the_same_everywhere() -> None:
    data = load("linear-system")
    x, mask = KINDS["sequence"].arguments(data, "train")
    assert x.shape == (480, 12, 4) and mask.sum(1).unique().tolist() == list(range(4, 13))
    assert x[0, 0].tolist() == pytest.approx([-1.7704, -0.3549, -1.2747, -0.7847], abs=1e-6)
    assert torch.equal(load("linear-system", seed=5).train, data.train)  # a name is one data set
    assert not np.array_equal(linear_system(8, seed=1).data["train"], linear_system(8, seed=0).data["train"])
