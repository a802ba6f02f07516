"""Arrays of the page: what is read is what was written, to the bit or to a known step."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from elbowroom.report.explorer.encoded import FAR, STEP, bytes_text, floats_text, places_text, surface_text, varints
from toys.explorer_reader import bytes_in, floats_in, places_in, surface_in, whole_numbers

SHAPES = npst.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=7)
NATS = st.floats(-1e6, 1e4) | st.sampled_from([-math.inf, math.nan, 0.0, -FAR, -1.5 * FAR])


@settings(max_examples=150, deadline=None)
@given(npst.arrays(np.float64, SHAPES, elements=NATS))
def test_a_surface_is_read_to_half_a_step(values: np.ndarray) -> None:
    read = surface_in(surface_text(torch.from_numpy(values)))
    top = values[np.isfinite(values)].max(initial=-np.inf)
    gone = ~np.isfinite(values) | (values < top - FAR)
    assert (read[gone] == -np.inf).all() and read.shape == values.shape
    assert np.abs(read[~gone] - values[~gone]).max(initial=0.0) <= STEP / 2 + 1e-9 < 1e-3


def test_a_surface_of_nothing_but_minus_infinity() -> None:
    assert (surface_in(surface_text(torch.full((3, 3), -math.inf))) == -np.inf).all()


@settings(max_examples=100, deadline=None)
@given(npst.arrays(np.int64, npst.array_shapes(max_dims=1, max_side=20), elements=st.integers(-(2**52), 2**52)))
def test_whole_numbers_are_read_exactly(numbers: np.ndarray) -> None:
    assert (whole_numbers(varints(numbers)) == numbers).all()


@pytest.mark.parametrize(
    "numbers, written", [([0, -1, 1, -2], b"\0\1\2\3"), ([64], b"\x80\1"), ([-64, 63], b"\x7f\x7e")]
)
def test_whole_numbers_are_zigzag_varints(numbers: list[int], written: bytes) -> None:
    assert varints(np.array(numbers)) == written


@settings(max_examples=100, deadline=None)
@given(npst.arrays(np.uint8, npst.array_shapes(max_dims=4, min_side=0, max_side=5)))
def test_bytes_are_read_exactly(values: np.ndarray) -> None:
    assert (bytes_in(bytes_text(torch.from_numpy(values))) == values).all()


def test_smooth_pictures_take_less_for_their_differences() -> None:
    lattice = torch.linspace(0, 40, 33)[:, None] + torch.linspace(0, 90, 33)
    smooth = (lattice + 3 * torch.arange(16)[:, None, None]).round().to(torch.uint8)
    noise = torch.randint(0, 256, smooth.shape).to(torch.uint8)
    one, other = bytes_text(smooth), bytes_text(noise)
    assert one["axes"] != [] and 10 * len(one["data"]) < len(other["data"])


def test_places_are_read_to_half_a_step_of_the_window_in_some_order() -> None:
    window = torch.tensor([[-1.0, 3.0], [10.0, 10.5]])
    places = torch.rand(200, 2) * torch.tensor([6.0, 0.7]) + torch.tensor([-2.0, 9.9])
    far = torch.tensor([[-50.0, 10.2], [0.0, math.nan]])
    read = places_in(places_text(torch.cat([places, far]), window), window.tolist())
    order = np.lexsort(read.T[::-1])
    assert read.shape == (200, 2) and (order == np.arange(200)).all()
    step = np.array([4.0, 0.5]) / 1024
    nearest = np.abs(read[:, None] - places.numpy()) / step
    assert nearest.max(-1).min(0).max() <= 0.51 and nearest.max(-1).min(1).max() <= 0.51


def test_a_line_and_no_draws_at_all_are_places_too() -> None:
    window = torch.tensor([[0.0, 2.0]])
    assert np.allclose(places_in(places_text(torch.tensor([[1.0], [0.5]]), window), [[0.0, 2.0]]), [[0.5], [1.0]])
    assert places_in(places_text(torch.zeros(0, 1), window), [[0.0, 2.0]]).shape == (0, 1)


def test_floats_keep_what_is_not_finite() -> None:
    values = torch.tensor([[1.5, math.nan], [-math.inf, 1e30]])
    assert np.array_equal(floats_in(floats_text(values)), values.float().numpy(), equal_nan=True)
