"""Zeros and ones: exact where exact is possible, the same on every machine, and refused where they are missing."""

import hashlib
from typing import get_args

import numpy as np
import pytest
import torch

from elbowroom.datasets import Binarize, Dataset, check_binary, load, philox
from elbowroom.datasets.binarize import binarize_rows, check_mode

MASK = 2**64 - 1


def philox_words(counter: int, key: tuple[int, int]) -> list[int]:
    """Philox4x64-10 from the paper (Salmon et al. 2011, section 4.3), in Python integers."""
    c, k = [(counter >> 64 * i) & MASK for i in range(4)], list(key)
    for _ in range(10):
        first, second = c[0] * 0xD2E7470EE14C6C93, c[2] * 0xCA5A826395121157
        c = [(second >> 64) ^ c[1] ^ k[0], second & MASK, (first >> 64) ^ c[3] ^ k[1], first & MASK]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
    return c


def test_reference_generator() -> None:
    """The known answer of the Random123 library's `kat_vectors` for counter 0 and key 0."""
    expected = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox_words(0, (0, 0)) == expected


def test_static_draw_follows_its_formula() -> None:
    """u_i from word i of Philox keyed on (seed, sha256 of the stream's name): computed here in Python integers."""
    p = np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 8)
    stream = int.from_bytes(hashlib.sha256(b"binarize/test").digest()[:8], "little")
    words = [w for block in range(1, 7) for w in philox_words(block, (5, stream))]  # NumPy counts blocks from 1
    expected = [float((w >> 11) / 2**53 < float(x)) for w, x in zip(words, p.ravel(), strict=True)]
    np.testing.assert_array_equal(binarize_rows(p, "test", "static", seed=5).ravel(), expected)


def test_static_draw_of_a_row_depends_on_no_later_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it depend on how many words are drawn at a time."""
    p = np.random.default_rng(0).random((40, 9)).astype(np.float32)
    whole = binarize_rows(p, "train", "static", seed=1)
    np.testing.assert_array_equal(binarize_rows(p[:7], "train", "static", seed=1), whole[:7])
    monkeypatch.setattr(philox, "_CHUNK", 7)
    np.testing.assert_array_equal(binarize_rows(p, "train", "static", seed=1), whole)


def test_static_draw_has_its_probabilities() -> None:
    """20000 rows with p = 0, .1, .5, .9, 1: exact at the ends, 4.5 standard errors between them."""
    p = np.tile(np.array([0, 0.1, 0.5, 0.9, 1], np.float32), (20000, 1))
    mean = binarize_rows(p, "train", "static", seed=2).mean(0, dtype=np.float64)
    assert mean[0] == 0 and mean[4] == 1
    assert (np.abs(mean - p[0]) <= 4.5 * np.sqrt(p[0] * (1 - p[0]) / 20000)).all()


def test_seed_and_split_make_other_draws() -> None:
    half = np.full((50, 50), 0.5, np.float32)
    draws = [binarize_rows(half, split, "static", seed=seed) for split in ("train", "test") for seed in (0, 1)]
    for i, one in enumerate(draws):
        for other in draws[i + 1 :]:  # 2500 fair coins each: agreement 1250 ± 25
            assert abs((one == other).sum() - 1250) < 125


def test_threshold_is_strict() -> None:
    x = np.array([[0.0, 0.3, 0.30001, 0.5, 1.0]], np.float32)
    assert binarize_rows(x, "train", "threshold", threshold=0.3).tolist() == [[0, 0, 1, 1, 1]]
    assert binarize_rows(x, "train", "threshold", threshold=0.5).tolist() == [[0, 0, 0, 0, 1]]


def test_dynamic() -> None:
    """Training data stay grey, held-out data are the static draw; `prepare` draws with torch's global generator."""
    grey, static, dynamic = (load("digits", binarize=mode, seed=3) for mode in ("none", "static", "dynamic"))
    assert torch.equal(dynamic.train, grey.train)
    assert torch.equal(dynamic.validation, static.validation) and torch.equal(dynamic.test, static.test)
    assert grey.prepare is None and static.prepare is None and dynamic.prepare is not None
    torch.manual_seed(0)
    drawn = dynamic.prepare(dynamic.train)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.bernoulli(dynamic.train))
    assert not torch.equal(drawn, dynamic.prepare(dynamic.train))
    assert drawn.dtype == torch.float32
    check_binary(drawn)


def test_loading_leaves_the_global_generators_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    load("digits", binarize="static")
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_bernoulli_on_grey_values_is_refused_with_three_ways_out() -> None:
    x = torch.zeros(6, 4)
    check_binary(x, "x")
    check_binary(1 - x, "x")
    x[2, 1], x[5, 0] = 0.25, torch.nan
    with pytest.raises(
        ValueError, match=r"pixels: a Bernoulli likelihood on grey values \(such as 0.25; rows 2, 5\)"
    ) as e:
        check_binary(x, "pixels")
    for way in ("threshold", "static", "dynamic", "Normal likelihood"):
        assert way in str(e.value)
    assert "of which a trained model wants the one that it was trained with" in str(e.value)


def test_check_binary_looks_at_a_data_set_as_the_programs_see_it() -> None:
    for mode in ("threshold", "static", "dynamic"):
        check_binary(load("digits", binarize=mode))
    with pytest.raises(ValueError, match=r"digits \(train\): .* \(1257 in all\)"):
        check_binary(load("digits"))
    ones, grey = torch.ones(2, 3), torch.full((2, 3), 0.5)
    with pytest.raises(ValueError, match=r"mine \(test\): "):
        check_binary(Dataset("mine", grey, ones, grey, None, binarize="dynamic"))


def test_modes_and_thresholds() -> None:
    for mode in get_args(Binarize):
        check_mode(mode, 0.5)
    with pytest.raises(
        ValueError, match="binarize must be one of 'none', 'threshold', 'static', 'dynamic', got 'otsu'"
    ):
        load("digits", binarize="otsu")  # type: ignore[arg-type]
    for threshold in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="threshold must be a number from 0 to below 1"):
            load("digits", binarize="threshold", threshold=threshold)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "0"])
def test_bad_seed(seed: object) -> None:
    with pytest.raises((ValueError, TypeError), match="seed must"):
        load("digits", seed=seed)  # type: ignore[arg-type]
