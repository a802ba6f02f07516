"""Calibrations of exact and of wrong guides, what they say, and what they refuse."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, NotAReference, ProgramError, Target, hmc
from elbowroom.inference.diagnostics.calibration import Calibration, calibrate
from elbowroom.inference.diagnostics.calibration.ranking import LOG_JOINT
from elbowroom.reference import problem
from toys.programs import data, normal_guide, normal_model

ACCIDENT = 1e-4  # level of tests that are not to reject: their chance of failing by accident
FOUND = 1e-3  # of tests that must


def guide(scale: float = 1.0, shift: float = 0.0) -> Callable[[Tensor], None]:
    """q = N(x/2 + shift sd, (scale sd)²), sd = √½."""

    def program(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 + shift * math.sqrt(0.5), scale * math.sqrt(0.5)))

    return program


def said(found: Calibration, name: str) -> str:
    return next(check.meaning for check in found.checks if check.name == name)


def normal_target(program: Callable[[Tensor], None], x: Tensor | None = None) -> Target:
    return Target(normal_model, program, data(20) * 1.4 if x is None else x)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("conjugate-normal", "posterior"),
        ("ppca", "prior"),
        *(pytest.param(*c, marks=pytest.mark.slow) for c in (("conjugate-normal", "prior"), ("ppca", "posterior"))),
        *(pytest.param("ppca-10", kind, marks=pytest.mark.slow) for kind in ("prior", "posterior")),
    ],
)
def test_exact_guides_pass(name: str, kind: str) -> None:
    found = calibrate(problem(name).target(), kind=kind, level=ACCIDENT)
    assert not found.rejected
    assert all(check.meaning == "" and 0 <= check.p_value <= 1 for check in found.checks)


def test_what_is_returned() -> None:
    target = problem("ppca").target()
    found = calibrate(target, num_simulations=100, num_draws=30)
    assert found.kind == "prior" and found.quantities == (*target.latent_names, LOG_JOINT)
    assert found.num_simulations == 100 and found.ranks.shape == (100, 4) and found.ranks.dtype == torch.long
    assert found.ranks.min() >= 0 and found.ranks.max() <= 30 == found.num_draws
    assert found.ecdf_difference.shape == (len(found.grid), 4)
    curves = (found.coverage, found.coverage_low, found.coverage_high, found.tarp, found.tarp_low, found.tarp_high)
    assert all(curve.shape == found.grid.shape for curve in (*curves, found.band_low, found.band_high))
    assert [check.name for check in found.checks] == [f"ranks of {q}" for q in found.quantities] + ["coverage", "TARP"]
    inside = (found.ranks.unsqueeze(0) + 1 <= found.grid.reshape(-1, 1, 1) * 31).double().mean(1)
    # The curve is of ranks with their ties broken: between those of rank and rank + 1.
    assert (found.ecdf_difference + found.grid.unsqueeze(1) >= inside - 1e-9).all()
    assert found.flags == () and found.seconds > 0 and found.level == 0.05


@pytest.mark.parametrize(
    ("program", "word", "size"),
    [
        (guide(scale=0.6), "too narrow for z: it is over-confident", "or more (at least 1.3"),
        (guide(scale=1.6), "too wide for z: it is under-confident", "should be 0.6"),
        (guide(scale=1.3, shift=0.6), "too wide for z: it is under-confident", "; q is biased high for z"),
        (guide(shift=0.6), "biased high for z: true values lie 0.6", "below its middle"),
        (guide(shift=-0.6), "biased low for z: true values lie 0.", "above its middle"),
    ],
)
def test_wrong_guides_are_told(program: Callable[[Tensor], None], word: str, size: str) -> None:
    found = calibrate(normal_target(program), level=FOUND)
    assert word in said(found, "ranks of z") and size in said(found, "ranks of z")
    assert "TARP" in {check.name for check in found.rejected}


def test_curves_of_wrong_guides_leave_their_bands() -> None:
    found = calibrate(normal_target(guide(scale=0.6)))
    assert ((found.ecdf_difference[:, 0] < found.band_low) | (found.ecdf_difference[:, 0] > found.band_high)).any()
    middle = len(found.grid) // 2
    assert found.coverage[middle] < found.coverage_low[middle]  # over-confident
    # The content of the central 50 % of N(0, 0.6²) under N(0, 1).
    expected = math.erf(0.6 * 0.6744898 / math.sqrt(2))
    assert abs(found.coverage[middle] - expected) < 4 * math.sqrt(0.25 / 300)
    assert "over-confident: its 50 %" in said(found, "coverage")
    wide = calibrate(normal_target(guide(scale=1.6)))
    assert wide.coverage[middle] > wide.coverage_high[middle]
    assert "under-confident: its 50 %" in said(wide, "coverage")
    assert "lower log p(x, z)" in said(wide, f"ranks of {LOG_JOINT}")
    assert "higher log p(x, z)" in said(found, f"ranks of {LOG_JOINT}")


def test_guide_that_ignores_the_data() -> None:
    """q = prior: ranks of z are uniform; those of log p(x, z), and TARP, see it."""

    def prior(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.new_zeros(len(x)), 1.0))

    found = calibrate(normal_target(prior), level=FOUND)
    assert {check.name for check in found.rejected} >= {f"ranks of {LOG_JOINT}", "TARP"}
    assert found.checks[0].p_value > ACCIDENT
    assert "it does not follow x" in said(found, f"ranks of {LOG_JOINT}")


@pytest.mark.slow
def test_posterior_kind_sees_what_is_wrong_where_the_data_are() -> None:
    """A guide that is off beyond x = 2 only, where the model seldom goes and data like the observed ones are."""

    def local(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 - 0.8 * (x > 2), math.sqrt(0.5)))

    x = 6.0 + 0.1 * data(20)
    assert not calibrate(normal_target(local, x), level=ACCIDENT).rejected
    found = calibrate(normal_target(local, x), kind="posterior", level=FOUND)
    assert "biased low for z" in said(found, "ranks of z") and found.kind == "posterior"
    assert not calibrate(normal_target(guide(), x), kind="posterior", level=ACCIDENT).rejected


@pytest.mark.slow
def test_constrained_latents() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            rate = pyro.sample("rate", dist.Gamma(torch.tensor(2.0), 0.5))
            pyro.sample("x", dist.Poisson(rate), obs=x)

    def exact(x: Tensor, factor: float = 1.0) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("rate", dist.Gamma(factor * (2.0 + x), factor * 1.5))

    x = torch.tensor([0.0, 1.0, 3.0, 10.0, 40.0])
    assert not calibrate(Target(model, exact, x), level=ACCIDENT).rejected
    found = calibrate(Target(model, lambda x: exact(x, 4.0), x), level=FOUND)
    assert "too narrow for rate" in said(found, "ranks of rate")


def test_simulations_are_independent_of_each_other() -> None:
    """One datum, taken 300 times: each time with noise of its own."""
    found = calibrate(normal_target(guide(), torch.tensor([1.0])), num_draws=100_000 // 300)
    assert len(found.ranks[:, 0].unique()) > 150


def test_single_precision() -> None:
    found = calibrate(normal_target(guide(), (data(20) * 1.4).float()), level=ACCIDENT)
    assert not found.rejected
    assert calibrate(normal_target(guide(0.6), (data(20) * 1.4).float()), level=FOUND).rejected


def test_guide_without_a_density() -> None:
    def implicit(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            noise = pyro.sample("noise", dist.Normal(torch.zeros(len(x)), 1.0), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Delta(x / 2 + math.sqrt(0.5) * noise))

    found = calibrate(normal_target(implicit), level=ACCIDENT)
    assert not found.rejected
    assert found.coverage.isnan().all() and found.coverage_low.isnan().all() and found.tarp.isfinite().all()
    assert "coverage" not in {check.name for check in found.checks}
    assert any("no coverage: the guide's density is not known" in flag for flag in found.flags)


def broken(limit: float) -> Callable[[Tensor], None]:
    def program(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            loc = torch.where(x > limit, torch.nan, x / 2)
            pyro.sample("z", dist.Normal(loc, math.sqrt(0.5), validate_args=False))

    return program


def test_simulations_that_fail_are_told() -> None:
    found = calibrate(normal_target(broken(3.0), torch.linspace(-2, 2, 20)), num_simulations=500)
    assert found.num_simulations < 500
    assert f"{500 - found.num_simulations} of 500 simulations left out: NaN" in found.flags[0]
    assert all(math.isfinite(check.p_value) for check in found.checks)
    with pytest.raises(ValueError, match=r"of 500 simulations gave NaN.*too few are left"):
        calibrate(normal_target(broken(-4.0), torch.linspace(-9, -5, 20)), num_simulations=500)


def flagged(draws: Draws, data: list[int]) -> Draws:
    """Draws whose chains sit in different places for some data."""
    z = {name: value.clone() for name, value in draws.z.items()}
    for b in data:
        z["z"][0, :, b] += 50.0
    return dataclasses.replace(draws, z=z)


@pytest.mark.slow
def test_data_whose_chains_failed_are_left_out() -> None:
    target = normal_target(guide(), torch.linspace(-2, 2, 8))
    draws = hmc(target, num_draws=500)
    found = calibrate(target, kind="posterior", draws=flagged(draws, [2, 5]), level=ACCIDENT)
    assert not found.rejected  # 50 is far off: it would be seen
    assert "2 of 8 data left out: their chains did not pass their gates (R-hat" in found.flags[0]
    with pytest.raises(NotAReference, match=r"none of the 8 data passed.*kind=\"prior\""):
        calibrate(target, kind="posterior", draws=flagged(draws, list(range(8))))


@pytest.mark.slow
def test_weights_that_leave_little_are_told() -> None:
    found = calibrate(problem("ppca-10").target(), kind="posterior", num_draws=30, level=ACCIDENT)
    assert any("the tests are valid but have little power" in flag for flag in found.flags)
    assert not calibrate(problem("ppca-10").target(), num_draws=30).flags


@pytest.mark.slow
def test_dependent_posterior_draws_are_told() -> None:
    target = normal_target(guide(), torch.tensor([0.3]))
    draws = hmc(target, num_draws=150)
    found = calibrate(target, kind="posterior", draws=draws, num_simulations=600, level=ACCIDENT)
    assert any("600 posterior draws of each datum were used" in flag for flag in found.flags)
    with pytest.raises(ValueError, match=r"num_simulations=601 needs 601 draws of each of 1 data, but there are 600"):
        calibrate(target, kind="posterior", draws=draws, num_simulations=601)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_simulations": 19}, "num_simulations must be at least 20, got 19"),
        ({"num_draws": 0}, "num_draws must be an integer from 1 .* got 0"),
        ({"kind": "likelihood"}, r"kind must be one of \['posterior', 'prior'\], got 'likelihood'"),
        ({"level": 0.0}, "level must be a number between 0 and 1, both excluded, got 0.0"),
        ({"level": 1.0}, "level must be a number between 0 and 1, both excluded, got 1.0"),
        ({"memory_bytes": 100}, "memory_bytes"),
    ],
)
def test_bad_arguments(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        calibrate(normal_target(guide()), **options)


def test_draws_that_do_not_belong() -> None:
    target = normal_target(guide(), torch.linspace(-2, 2, 8))
    draws = hmc(target, num_draws=50)
    with pytest.raises(ValueError, match='draws are used by kind="posterior" only'):
        calibrate(target, draws=draws)
    with pytest.raises(ValueError, match="draws has 7 data, the target has 8"):
        calibrate(target, kind="posterior", draws=draws.select(range(7)))
    other = problem("ppca").target()
    with pytest.raises(ValueError, match="draws are of the latents"):
        calibrate(other, kind="posterior", draws=draws.select(range(len(other))))


def test_programs_that_are_one_datum() -> None:
    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.tensor(0.0), 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def whole(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(x.mean(), 1.0))

    with pytest.raises(ValueError, match=r"data cannot be picked and repeated.*one row a data set"):
        calibrate(Target(model, whole, data(5), plate=None))


def test_programs_that_cannot_be_simulated() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x.sin())

    with pytest.raises(ProgramError, match="cannot be told where a simulated one belongs"):
        calibrate(Target(model, guide(), data(8)))


def test_wrong_scale_of_the_registry_is_found() -> None:
    assert calibrate(Target(normal_model, normal_guide(0.7), data(20)), level=FOUND).rejected
    assert calibrate(problem("ppca-10-wide").target(), level=FOUND).rejected


def test_a_target_without_latents_is_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    with pytest.raises(ValueError, match="no latent that a guide draws"):
        calibrate(Target(model, lambda x: None, torch.zeros(8)))
