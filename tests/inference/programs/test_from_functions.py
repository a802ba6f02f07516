"""Densities on [S, B, D] tensors as a target: the same numbers as of programs, and errors that name the function."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Cauchy, Dirichlet, Exponential, Gamma, Normal, Poisson, StudentT, Uniform, constraints

from elbowroom.inference import (
    ProgramError,
    StateError,
    Target,
    anneal,
    bounds,
    bracket,
    calibrate,
    decompose,
    hmc,
    importance,
    latent_use,
    quadrature,
)
from elbowroom.inference.programs.handlers import Set
from elbowroom.inference.saving.state_file import fingerprint_of
from toys.programs import data

X = data(5, 2) * 1.4
TRUTH = Normal(0.0, 2**0.5).log_prob(X).sum(-1)
SD = 0.9 * 0.5**0.5
ROOM = 2 * (-math.log(0.9) + (0.81 - 1) / 2)


def sample(num_samples: int, x: Tensor) -> Tensor:
    return x / 2 + SD * torch.randn(num_samples, *x.shape, dtype=x.dtype)


def log_q(z: Tensor, x: Tensor) -> Tensor:
    return Normal(x / 2, SD).log_prob(z).sum(-1)


def log_joint(z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """z ~ N(0, I), x | z ~ N(z, I): log p(x) = log N(x; 0, 2 I)."""
    return Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1), Normal(z, 1.0).log_prob(x).sum(-1)


def total(z: Tensor, x: Tensor) -> Tensor:
    prior, likelihood = log_joint(z, x)
    return prior + likelihood


def sample_prior(num_samples: int, x: Tensor) -> Tensor:
    return torch.randn(num_samples, *x.shape, dtype=x.dtype)


def target_of(x: Tensor = X, **options: Any) -> Target:
    functions: dict[str, Any] = {"sample": sample, "log_q": log_q, "log_joint": log_joint, **options}
    return Target.from_functions(*(functions.pop(n) for n in ("sample", "log_q", "log_joint")), x, dim=2, **functions)


def closures(x: Tensor) -> Target:
    return Target.from_functions(
        lambda n: sample(n, x), lambda z: log_q(z, x), lambda z: total(z, x), dim=2, num_data=len(x)
    )


def test_what_it_is() -> None:
    target = target_of(sample_prior=sample_prior)
    assert target.latents == {"z": (2,)} and target.latent_names == ["z[0]", "z[1]"] and len(target) == 5
    assert target.layouts == {"model": "plate", "guide": "plate"} and target.sliceable and not any(target.cautions)
    z, density = target.propose(4, seed=3)
    torch.testing.assert_close(density, log_q(z["z"], X))
    torch.testing.assert_close(torch.stack(target.log_joint(z)), torch.stack(log_joint(z["z"], X)))


def test_a_site_has_its_density_at_any_value() -> None:
    """The parts of log p(x, z) are worked out once in a run; another value is another question."""
    with torch.no_grad():
        trace = target_of().trace("model", None, Set({"z": X}))
        first, other = (trace.nodes["z"]["fn"].log_prob(value) for value in (X, X + 1.0))
    torch.testing.assert_close(torch.stack([first, other]), log_joint(torch.stack([X, X + 1.0]), X)[0])


def test_exact_answers() -> None:
    target = target_of(sample_prior=sample_prior)
    exact = quadrature(target)
    torch.testing.assert_close(exact.value, TRUTH)
    assert not any(exact.flags)
    torch.testing.assert_close(exact.info["kl_q_p"], torch.full_like(TRUTH, ROOM))
    found = importance(target, num_samples=1000)
    assert bool(((found.value - TRUTH).abs() < 4 * found.stderr).all()) and not any(found.flags)


def test_exact_posterior_as_guide_has_no_noise() -> None:
    target = target_of(
        sample=lambda n, x: x / 2 + 0.5**0.5 * torch.randn(n, *x.shape, dtype=x.dtype),
        log_q=lambda z, x: Normal(x / 2, 0.5**0.5).log_prob(z).sum(-1),
        log_joint=total,
    )
    torch.testing.assert_close(target.log_weights(7), TRUTH.expand(7, -1))


def test_draws_are_a_function_of_seed_sample_and_datum() -> None:
    target = target_of()
    whole = target.propose(6, seed=2)[0]["z"]
    torch.testing.assert_close(target.propose(3, seed=2, start=3)[0]["z"], whole[3:], rtol=0, atol=0)
    torch.testing.assert_close(target.select([4, 1]).propose(6, seed=2)[0]["z"], whole[:, [4, 1]])
    assert not torch.equal(target.propose(6, seed=3)[0]["z"], whole)


def test_float32() -> None:
    target = target_of(x=X.float(), sample_prior=sample_prior)
    assert target.dtype == torch.float32
    torch.testing.assert_close(quadrature(target).value, TRUTH, rtol=1e-5, atol=1e-5)


def test_functions_that_hold_their_data() -> None:
    target = closures(X)
    assert not target.sliceable and len(target) == 5
    found, some = importance(target, num_samples=500), importance(target.select([3, 1]), num_samples=500)
    assert bool(((found.value - TRUTH).abs() < 4 * found.stderr).all())
    torch.testing.assert_close(some.value, found.value[[3, 1]])
    with pytest.raises(ProgramError, match="Give the data as arguments"):
        target.select([1]).program("model")


@pytest.mark.slow
def test_a_state_of_other_data_is_refused(tmp_path: Path) -> None:
    """Keys say nothing of data that functions hold themselves: the first datum is the same here."""
    other = X.clone()
    other[3] += 0.5
    assert fingerprint_of(closures(X), 0) == fingerprint_of(closures(X), 0) != fingerprint_of(closures(other), 0)
    bracket(closures(X), budget=5, state=tmp_path / "state")
    with pytest.raises(StateError, match="other programs"):
        bracket(closures(other), budget=5, state=tmp_path / "state")


@pytest.mark.slow
def test_without_draws_of_the_prior() -> None:
    """What begins there says so; what looks there does not, and is flagged where it claims to be exact."""
    target = target_of(log_joint=total)
    exact = quadrature(target)
    torch.testing.assert_close(exact.value, TRUTH)
    assert all("prior cannot be drawn from" in flag for flag in exact.flags)
    draws = hmc(target, num_warmup=150, num_draws=150, seed=1)
    assert bool(((draws.mean - X / 2).abs() < 5 * draws.convergence.mcse_mean).all())
    parts = decompose(target, families=["mean-field"], num_samples=64, draws=draws)
    room = parts.room()
    assert bool(((room.value - ROOM).abs() < 4 * room.stderr + 0.02).all())
    assert all("cannot be drawn from" in flag for flag in bounds(target, num_samples=20)["prior"].flags)
    for call in (lambda: anneal(target, start="prior", num_steps=5), lambda: latent_use(target.select([0] * 8))):
        with pytest.raises(NotImplementedError, match="sample_prior="):
            call()


@pytest.mark.slow
def test_a_bracket_without_a_prior_notes_what_it_did_not_look_for() -> None:
    found = bracket(target_of(log_joint=total), budget=3600)
    low, high = found.interval(4.0)
    assert bool(((low <= TRUTH) & (high >= TRUTH)).all())
    assert all("were not looked for" in said for said in map("; ".join, zip(found.flags, found.notes, strict=True)))


def test_data_cannot_be_simulated() -> None:
    with pytest.raises(NotImplementedError, match=r"data cannot be simulated: Target\.from_functions knows densities"):
        calibrate(target_of(sample_prior=sample_prior), num_simulations=20, num_draws=5)


def test_constrained_latents() -> None:
    """x ~ Poisson(z), z ~ Gamma(2, 1): z | x ~ Gamma(2 + x, 2), log p(x) negative binomial."""
    x = torch.tensor([[0.0], [2.0], [7.0]], dtype=torch.float64)
    target = Target.from_functions(
        lambda n, x: Gamma(2 + x, torch.full_like(x, 1.7)).sample((n,)),
        lambda z, x: Gamma(2 + x, torch.full_like(x, 1.7)).log_prob(z).sum(-1),
        lambda z, x: Gamma(2.0, torch.ones_like(x)).log_prob(z).sum(-1) + Poisson(z).log_prob(x).sum(-1),
        x,
        dim=1,
        support=constraints.positive,
    )
    truth = torch.lgamma(2 + x) - torch.lgamma(x + 1) + 2 * math.log(0.5) + x * math.log(0.5)
    torch.testing.assert_close(quadrature(target).value, truth.squeeze(-1))
    assert not any(target.cautions)
    assert bool((target.log_guide({"z": torch.full((1, 3, 1), -1.0, dtype=torch.float64)}) == -torch.inf).all())


def test_gradients_that_are_missing_are_named_where_they_are_needed() -> None:
    target = target_of(log_joint=lambda z, x: total(z.detach(), x))
    found = importance(target, num_samples=500, search=False)
    assert bool(((found.value - TRUTH).abs() < 4 * found.stderr).all())
    with pytest.raises(ProgramError, match="log_joint returned values without a gradient in z"):
        hmc(target, num_warmup=5, num_draws=5)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "transposed": ({"log_q": lambda z, x: log_q(z, x).T}, r"log_q returned .*\(5, 3\), expected .*samples come first"),
    "not summed": ({"log_joint": lambda z, x: Normal(z, 1.0).log_prob(x)}, r"log_joint .*sum it over the last dim"),
    "scalar": ({"log_joint": lambda z, x: total(z, x).sum()}, r"log_joint .*nothing is summed over samples or data"),
    "three parts": ({"log_joint": lambda z, x: (*log_joint(z, x), 0.0)}, "log_joint returned 3 values"),
    "integers": ({"sample": lambda n, x: torch.zeros(n, 5, 2, dtype=torch.long)}, "sample returned int64"),
    "no tensor": ({"sample": lambda n, x: np.zeros((n, 5, 2))}, "sample returned ndarray, expected"),
    "wrong dim": ({"sample": lambda n, x: sample(n, x)[..., :1]}, r"sample returned .*\(3, 5, 1\), expected"),
    "NaN": ({"log_q": lambda z, x: log_q(z, x) * torch.nan}, r"log_q is NaN .* \[0, 1, 2, 3, 4\]"),
    "raises": ({"log_joint": lambda z, x: z @ torch.ones(3, 3)}, "log_joint failed: RuntimeError"),
    "numpy": (
        {"sample": lambda n, x: x / 2 + torch.from_numpy(np.random.default_rng().normal(size=(n, 5, 2)))},
        "sample differs between two calls .*NumPy",
    ),
    "a seed of its own": (
        {"sample": lambda n, x: x / 2 + torch.from_numpy(np.random.default_rng(0).normal(size=(n, 5, 2)))},
        "sample draws the same whatever the seed is",
    ),
    "dropout": ({"log_q": lambda z, x: torch.dropout(log_q(z, x), 0.5, True)}, r"log_q differs .*\.eval\(\)"),
    "over samples": ({"log_joint": lambda z, x: total(z - z.mean(0), x)}, "log_joint of several samples is not"),
    "over data": ({"log_joint": lambda z, x: total(z - x.mean(0), x)}, "log p.* of datum 4 .* depends on the other"),
    "prior": ({"sample_prior": lambda n, x: torch.randn(n, 2)}, "sample_prior returned"),
}


@pytest.mark.parametrize("name", WRONG)
def test_functions_that_are_refused(name: str) -> None:
    options, message = WRONG[name]
    with pytest.raises(ProgramError, match=f"(?s){message}"):
        target_of(**options)


def test_arguments_that_are_refused() -> None:
    functions: Any = (sample, log_q, log_joint)
    with pytest.raises(ValueError, match="either the data"):
        Target.from_functions(*functions, dim=2)
    with pytest.raises(ValueError, match="either the data"):
        Target.from_functions(*functions, X, dim=2, num_data=5)
    with pytest.raises(ValueError, match="dim must be an integer from 1"):
        Target.from_functions(*functions, X, dim=0)
    with pytest.raises(TypeError, match=r"data 1 must be a tensor with a row for each datum.*\(3, 2\)"):
        Target.from_functions(*functions, X, X[:3], dim=2)
    with pytest.raises(TypeError, match="log_q must be a callable such as a function"):
        Target.from_functions(sample, 3, log_joint, X, dim=2)  # type: ignore[arg-type]


Pair = tuple[Callable[[int, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor], Any]


def iid(make: Callable[[Tensor], Any], support: Any = None) -> Pair:
    """A guide of independent coordinates."""
    return lambda n, x: make(x).sample((n,)), lambda z, x: make(x).log_prob(z).sum(-1), support


RIGHT: dict[str, Pair] = {
    "normal": iid(lambda x: Normal(x, 0.3)),
    "student": iid(lambda x: StudentT(torch.full_like(x, 3.0), x)),
    "cauchy": iid(lambda x: Cauchy(x, torch.ones_like(x))),
    "uniform": iid(lambda x: Uniform(x - 1, x + 1, validate_args=False)),
    "exponential": iid(lambda x: Exponential(x.exp()), constraints.positive),
    "simplex": (
        lambda n, x: Dirichlet(1 + x.exp()).sample((n,)),
        lambda z, x: Dirichlet(1 + x.exp()).log_prob(z),
        constraints.simplex,
    ),
}
OFF: dict[str, tuple[Pair, str]] = {
    "not normalised": ((sample, lambda z, x: log_q(z, x) + 1.0, None), r"integrates to 2\.[67].*not to 1"),
    "half its dims": (
        (sample, lambda z, x: Normal(x / 2, SD).log_prob(z)[..., 0], None),
        "integrates to",
    ),
    "another width": ((sample, lambda z, x: Normal(x / 2, 0.8 * SD).log_prob(z).sum(-1), None), "the mean square of"),
    "another place": ((sample, lambda z, x: Normal(x / 2 + 0.4, SD).log_prob(z).sum(-1), None), "the mean of coord"),
}


def cautions_of(pair: Pair) -> tuple[str, ...]:
    draw, density, support = pair
    return Target.from_functions(draw, density, lambda z, x: density(z, x) - 1.0, X, dim=2, support=support).cautions


@pytest.mark.parametrize("name", RIGHT)
def test_densities_of_what_is_drawn_are_believed(name: str) -> None:
    assert not any(cautions_of(RIGHT[name]))


def test_nothing_is_said_where_weights_cannot_tell() -> None:
    """A cube of many dims: hardly a draw of a Gaussian lies inside."""
    x = torch.zeros(2, 60, dtype=torch.float64)
    draw, density, _ = RIGHT["uniform"]
    target = Target.from_functions(draw, density, lambda z, x: density(z, x) - z.square().sum(-1), x, dim=60)
    assert not any(target.cautions)


@pytest.mark.parametrize("name", OFF)
def test_densities_of_something_else_are_told_in_every_flag(name: str) -> None:
    pair, message = OFF[name]
    target = target_of(sample=pair[0], log_q=pair[1])
    flags = importance(target, num_samples=50, search=False).flags
    assert all(re.search(f"log_q is not .*{message}", flag) for flag in flags), flags[0]
    assert target.select([2]).cautions == target.cautions[:1]
