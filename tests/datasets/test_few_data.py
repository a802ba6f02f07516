"""Some rows of a large file: the same data as of all of it, in little memory; and what is left out is said."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elbowroom.datasets import KINDS, SPLITS, few, load

N = 60
SHAPES = np.random.default_rng(0).integers(0, 2, (N, 8, 8), dtype=np.uint8)
CLASSES = np.stack([np.zeros(N, int), np.arange(N) % 3, np.arange(N) % 6, *np.zeros((3, N), int)], 1)


def dsprites(path: Path, imgs: Any = SHAPES) -> Path:
    """The keys of dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz, with its pickled description."""
    latents = {"latents_classes": CLASSES, "latents_values": CLASSES.astype(float)}
    np.savez_compressed(path, metadata=np.array({"title": "dSprites"}), imgs=imgs, **latents)
    return path


def test_a_file_like_dsprites(tmp_path: Path) -> None:
    """The pickle in it is not read, and of six classes a datum none is a label: both are said."""
    data = load(dsprites(tmp_path / "dsprites.npz"))
    assert [len(data.split(split)) for split in SPLITS] == [48, 6, 6]
    assert data.scale == 1 and data.image_shape == (8, 8) and not data.labels
    unread, classes = data.notes
    assert unread == "not read: 'metadata', 'latents_values'"
    assert "labels of the train array was left out: shape [60, 6], expected one number a datum" in classes
    assert data.record()["notes"] == [unread, classes]
    with pytest.raises(ValueError, match=r"no labels of the test split.*shape \[60, 6\]"):
        KINDS["labelled"].arguments(data, "test")


@pytest.mark.parametrize("limit", [1, 4, 1000])
@pytest.mark.parametrize("kind", ["npz", "npy", "columns", "big", "grey", "mat"])
def test_the_first_data_of_each_split_are_those_of_all(tmp_path: Path, kind: str, limit: int) -> None:
    """Whatever the order of the values in the file; and they are scaled as all of them are."""
    from scipy.io import savemat

    values = SHAPES.astype(">i2") if kind == "big" else SHAPES
    if kind == "grey":
        values = SHAPES.copy()
        values[17] = 255  # in one datum only
    if kind == "columns":
        values = np.asfortranarray(values)
    path = tmp_path / ("x.npz" if kind in ("npz", "grey") else "x.mat" if kind == "mat" else "x.npy")
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        (np.savez if path.suffix == ".npz" else lambda p, **arrays: savemat(p, arrays))(
            path, x_train=values, y_train=np.arange(N), x_test=values[:5]
        )
    whole, part = load(path), load(path, limit=limit)
    assert part.scale == whole.scale == (255 if kind == "grey" else 1)
    for split in SPLITS:
        assert torch.equal(part.split(split), whole.split(split)[:limit])
        if split in whole.labels:
            assert torch.equal(part.labels[split], whole.labels[split][:limit])
    assert part.split_rule == f"{whole.split_rule}; of each the first {limit}"
    assert torch.equal(load(path, limit=limit, whole=True).test, load(path, whole=True).test[:limit])


def test_masks_of_few_sequences(tmp_path: Path) -> None:
    mask = np.arange(3) < 1 + np.arange(N)[:, None] % 3
    np.savez(tmp_path / "x.npz", x=SHAPES[:, :3], mask=mask)
    whole, part = load(tmp_path / "x.npz"), load(tmp_path / "x.npz", limit=4)
    for split in SPLITS:
        assert torch.equal(part.masks[split], whole.masks[split][:4])
    np.savez(tmp_path / "x.npz", x=SHAPES[:, :3], mask=mask[:12])
    with pytest.raises(ValueError, match=r"the train mask has shape \[12, 3\], expected"):
        load(tmp_path / "x.npz", limit=4)


def test_few_data_take_little_memory(tmp_path: Path) -> None:
    """24 MB in the file as bytes, and 98 MB as 32-bit numbers; 30 data are 0.5 MB, and a piece of the file is 4 MB."""
    path = tmp_path / "x.npz"
    images = np.zeros((6000, 64, 64), np.uint8)
    images[:, :20, :20] = np.arange(6000)[:, None, None] % 2
    np.savez_compressed(path, imgs=images)
    tracemalloc.start()
    try:
        data = load(path, limit=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [len(data.split(split)) for split in SPLITS] == [10, 10, 10]
    assert peak < 15e6


def test_more_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "_memory", lambda: 20_000)  # 60 data of 64 values are 15 kB, and their splits once more
    np.save(tmp_path / "x.npy", SHAPES)
    with pytest.raises(ValueError, match=r"x\.npy: train \[60, 8, 8\] takes .* limit=…"):
        load(tmp_path / "x.npy")
    assert len(load(tmp_path / "x.npy", limit=5).test) == 5
    with pytest.raises(ValueError, match=r"limit must be an integer from 1 .* got 0"):
        load(tmp_path / "x.npy", limit=0)


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", SHAPES)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"x\.npy: cannot read .npy: it ends within row 58 of 60.*truncated"):
        load(tmp_path / "x.npy", limit=5)
    (tmp_path / "x.npy").write_bytes(whole[:20])
    with pytest.raises(ValueError, match=r"x\.npy: cannot read .npy"):
        load(tmp_path / "x.npy")


def test_what_stands_as_labels_and_is_none(tmp_path: Path) -> None:
    for y, why in (
        (np.array(["cat", "dog"] * 30), r"dtype <U3, expected whole numbers"),
        (np.eye(3)[np.arange(N) % 3], r"shape \[60, 3\], expected one number a datum.*argmax"),
        (np.linspace(0, 1, N), "numbers that are not whole"),
    ):
        np.savez(tmp_path / "x.npz", x=SHAPES, y=y)
        data = load(tmp_path / "x.npz")
        assert not data.labels and len(data.notes) == 1
        with pytest.raises(ValueError, match=why):
            KINDS["labelled"].arguments(data, "test")
    np.savez(tmp_path / "x.npz", x=SHAPES, y_test=np.arange(N))
    assert load(tmp_path / "x.npz").notes[0].endswith("there are no test data")
