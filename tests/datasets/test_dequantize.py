"""Noise that makes real numbers of integers: within their own steps, seeded, and refused where there are none."""

from pathlib import Path

import numpy as np
import pytest
import torch

from elbowroom.datasets import dequantized, load


def test_each_value_stays_within_its_own_step() -> None:
    levels = torch.arange(256).repeat(40, 1)
    y = dequantized(levels, 256, seed=3)
    assert torch.equal((y * 256).floor().long(), levels)
    u = y * 256 - levels
    assert abs(u.mean().item() - 0.5) < 4 * (1 / 12 / u.numel()) ** 0.5
    assert y.min() >= 0 and y.max() < 1


def test_a_seed_is_one_draw_and_rows_do_not_depend_on_those_behind() -> None:
    x = torch.randint(0, 17, (6, 5))
    assert torch.equal(dequantized(x, 17, seed=1), dequantized(x, 17, seed=1))
    assert torch.equal(dequantized(x, 17, seed=1)[:4], dequantized(x[:4], 17, seed=1))
    assert not torch.equal(dequantized(x, 17, seed=1), dequantized(x, 17, seed=2))


@pytest.mark.parametrize(
    "x", [torch.rand(3, 2), torch.tensor([[17.0]]), torch.tensor([[-1.0]]), torch.tensor([[np.nan]])]
)
def test_other_values_are_refused(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="no levels 0 … 16"):
        dequantized(x, 17)


def test_digits_are_levels_of_sixteen() -> None:
    grey, noisy = load("digits"), load("digits", dequantize="static")
    assert torch.equal((noisy.test * 17).floor(), (grey.test * 16).round())
    assert (grey.unit, noisy.unit) == (1 / 16, 1 / 17)
    assert noisy.record()["dequantize"] == "static" and noisy.prepare is None


def test_dynamic_noise_is_drawn_for_each_minibatch() -> None:
    data = load("digits", dequantize="dynamic")
    assert torch.equal(data.train, load("digits").train)
    assert torch.equal(data.test, load("digits", dequantize="static").test)
    assert data.prepare is not None
    one, label = data.prepare(data.train[:8], torch.arange(8))
    assert torch.equal((one * 17).floor(), (data.train[:8] * 16).round()) and torch.equal(label, torch.arange(8))
    assert not torch.equal(one, data.prepare(data.train[:8]))


def test_what_has_no_levels_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32))
    with pytest.raises(ValueError, match="integers whose range is known"):
        load(tmp_path / "real.npy", dequantize="static")
    with pytest.raises(ValueError, match="give one of the two"):
        load("digits", binarize="threshold", dequantize="static")
    with pytest.raises(ValueError, match="dequantize must be one of"):
        load("digits", dequantize="yes")
