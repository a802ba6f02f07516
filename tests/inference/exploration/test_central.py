"""Which codes are far outside of all others, and which window lets them be seen."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elbowroom.inference.exploration.central import far_out, holding
from elbowroom.inference.exploration.planes import of_latents
from toys.programs import data

PLANE = of_latents(("z[0]", "z[1]"))


@settings(max_examples=25, deadline=None)
@given(num=st.integers(4, 200), dim=st.integers(1, 6), seed=st.integers(0, 99), scale=st.floats(1e-6, 1e6))
def test_exploded_codes_are_far_and_of_a_cloud_none_are(num: int, dim: int, seed: int, scale: float) -> None:
    codes = scale * (data(num, dim, seed=seed) + data(1, dim, seed=seed + 1))
    lost = torch.arange(num) % 5 == 1
    exploded = torch.where(lost[:, None], codes * 1e9, codes)
    exploded[1] = math.nan
    assert bool(far_out(exploded, None)[lost].all())
    if num >= 20:  # of fewer some may by chance be far from all others
        assert not bool(far_out(codes, None).any()) and torch.equal(far_out(exploded, None), lost)


def test_a_quarter_of_the_codes_is_a_group_wherever_it_is() -> None:
    codes = data(40, 2, seed=1)
    codes[:11] += 1e4
    assert not bool(far_out(codes, None).any())
    assert far_out(torch.cat([codes[:4], codes[11:]]), None).tolist() == [True] * 4 + [False] * 29


def test_few_and_collapsed_codes_are_measured_by_the_prior() -> None:
    codes = torch.cat([torch.zeros(9, 2), 3 * torch.ones(1, 2)])
    assert not bool(far_out(codes, None).any()) and not bool(far_out(codes, data(400, 2)).any())
    assert far_out(torch.cat([codes, torch.full((1, 2), 99.0)]), data(400, 2)).tolist() == [False] * 10 + [True]
    assert far_out(torch.tensor([[0.0], [1e3]]), data(400, 1)).tolist() == [False, True]


def test_latents_are_measured_each_by_its_own_prior() -> None:
    """A code 300 prior standard deviations away along a narrow latent is far, whatever another one is measured in."""
    units = torch.tensor([1e4, 1.0, 1.0])
    codes = data(30, 3, seed=1)
    codes[4, 1] = 300.0
    assert far_out(codes * units, data(400, 3, seed=2) * units).nonzero().flatten().tolist() == [4]
    assert not bool(far_out(codes * units, None).any())  # nothing is known of what is far along which


@pytest.mark.parametrize(("codes", "ends"), [(0.3, 4.2), (30.0, 130.0), (3000.0, 13000.0)])
def test_the_window_holds_the_codes_and_the_prior(codes: float, ends: float) -> None:
    """Codes a thousand times as wide as the prior are seen, and so is where the prior is."""
    found = holding(PLANE, codes * data(400, 2, seed=1), data(400, 2, seed=2))
    assert bool((found.window.abs() < ends).all()) and bool((found.window.abs() > 0.7 * ends).all())
    assert found.says.removeprefix(PLANE.says) == (
        " The prior is a dot: the codes spread very much wider." * (codes > 99)
    )


def test_beside_a_prior_that_is_very_wide_the_codes_are_shown_alone() -> None:
    found = holding(PLANE, 1 + data(400, 2, seed=1), 1000 * data(400, 2, seed=2))
    assert 5 < float(found.window.diff().min()) < float(found.window.diff().max()) < 10
    assert found.says.startswith(PLANE.says) and "codes' alone" in found.says
    one_axis = 1000 * data(400, 2, seed=2) * torch.tensor([1.0, 1e-3])  # wide along the first latent alone
    assert "alone" not in holding(PLANE, data(400, 2, seed=1), one_axis).says


def test_without_codes_or_with_one_the_window_is_the_prior_s() -> None:
    none, one, prior = torch.zeros(0, 2), torch.zeros(1, 2), data(400, 2, seed=2)
    assert torch.equal(holding(PLANE, none, prior).window, holding(PLANE, one.expand(5, 2), prior).window)
    assert torch.equal(holding(PLANE, one, prior).window, holding(PLANE, none, prior).window)
    assert holding(PLANE, none, None).window.tolist() == [[-1.0, 1.0], [-1.0, 1.0]]
