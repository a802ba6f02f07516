"""Programs that raise at some points: density zero there, counted; what is wrong everywhere goes through."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import from_encoder
from elbowroom.inference import (
    ProgramError,
    Target,
    anneal,
    bracket,
    hmc,
    importance,
    quadrature,
)
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint, log_joint_and_gradient
from elbowroom.inference.programs.refusals import counted
from elbowroom.models import from_decoder
from toys.programs import data, normal, normal_guide

LIMIT = 1.5
X = data(4)

Check = Callable[[Tensor], Tensor]


def by_hand(z: Tensor) -> Tensor:
    if bool((z > LIMIT).any()):
        raise ValueError("z is too large")
    return torch.zeros_like(z)


def by_factor(z: Tensor) -> Tensor:
    """Zero, by way of the log determinant of a matrix that is positive definite where z < LIMIT."""
    matrix = torch.eye(2, dtype=z.dtype) + torch.stack([torch.zeros_like(z), LIMIT - 1 - z], -1).diag_embed()
    root = torch.linalg.cholesky(matrix).diagonal(dim1=-2, dim2=-1)
    return 0.0 * root.log().sum(-1)


CHECKS: dict[str, Check] = {"a check of its own": by_hand, "a Cholesky factor": by_factor}


def checked_model(check: Check) -> Callable[[Tensor], None]:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z + check(z), 1.0), obs=x)

    return model


def evidence(x: Tensor) -> Tensor:
    """log ∫ N(z; 0, 1) N(x; z, 1) dz over z < LIMIT."""
    inside = torch.special.ndtr((LIMIT - x / 2) / math.sqrt(0.5))
    return normal(0.0, math.sqrt(2.0), x) + inside.log()


@pytest.fixture(params=sorted(CHECKS))
def target(request: pytest.FixtureRequest) -> Target:
    return Target(checked_model(CHECKS[request.param]), normal_guide(1.0), X)


def points() -> Tensor:
    z = data(6, 4, seed=1)
    z[2, 1], z[4, 3], z[4, 0] = 2.0, 5.0, 1.75
    return z.clamp_max(LIMIT - 0.25).where(z < 1.6, z)


def test_only_the_points_that_raise_have_density_zero(target: Target) -> None:
    z = points()
    bad = z > LIMIT
    assert bad.sum() >= 3
    with counted() as refused:
        prior, likelihood = target.log_joint({"z": z})
    expected = torch.where(bad, -torch.inf, normal(0.0, 1.0, z) + normal(z, 1.0, X))
    torch.testing.assert_close(prior + likelihood, expected)
    assert torch.equal(refused.of(target), bad.sum(0)) and refused.reason
    for rows in ([1], [3, 0]):  # alone as in company
        alone = sum(target.select(rows).log_joint({"z": z[:, rows]}))
        torch.testing.assert_close(alone, expected[:, rows])


def test_gradients_and_records(target: Target) -> None:
    """Recorded at points of which some raise, replayed at others of which some raise."""
    coordinates = Coordinates.of(target)
    for seed in range(3):
        u = points().roll(seed, 0).unsqueeze(-1) - 0.01 * seed
        bad = u[..., 0] > LIMIT
        value, gradient = Traced(log_joint_and_gradient, coordinates)(u)
        assert not value[bad].isfinite().any() and gradient.isfinite().all()
        torch.testing.assert_close(value[~bad], (normal(0.0, 1.0, u[..., 0]) + normal(u[..., 0], 1.0, X))[~bad])
        torch.testing.assert_close(gradient[~bad], (X.unsqueeze(-1) - 2 * u)[~bad])
        (plain,) = Traced(log_joint, coordinates)(u)
        torch.testing.assert_close(plain[~bad], value[~bad])


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["a Cholesky factor", pytest.param("a check of its own", marks=pytest.mark.slow)], indirect=True
)
def test_estimators_give_the_evidence_of_what_is_left(target: Target) -> None:
    expected = evidence(X)
    weighed = importance(target, num_samples=1000)
    assert (weighed.info["num_refused"] > 0).any()
    annealed = anneal(target, num_steps=16, num_chains=16, num_pilot=4, num_leapfrog=1, start="prior")
    for estimate in (weighed, annealed):
        assert ((estimate.value - expected).abs() < 5 * estimate.stderr + 1e-9).all()
    exact = quadrature(target)  # the density jumps where it ends: a lattice errs by a share of its spacing
    assert ((exact.value - expected).abs() < 0.05).all()
    draws = hmc(target.select([0]), num_draws=20, num_warmup=4)
    assert (draws.z["z"] <= LIMIT).all() and (draws.info["num_refused"] > 0).any()


@pytest.mark.slow
def test_a_bracket_says_at_how_many_points(target: Target) -> None:
    both, expected = bracket(target.select([0]), budget=5.0), evidence(X)[:1]
    assert any("raised a numerical error at" in note for note in both.notes)
    low, high = both.interval(3.0)
    flagged = torch.tensor([bool(flag) for flag in both.flags])
    assert ((low - 0.05 <= expected) & (expected <= high + 0.05) | flagged).all()


def test_what_is_wrong_at_ordinary_points_goes_through() -> None:
    """The model runs on its own draws, and fails where the guide has its mass."""
    with pytest.raises(ProgramError, match=r"(?s)on its own draws but not on the guide's.*z is too large"):
        Target(checked_model(by_hand), normal_guide(1.0), X.abs() + 20.0)


@pytest.mark.parametrize("error", [TypeError, KeyError, NameError])
def test_errors_that_are_no_numbers_fault_go_through(error: type[Exception]) -> None:
    def check(z: Tensor) -> Tensor:
        if bool((z > LIMIT).any()):
            raise error("a bug")
        return torch.zeros_like(z)

    target = Target(checked_model(check), normal_guide(0.01), X)
    with pytest.raises(error):
        target.log_joint({"z": points()})


def test_a_program_that_has_stopped_working_is_not_taken_for_far_out() -> None:
    broken: list[bool] = []

    def check(z: Tensor) -> Tensor:
        if broken:
            raise ValueError("out of order")
        return torch.zeros_like(z)

    target = Target(checked_model(check), normal_guide(1.0), X)
    broken.append(True)
    with pytest.raises(ValueError, match="out of order"):
        importance(target, num_samples=10)


def test_one_datum_that_raises_does_not_touch_the_others_of_a_fixed_plate() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", 4):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z + by_hand(z), 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 4):
            pyro.sample("z", dist.Normal(x / 2, 0.7))

    target, z = Target(model, guide, X), points()
    assert not target.sliceable
    expected = torch.where(z > LIMIT, -torch.inf, normal(0.0, 1.0, z) + normal(z, 1.0, X))
    torch.testing.assert_close(sum(target.log_joint({"z": z})), expected)


@pytest.mark.slow
def test_a_decoder_whose_deviation_underflows() -> None:
    """exp(log_var / 2) is zero far out, which our own decoder refuses: the chains go on."""

    class Decoder(torch.nn.Module):
        def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
            return z.expand(*z.shape[:-1], 2), (-200.0 * z.square()).expand(*z.shape[:-1], 2)

    class Encoder(torch.nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x[..., :1], torch.full_like(x[..., :1], -6.0)

    model: Any = from_decoder(Decoder(), latent_dim=1, likelihood="normal-heteroscedastic", output="mean_log_var")
    guide: Any = from_encoder(Encoder(), output="mean_log_var")
    target = Target(model, guide, 0.1 * data(3, 2))
    z = torch.tensor([0.1, 3.0, -4.0]).reshape(3, 1, 1).expand(3, 3, 1).contiguous()
    likelihood = sum(target.log_joint({"z": z}))
    assert isinstance(likelihood, Tensor)
    assert likelihood[0].isfinite().all() and likelihood[1:].isneginf().all()
    assert hmc(target, num_warmup=40, num_draws=50).z["z"].isfinite().all()


def gaussian_process(y: Tensor) -> None:
    """Far out the covariance is not positive definite to rounding."""
    x = torch.linspace(-10, 10, len(y), dtype=y.dtype)
    r = pyro.sample("r", dist.Gamma(25.0, 4.0))
    a = pyro.sample("a", dist.HalfNormal(2.0))
    s = pyro.sample("s", dist.HalfNormal(1.0))
    cov = a**2 * torch.exp(-0.5 * (x[:, None] - x) ** 2 / r**2) + s * torch.eye(len(y), dtype=y.dtype)
    pyro.sample("y", dist.MultivariateNormal(torch.zeros_like(y), cov), obs=y)


GP_EVIDENCE = -14.5807
"""The mean of p(y | r, a, s) over 4 million draws of the prior."""


def gaussian_process_guide(y: Tensor) -> None:
    pyro.sample("r", dist.LogNormal(1.5, 0.3))
    pyro.sample("a", dist.LogNormal(0.0, 0.4))
    pyro.sample("s", dist.LogNormal(-1.0, 0.4))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_covariance_that_is_not_positive_definite_far_out(seed: int) -> None:
    y = torch.linspace(-10, 10, 11, dtype=torch.float64).sin()
    target = Target(gaussian_process, gaussian_process_guide, y, plate=None)
    both = bracket(target, budget=60.0, seed=seed)
    error = 4 * float(both.lower.stderr[0]) + 0.05
    assert both.flags[0] or abs(float(both.lower.value[0]) - GP_EVIDENCE) < error
