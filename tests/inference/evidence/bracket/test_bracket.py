"""The bracket: right or flagged on known problems, whatever the order, the batch and the interruptions are."""

import math
from importlib import import_module

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Bracket, Target, bracket, quadrature
from elbowroom.inference.evidence.bracket import sizes
from elbowroom.inference.evidence.bracket import stages as methods
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.reference import PROBLEMS, problem
from toys.failure_budget import sigmas
from toys.programs import Ppca, data, normal_evidence, normal_guide, normal_model
from toys.selections import all_but_slow

GENEROUS = 300.0  # seconds: more than anything here takes, so that time decides nothing
NUMERICAL = 1e-6  # nats: errors of quadrature and of the references themselves
NEAR = 0.05  # nats
stages = import_module("elbowroom.inference.evidence.bracket.bracket")  # the package's name of it is the function
MISSED = ("shells-one", "shells-5-one", "modes-large", "modes-small", "two-modes-2-large", "two-modes-2-small",
          "label-switching", "label-switching-enumerated")  # fmt: skip
"""The guide misses a mode without a sign in its weights."""
SLOW = ("funnel", "funnel-mean-field", "funnel-10", "funnel-prior", "shells-5", "shells-5-one", "shells-10",
        "eight-schools", "banana-mean-field", "eight-schools-mean-field", "two-modes-4-large", "two-modes-4-small",
        "two-modes-10-large", "two-modes-10-small", "twenty-modes-4", "twenty-modes-10", "product-2",
        "product-3")  # fmt: skip
LONG = (*SLOW, "ppca-10", "ppca-10-wide", "ppca-mean-field", "regression-mean-field", "regression-unknown-noise",
        "regression-unknown-noise-mean-field", "student-prior-1-10", "student-prior-3-10", "student-likelihood-1-10",
        "student-likelihood-3-10", "dirichlet-multinomial", "sblri", "ark", "gp-regr",
        "correlated-gaussian-0.9999")  # fmt: skip
ALIKE = ("shells-one", "ragged-hmm", "partly-observed-labels", "student-prior-1-1", "student-likelihood-1-1",
         "beta-binomial", "mixture-two-sites-one-normal", "correlated-gaussian-0.9",
         "conjugate-normal", "conjugate-normal-0.5", "conjugate-normal-0.9", "conjugate-normal-0.95",
         "conjugate-normal-1.5", "correlated-gaussian-0.3", "correlated-gaussian-0.6", "modes", "modes-large",
         "two-modes-2-large", "two-modes-2-small", "student-prior-3-1", "student-likelihood-3-1",
         "gamma-poisson-log-normal", "mixture", "mixture-one-normal", "shells", "shells-prior",
         "label-switching-enumerated", "ppca", "mixture-two-sites", "mog-40")  # fmt: skip
"""Others of the same kind are quick tests."""


@pytest.fixture
def no_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few latents too must be answered by chains."""
    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", -1)


def two_modes(x: Tensor) -> None:
    """x | z ~ N(z²/2, ½²): the posterior of z has two equal modes, one at each sign."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 3.0))
        pyro.sample("x", dist.Normal(z.square() / 2, 0.5), obs=x)


def one_mode(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal((2 * x).sqrt(), 0.3))


def conjugate(num_data: int = 4, s: float = 0.8) -> tuple[Target, Tensor]:
    x = data(num_data) * math.sqrt(2.0)
    return Target(normal_model, normal_guide(s), x), normal_evidence(x)


def check(found: Bracket, truth: Tensor, limit: float) -> None:
    """Every datum without a flag: within `limit` standard errors and 0.05 nat, on both sides."""
    for side in (found.lower, found.upper):
        error = (side.value - truth).abs()
        right = (error <= limit * side.stderr + NUMERICAL) & (error <= NEAR)
        assert bool((right | ~found.settled).all()), (side, truth, found.flags)
        assert side.value.shape == side.stderr.shape == truth.shape
    assert len(found.flags) == len(found.notes) == len(found) == len(truth)


# Known evidence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", all_but_slow(PROBLEMS, (*LONG, *ALIKE)))
def test_reference_problems(name: str) -> None:
    """Three standard errors and 0.05 nat, or a flag."""
    reference = problem(name)
    found = bracket(reference.target(), budget=20.0 if name in SLOW else GENEROUS)
    check(found, reference.log_evidence, 3.0)
    assert name in SLOW or bool(found.settled.all()), found.flags
    if name in MISSED:
        assert all("the guide misses a part of the posterior" in note for note in found.notes)


FEW_LATENTS = tuple(name for name in PROBLEMS if 0 < problem(name).mean.shape[1] <= 2)
QUICK_CHAINS = ("conjugate-normal-0.5", "modes-small")


@pytest.mark.parametrize(
    "name", [name if name in QUICK_CHAINS else pytest.param(name, marks=pytest.mark.slow) for name in FEW_LATENTS]
)
@pytest.mark.usefixtures("no_lattice")
def test_reference_problems_by_chains(name: str) -> None:
    """The same where a lattice is not allowed to help; the data of all problems share a failure budget."""
    reference = problem(name)
    # Those that must be settled have the time for it on a machine that is busy.
    found = bracket(reference.target(), budget=GENEROUS if name in QUICK_CHAINS else 20.0)
    check(found, reference.log_evidence, sigmas(2 * 5 * len(FEW_LATENTS)))
    assert "quadrature" not in found.ledger.columns
    if name in QUICK_CHAINS:
        assert bool(found.settled.all()), found.flags
    if name in MISSED:
        assert all(note or flag for note, flag in zip(found.notes, found.flags, strict=True))


@pytest.mark.usefixtures("no_lattice")
def test_an_exact_guide() -> None:
    """Constant weights say nothing from above, so chains are run all the same; both sides are right."""
    made = Ppca.make(6, 3, 0.7)
    x = made.sample(4)
    found = bracket(Target(made.model, made.guide, x), budget=GENEROUS)
    check(found, made.evidence(x), sigmas(8))
    assert bool(found.settled.all()) and found.notes == ("",) * 4
    column = found.ledger.columns["importance"]
    torch.testing.assert_close(column.value, made.evidence(x), rtol=1e-9, atol=1e-9)


def test_no_latent_at_all() -> None:
    """Every latent is discrete and summed out: one evaluation is the answer."""
    reference = problem("mixture-discrete")
    found = bracket(reference.target(), budget=GENEROUS)
    assert found.lower.info["method"] == ("quadrature",) * len(reference)
    torch.testing.assert_close(found.lower.value, reference.log_evidence, rtol=1e-9, atol=1e-9)
    assert torch.equal(found.lower.value, found.upper.value) and bool(found.settled.all())


@pytest.mark.usefixtures("no_lattice")
def test_programs_that_cannot_be_cut() -> None:
    """plate=None: one datum as a whole, whatever the time allows."""
    x = data(5)

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z.sum(), 1.0).expand([len(x)]).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(x.mean().expand(3) / 3, 0.9).to_event(1))

    found = bracket(Target(model, guide, x, plate=None), budget=GENEROUS)
    truth = dist.MultivariateNormal(torch.zeros(5), torch.eye(5) + 3 * torch.ones(5, 5)).log_prob(x)
    check(found, truth.unsqueeze(0), sigmas(2))
    assert len(found) == 1 and bool(found.settled.all())


# Law 1 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("no_lattice")
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = conjugate(3)
    whole = bracket(target, budget=GENEROUS)
    monkeypatch.setattr(stages, "_BLOCK", dict.fromkeys(stages._BLOCK, 2))
    cut = bracket(target, budget=GENEROUS)
    torch.testing.assert_close(cut.lower.value, whole.lower.value, rtol=0, atol=1e-9)


# What cannot be answered ---------------------------------------------------------------------------------------------


def test_an_improper_prior_is_refused_by_name() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("location", dist.ImproperUniform(dist.constraints.real, (), ()))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("location", dist.Normal(x, 1.0))

    with pytest.raises(ValueError, match=r"site 'location' is improper \(ImproperUniform\).*no evidence to estimate"):
        bracket(Target(model, guide, data(2)))


def scale_model(x: Tensor) -> None:
    """x ~ N(0, s²) with s ~ HalfNormal: at x = 0 the evidence ∫ p(s) / s ds is infinite."""
    with pyro.plate("data", len(x)):
        s = pyro.sample("s", dist.HalfNormal(1.0))
        pyro.sample("x", dist.Normal(torch.zeros(()), s), obs=x)


def scale_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("s", dist.LogNormal(torch.zeros(len(x)), 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("lattice", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_infinite_evidence_is_flagged(lattice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The posterior ends only where floating-point numbers do; each method gives a finite value, and they agree."""
    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", 2 if lattice else -1)
    monkeypatch.setattr(stages, "_MAX_EFFORT", 0)
    x = torch.tensor([0.0, 1.0])
    found = bracket(Target(scale_model, scale_guide, x), budget=60.0)
    assert "limits of floating-point numbers" in found.flags[0], found.flags
    assert "improper" in found.flags[0] and found.flags[1] == ""
    truth = quadrature(Target(scale_model, scale_guide, x[1:])).value
    assert abs(found.lower.value[1] - truth) < sigmas() * found.lower.stderr[1] + NUMERICAL


@pytest.mark.slow
@pytest.mark.parametrize("lattice", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_neck_without_end_is_flagged(lattice: bool, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal values of one normal: the evidence diverges where its scale goes to zero and its mean to them."""
    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", 2 if lattice else -1)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z, s = pyro.sample("z", dist.Normal(0.0, 1.0)), pyro.sample("s", dist.HalfNormal(1.0))
            both = dist.Normal(z.unsqueeze(-1), s.unsqueeze(-1)).expand((*z.shape, 2))
            pyro.sample("x", both.to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.mean(-1), 0.7))
            pyro.sample("s", dist.LogNormal(torch.zeros(len(x)), 1.0))

    assert bracket(Target(model, guide, torch.tensor([[0.3, 0.3]])), budget=30.0, seed=seed).flags[0]


@pytest.mark.slow
def test_an_unbounded_likelihood_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp(z²) against a normal prior: no integral."""
    monkeypatch.setattr(stages, "_MAX_EFFORT", 0)
    x = torch.tensor([0.3, -1.2])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            pyro.factor("growth", torch.where(x > 0, z.square(), -0.5 * z.square()))

    found = bracket(Target(model, normal_guide(1.0), x), budget=60.0)
    assert "improper" in found.flags[0], found.flags
    assert found.flags[1] == "" and abs(found.lower.value[1] + 0.5 * math.log(2)) < NUMERICAL


@pytest.mark.slow
@pytest.mark.parametrize("lattice", [pytest.param(True, marks=pytest.mark.slow), False])
def test_data_of_probability_zero(lattice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", 2 if lattice else -1)
    monkeypatch.setattr(stages, "_MAX_EFFORT", 0)
    x = torch.tensor([0.3, 5.0])

    def never(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)
            pyro.factor("never", torch.where(x > 2.0, -torch.inf, 0.0))

    found = bracket(Target(never, normal_guide(1.0), x), budget=60.0)
    assert found.lower.value[1] == -math.inf and found.flags[1] and found.flags[0] == ""
    assert abs(found.lower.value[0] - normal_evidence(x)[0]) < sigmas() * found.lower.stderr[0] + NUMERICAL


@pytest.mark.slow
def test_a_guide_that_is_nan_for_one_datum() -> None:
    x = torch.tensor([0.3, -1.2, 0.8])

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            loc = torch.where(x == -1.2, torch.nan, x / 2)
            pyro.sample("z", dist.Normal(loc, 0.7, validate_args=False))

    found = bracket(Target(normal_model, guide, x), budget=GENEROUS)
    assert "NaN" in found.ledger.columns["importance"].flags[1]
    check(found, normal_evidence(x), sigmas(6))
    sound = bracket(Target(normal_model, normal_guide(0.7 / math.sqrt(0.5)), x), budget=GENEROUS)
    for b in (0, 2):  # what one datum does to the guide is nothing to the others
        assert found.flags[b] == "" and found.ledger.columns["importance"].flags[b] == ""
        torch.testing.assert_close(found.lower.value[b], sound.lower.value[b], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "value"), [("budget", 0.0), ("budget", -1.0), ("tolerance", 0.0), ("budget", math.nan)]
)
def test_budgets_and_tolerances_are_positive(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number > 0 .* got {value}"):
        bracket(conjugate()[0], **{name: value})


def test_a_budget_too_small_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what a first estimate and what everything would take."""
    monkeypatch.setattr(Forecast, "measure", classmethod(lambda cls, target: Forecast(1.0, 0.001, 1)))
    first = 4 * 1.0 + 4 * 2 * sizes.NUM_SAMPLES * 0.001  # of guide and model; an eighth of the draws would do
    with pytest.raises(ValueError, match=rf"budget=4.9 s is too small.*of 4 data takes about {first:g} s, all stages"):
        bracket(conjugate()[0], budget=4.9)
    assert len(bracket(conjugate()[0], budget=5.1)) == 4


def test_time_for_importance_sampling_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No upper value is said to be missing, not made up."""
    monkeypatch.setattr(Forecast, "measure", classmethod(lambda cls, target: Forecast(1.0, 1e-6, 1)))
    found = bracket(conjugate()[0], budget=5.0)
    assert set(found.ledger.columns) == {"importance"}
    assert bool((found.upper.value == math.inf).all()) and bool((found.upper.stderr == math.inf).all())
    assert bool((found.width == math.inf).all()) and found.forecast["chains"] > 1000.0 and found.unit == "s"
    total = sum(found.forecast.values())
    told = f"for all data they take about {found.forecast['chains']:.3g} s, all stages about {total:.3g} s"
    assert all(
        "no upper bound: the budget ended before chains were done" in flag and told in flag for flag in found.flags
    )


def test_table() -> None:
    x = torch.tensor([3.0, 4.0])
    found = bracket(Target(two_modes, one_mode, x), budget=GENEROUS)
    lines = found.table().splitlines()
    assert lines[0].startswith("2 of 2 data settled within 0.1 nats, in ") and "flagged" not in found.table()
    mean = float(found.lower.value.mean())
    assert f"mean log p(x): from {mean:.3f} ± 0.000 to {mean:.3f} ± 0.000 nats" == lines[1]
    assert lines[2].split() == ["datum", "lower", "±", "error", "upper", "±", "error", "method", "flag"]
    assert " nats low" in lines[3] and "quadrature" in lines[3] and len(lines) == 5
    assert [line.split()[0] for line in found.table([1]).splitlines()[3:]] == ["1"]
    assert len(found.table(most=1).splitlines()) == 4
    with pytest.raises(ValueError, match=r"data must be indices 0 … 1, got \[2, -1\]"):
        found.table([2, 0, -1])
    low, high = found.interval()
    assert bool((low <= found.lower.value).all()) and bool((high >= found.upper.value).all())
