"""Data between the values of a discrete support: log ∫ of the unnormalised joint, and every result says what it is."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom import inference
from elbowroom.inference import (
    ProgramError,
    Target,
    audit_target,
    bidirectional,
    bounds,
    bracket,
    calibrate,
    check_program,
    decompose,
    fit,
    importance,
    quadrature,
)
from elbowroom.inference.audit.joined_blocks import joined
from elbowroom.inference.estimate import Estimate
from toys.estimators import ESTIMATORS
from toys.programs import data, normal

W = data(2, 5, seed=3)
GREY = torch.tensor(
    [[0.1, 0.9, 0.4, 0.5, 0.2], [1.0, 0.0, 0.0, 1.0, 1.0], [0.7, 0.7, 0.0, 1.0, 0.3], [0.0, 0.0, 1.0, 1.0, 0.0]],
    dtype=torch.float64,
)
"""Data 0 and 2 are grey, 1 and 3 binary."""
MARKS = [True, False, True, False]

Program = Callable[..., Any]


def latent(num_data: int) -> Tensor:
    return pyro.sample("z", dist.Normal(torch.zeros(num_data, 2, dtype=torch.float64), 1.0).to_event(1))


def model_of(likelihood: Callable[[Tensor], Any]) -> Program:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("x", likelihood(latent(len(x)) @ W), obs=x)

    return model


def guide(x: Tensor) -> None:
    """Wide, and off: there is room."""
    with pyro.plate("data", len(x)):
        loc = 0.3 * torch.stack([x.sum(1) - 2, x[:, 0]], 1)
        pyro.sample("z", dist.Normal(loc, 0.9).to_event(1))


def grey(logits: Tensor) -> Any:
    return dist.Bernoulli(logits=logits, validate_args=False).to_event(1)


def target_of(x: Tensor = GREY) -> Target:
    return Target(model_of(grey), guide, x)


def grid(num: int = 161, half: float = 8.0) -> tuple[Tensor, Tensor]:
    """Points of a square lattice in two latents, `[N, 2]`, and the log of the area of each."""
    axis = torch.linspace(-half, half, num, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), 2 * (axis[1] - axis[0]).log()


def by_hand(log_density: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> Tensor:
    """log ∫ p(z) p~(x | z) dz of each datum, `[B]`; `log_density` takes logits `[N, 1, 5]` and x `[1, B, 5]`."""
    z, area = grid()
    terms = log_density((z @ W).unsqueeze(1), x.unsqueeze(0)).sum(-1)
    return (normal(0.0, 1.0, z).sum(-1, keepdim=True) + terms + area).logsumexp(0)


def log_grey(logits: Tensor, x: Tensor) -> Tensor:
    return x * logits.sigmoid().log() + (1 - x) * (1 - logits.sigmoid()).log()


# The numbers ----------------------------------------------------------------------------------------------------------


def test_log_p_is_the_integral_of_the_unnormalised_joint() -> None:
    truth = by_hand(log_grey, GREY)
    exact, both = quadrature(target_of()), bracket(target_of(), budget=30)
    torch.testing.assert_close(exact.value, truth, atol=1e-6, rtol=0)
    torch.testing.assert_close(both.lower.value, truth, atol=1e-6, rtol=0)
    assert bool(both.settled.all())  # what a number is called is no doubt of it
    sampled = importance(target_of(), num_samples=4000)
    assert bool(((sampled.value - truth).abs() < 4.5 * sampled.stderr).all())
    for estimate in (exact, both.lower, both.upper, sampled):
        assert estimate.flags == ("",) * 4
        assert ["NO LOG-LIKELIHOOD" in text for text in estimate.unnormalised] == MARKS


def test_the_room_is_the_divergence_from_the_unnormalised_posterior() -> None:
    z, area = grid()
    joint = normal(0.0, 1.0, z).sum(-1, keepdim=True) + log_grey((z @ W).unsqueeze(1), GREY.unsqueeze(0)).sum(-1)
    loc = 0.3 * torch.stack([GREY.sum(1) - 2, GREY[:, 0]], 1)
    log_q = normal(loc, 0.9, z.unsqueeze(1)).sum(-1)
    posterior = joint - (joint + area).logsumexp(0)
    kl = ((log_q + area).exp() * (log_q - posterior)).sum(0)
    assert float(kl.min()) > 0.02
    taken = decompose(target_of(), families=["mean-field", "full covariance"], num_samples=256)
    room = taken.room()
    assert bool(((room.value - kl).abs() < 4.5 * room.stderr + 1e-3).all())
    total = taken.elbo.value + taken.amortization.value + taken.optimisation.value + taken.approximation.value
    torch.testing.assert_close(total, by_hand(log_grey, GREY), atol=1e-5, rtol=0)
    torch.testing.assert_close(quadrature(target_of()).info["kl_q_p"], kl, atol=1e-5, rtol=0)
    assert taken.elbo.unnormalised == taken.log_p.unnormalised == target_of().unnormalised
    assert room.unnormalised == ("",) * 4  # that is what is right


def test_binary_data_are_what_they_are_without_grey_company() -> None:
    some = target_of().select([1, 3])
    assert some.unnormalised == target_of(GREY[[1, 3]]).unnormalised == ("", "")
    validated = Target(model_of(lambda logits: dist.Bernoulli(logits=logits).to_event(1)), guide, GREY[[1, 3]])
    torch.testing.assert_close(quadrature(some).value, quadrature(validated).value, atol=1e-12, rtol=0)
    picked = Target(model_of(grey), guide, GREY, plate="data", per_datum=()).select([0, 1])
    assert ["NO LOG" in text for text in picked.unnormalised] == [True, False]


LOG_COUNTS: dict[str, tuple[Callable[[Tensor], Any], Callable[[Tensor, Tensor], Tensor]]] = {
    "Binomial": (
        lambda a: dist.Binomial(3, logits=a, validate_args=False).to_event(1),
        lambda a, x: (
            math.lgamma(4) - torch.lgamma(x + 1) - torch.lgamma(4 - x) + x * a - 3 * a.exp().log1p()
        ),
    ),
    "Poisson": (
        lambda a: dist.Poisson(a.exp(), validate_args=False).to_event(1),
        lambda a, x: x * a - a.exp() - torch.lgamma(x + 1),
    ),
    "Geometric": (
        lambda a: dist.Geometric(logits=a, validate_args=False).to_event(1),
        lambda a, x: x * (-a).sigmoid().log() + a.sigmoid().log(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOG_COUNTS)
def test_counts_that_are_fractions_are_continued_too(kind: str) -> None:
    likelihood, log_density = LOG_COUNTS[kind]
    x = 3 * GREY
    target = Target(model_of(likelihood), guide, x)
    torch.testing.assert_close(quadrature(target).value, by_hand(log_density, x), atol=1e-6, rtol=0)
    fractions = [bool((row != row.round()).any()) for row in x]
    assert [f"{kind} cannot draw" in text and "round" in text for text in target.unnormalised] == fractions
    assert any(fractions) and not all(fractions)


def test_a_multinomial_says_so_of_fractions_that_torch_lets_pass() -> None:
    x = torch.tensor([[0.5, 0.5, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    target = Target(model_of(lambda a: dist.Multinomial(3, logits=a)), guide, x)
    assert ["Multinomial cannot draw" in text for text in target.unnormalised] == [True, False]


# Who asked for it -----------------------------------------------------------------------------------------------------


def expanded(logits: Tensor) -> Any:
    return dist.Bernoulli(logits=W[0], validate_args=False).expand(logits.shape).to_event(1)


def mixed(logits: Tensor) -> Any:
    each = dist.Bernoulli(logits=torch.stack([logits, -logits], -2), validate_args=False).to_event(1)
    weights = dist.Categorical(torch.ones(*logits.shape[:-1], 2))
    return dist.MixtureSameFamily(weights, each, validate_args=False)


class Own(dist.TorchDistribution):
    """A user's distribution, which leaves `.expand` to Pyro."""

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (torch's own interface)
    support = constraints.boolean

    def __init__(self, logits: Tensor, validate_args: bool | None = False) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        return log_grey(self.logits, value)


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize(
    "likelihood",
    [
        grey,
        expanded,
        mixed,
        lambda a: Own(a[..., :1]).expand(a.shape).to_event(1),
        lambda a: grey(a).mask(torch.ones(len(GREY), dtype=torch.bool)),
        lambda a: dist.Bernoulli(logits=a, validate_args=False).mask(True).to_event(1),
        lambda a: dist.Bernoulli(a.sigmoid(), validate_args=False).to_event(1),
    ],
    ids=["to_event", "expand", "mixture", "own", "mask", "mask inside", "probs"],
)
def test_switched_off_by_the_user_is_seen_through_wrappers(likelihood: Program, validation: bool) -> None:
    with pyro.validation_enabled(validation):
        found = Target(model_of(likelihood), guide, GREY).unnormalised
    assert [bool(text) for text in found] == MARKS


def test_a_plate_that_broadcasts_keeps_it() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-1):
            logits = latent(len(x)) @ W
            with pyro.plate("pixels", 5, dim=-2):
                pyro.sample("x", dist.Bernoulli(logits=logits.mT[:1], validate_args=False), obs=x.mT)

    assert [bool(text) for text in Target(model, guide, GREY).unnormalised] == MARKS


def test_what_expansion_leaves_on_a_wrapper_is_no_answer() -> None:
    """Pyro's Independent, expanded, switches off the validation of an ExpandedDistribution inside it."""
    with pytest.raises(ProgramError, match="the global default"):
        Target(model_of(lambda a: Own(a[..., :1], None).expand(a.shape).to_event(1)), guide, GREY)


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("explicit", [None, True])
def test_a_global_default_is_no_answer(validation: bool, explicit: bool | None) -> None:
    model = model_of(lambda a: dist.Bernoulli(logits=a, validate_args=explicit).expand(a.shape).to_event(1))
    words = "failed on these arguments" if explicit else r"rows: \[0, 2\].*validate_args=False\), the global default"
    with pyro.validation_enabled(validation), pytest.raises(ProgramError, match=words):
        Target(model, guide, GREY)


WRONG: dict[str, tuple[Program, Tensor, str]] = {
    "not grey": (grey, 2 * GREY, "outside the support"),
    "below": (grey, GREY - 0.01, "outside the support"),
    "NaN": (grey, torch.where(GREY == 0.9, torch.nan, GREY), r"NaN.*rows: \[0\]"),
    "soft labels": (
        lambda a: dist.OneHotCategorical(logits=a, validate_args=False),
        GREY / GREY.sum(1, keepdim=True),
        "soft labels would count as hard ones",
    ),
    "class and a half": (
        lambda a: dist.Categorical(logits=a.unsqueeze(-1).expand(-1, -1, 2), validate_args=False).to_event(1),
        GREY,
        "rounds what it is given",
    ),
    "no density": (lambda a: dist.HalfNormal(a.exp(), validate_args=False).to_event(1), GREY - 0.5, "outside the"),
    "nor here": (lambda a: dist.Exponential(a.exp(), validate_args=False).to_event(1), GREY - 0.5, "outside the"),
    "infinite": (
        lambda a: dist.Beta(0.5 + 0 * a, 0.5 + 0 * a, validate_args=False).to_event(1),
        GREY,
        r"density of Beta is infinite in 3 of its data \(first rows: \[1, 2, 3\]\)",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_has_no_density_there_is_refused(what: str) -> None:
    likelihood, x, words = WRONG[what]
    with pytest.raises(ProgramError, match=words):
        Target(model_of(likelihood), lambda x: guide(GREY), x)


@pytest.mark.parametrize("around", [True, False])
def test_what_a_mask_hides_is_not_spoken_of(around: bool) -> None:
    def model(x: Tensor) -> None:
        seen = (x == 0) | (x == 1)
        inside = torch.tensor(True) if around else seen
        with pyro.plate("data", len(x)):
            each = dist.Bernoulli(logits=latent(len(x)) @ W, validate_args=False).mask(inside)
            with poutine.mask(mask=seen.all(1) | (not around)):
                pyro.sample("x", each.to_event(1), obs=x)

    assert Target(model, guide, GREY).unnormalised == ("",) * 4


# Where it is said -----------------------------------------------------------------------------------------------------

LIKE = {"anneal from the prior", "anneal_reverse", "smc", "bracket on a lattice", "decompose"}
"""What others of these say in the same words; of a decomposition see above."""

NO_LOG_P = {"hmc", "nuts", "agreement", "latent_use", "calibrate", "bidirectional"}
"""Results without log p(x), and those that need data which the model can draw."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LIKE or entry.slow else [])
        for name, entry in ESTIMATORS.items()
        if name.split()[0] not in NO_LOG_P
    ],
)
def test_every_estimate_of_log_p_says_what_it_is_of(name: str) -> None:
    target = target_of()
    result = ESTIMATORS[name].call(target, 0, None)
    found = {estimate.unnormalised for estimate in estimates_in(result)}
    assert target.unnormalised in found and found <= {target.unnormalised, ("",) * 4}


def estimates_in(result: Any) -> list[Estimate]:
    """The estimates of a result: itself, its fields, or what it maps to."""
    if isinstance(result, Estimate):
        return [result]
    if isinstance(result, inference.Versus):  # two of each
        return [estimate for part in (*result.brackets, *result.elbos) for estimate in estimates_in(part)]
    fields = vars(result) if hasattr(result, "__dict__") else result._asdict()
    parts = [part for value in fields.values() for part in (value.values() if isinstance(value, dict) else [value])]
    return [part for part in parts if isinstance(part, Estimate)]


def test_check_program_and_tables_say_it_first_and_once() -> None:
    target = target_of()
    assert check_program(model_of(grey), guide, GREY).notes[0].startswith("NO LOG-LIKELIHOOD: site 'x'")
    for table in (bounds(target, num_samples=50).table(), bracket(target, budget=30).table()):
        assert table.count("NO LOG-LIKELIHOOD") == 1 and "(2 of 4 data)" in table and "ContinuousBernoulli" in table
    assert "NO LOG" not in bounds(target, num_samples=50).table(1)


@pytest.mark.slow
def test_nothing_is_simulated_and_an_audit_says_why(tmp_path: Path) -> None:
    target = target_of()
    for call in (Target.simulate, bidirectional, lambda t: calibrate(t, num_simulations=20, num_draws=5)):
        with pytest.raises(ProgramError, match=r"cannot draw data such as 2 of these \(first rows: \[0, 2\]\)"):
            call(target)
    assert len(target.select([1, 3]).simulate()[0]) == 2
    options: dict[str, Any] = {"budget": "2e5 evaluations", "num_simulations": 20, "state": tmp_path}
    found = audit_target(target, **options)
    assert "cannot draw data such as" in found.skipped["calibration"] and found.calibration is None
    assert found.findings[0].sentence.startswith("NO LOG-LIKELIHOOD") and found.findings[0].data == (0, 2)
    assert found.bracket.unnormalised == found.sampled.unnormalised == target.unnormalised
    assert found.decomposition.log_p.unnormalised == target.select(list(found.rows["decomposition"])).unnormalised
    again = audit_target(target, **options)
    assert again.bracket.unnormalised == again.sampled.unnormalised == target.unnormalised
    binary = audit_target(target.select([1, 3]), budget="3e4 evaluations", num_simulations=20)
    assert binary.findings[0].topic != "caution"


def test_a_bracket_that_goes_on_says_it_again(tmp_path: Path) -> None:
    options: dict[str, Any] = {"budget": 30, "state": tmp_path / "ledger"}
    first, second = (bracket(target_of(), **options) for _ in range(2))
    assert first.unnormalised == second.unnormalised == target_of().unnormalised
    torch.testing.assert_close(first.lower.value, second.lower.value, atol=0, rtol=0)
    assert second.select([2, 1]).unnormalised == tuple(target_of().unnormalised[b] for b in (2, 1))


def test_blocks_of_an_audit_are_joined_with_it() -> None:
    target = target_of()
    parts = [quadrature(target.select(rows)) for rows in ([2, 1], [3, 0])]
    assert joined(parts, target).unnormalised == target.select([2, 1, 3, 0]).unnormalised


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(5, dtype=torch.float64))

    def forward(self, x: Tensor) -> None:
        pyro.module("decoder", self)
        model_of(lambda logits: grey(logits + self.bias))(x)


def test_fit_says_it_once_and_trains(caplog: pytest.LogCaptureFixture) -> None:
    decoder = Decoder()
    before = importance(Target(decoder, guide, GREY), num_samples=50, search=False).info["elbo"].mean()
    with caplog.at_level(logging.WARNING, "elbowroom"):
        fit(decoder, guide, GREY, num_epochs=30, batch_size=2, learning_rate=0.05, progress=False)
    assert [record.message.count("NO LOG-LIKELIHOOD") for record in caplog.records] == [1]
    after = importance(Target(decoder, guide, GREY), num_samples=50, search=False).info["elbo"].mean()
    assert float(after) > float(before)
