"""Audits as `audit` might find them, made up: a good one, a bad one, one cut short, one of tabular rows."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from elbowroom.datasets import load
from elbowroom.inference import Estimate
from elbowroom.inference.audit import Audit, Chains, Finding, Number, Portrait
from elbowroom.inference.audit.verdict.brief import brief_of
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.inference.diagnostics.calibration.result import Check
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.mcmc.convergence import Convergence, Gates

EXPLODED = 5
"""The datum of the bad audit whose encoder output has exploded."""
HOSTILE = "<script>alert(1)</script>"
"""A latent's name that must never run."""
USES = ("means", "intervals", "tails", "model comparison")
LONG = "the weights' tail is too heavy (k̂ 1.32 > 0.7), so log p̂(x) is likely too low; chains: R-hat 1.2034 > 1.01"


@cache
def good_audit(num_data: int = 40) -> Audit:
    """A guide that is nearly the posterior, of digits 8×8; every part ran on every data."""
    return _Maker(num_data, seed=1).audit()


@cache
def bad_audit(num_data: int = 60) -> Audit:
    """A guide with missed modes, an exploded datum, flags, a hostile name; some parts ran on some data."""
    return _Maker(num_data, seed=2, bad=True).audit()


@cache
def short_audit() -> Audit:
    """The budget let only the bracket's lower side be found."""
    made = _Maker(12, seed=3, bad=True)
    numbers = {"lower": Number(-31.2, -31.9, -30.5, "nats", "mean lower bound of log p(x), importance sampling")}
    finding = Finding("caution", "warning", "The time ended before the room could be measured.", ("lower",), (3,))
    nothing: dict[str, Any] = dict.fromkeys(
        ("decomposition", "agreement", "chains", "calibration", "latent_use", "portrait", "x")
    )
    return Audit(
        num_data=12, bracket=made.bracket(upper=False), rows={}, numbers=numbers, findings=(finding,),
        brief=brief_of((finding,), numbers),
        cost={"bracket": 2.0}, provenance={"seed": 0, "budget": 2.0, "seconds": 2.0}, **nothing,
    )  # fmt: skip


@cache
def tabular_audit(num_data: int = 25) -> Audit:
    """Rows of five columns and nine latents; examined out of order, and 15 of them are a random sample."""
    x = torch.randn(num_data, 5, generator=torch.Generator().manual_seed(9), dtype=torch.float64) * 3
    made = _Maker(num_data, seed=4, num_latents=9, x=x)
    made.decomposed = made.examined = (*range(20, num_data), *range(20))
    audit = made.audit()
    return replace(audit, rows=audit.rows | {"random": tuple(range(5, 20))})


@cache
def few_audit() -> Audit:
    """Forty data, log p(x) and the ELBO known of all, and eight of them taken apart."""
    made = _Maker(40, seed=5)
    made.decomposed = made.examined = tuple(range(8))
    audit = made.audit()
    lower = audit.bracket.lower
    info: Any = {
        "elbo": lower.value - 0.5, "elbo_stderr": lower.stderr, "pareto_k": torch.zeros(40), "num_samples": 100,
        "ess": torch.full((40,), 50.0),
    }  # fmt: skip
    sampled = Estimate(lower.value, lower.stderr, "lower", info)
    numbers = audit.numbers | {"gap_examined": audit.numbers["gap"]}
    return replace(audit, sampled=sampled, numbers=numbers)


class _Maker:
    """Numbers that hang together: ladder, terms, bracket and agreement of one set of data."""

    def __init__(
        self, num_data: int, seed: int, *, bad: bool = False, num_latents: int = 2, x: Tensor | None = None
    ) -> None:
        self.noise = torch.Generator().manual_seed(seed)
        self.num_data, self.bad = num_data, bad
        self.latents = tuple(f"z[{n}]" for n in range(num_latents))
        self.x = digits(num_data) if x is None else x
        if bad:
            self.latents = (self.latents[0], HOSTILE, *self.latents[2:])
        self.decomposed = tuple(range(num_data if not bad else num_data - 10))
        self.examined = tuple(range(num_data if not bad else num_data // 2))
        self.log_p = -20 - 6 * self.rand(num_data)
        self.amortization = (1.8 if bad else 0.06) * self.rand(num_data) ** 2
        self.approximation = (2.4 if bad else 0.05) * self.rand(num_data) ** 3

    def rand(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.noise, dtype=torch.float64)

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.noise, dtype=torch.float64)

    def bracket(self, upper: bool = True) -> Any:
        ledger, rows = Ledger.empty(self.num_data), torch.arange(self.num_data)
        stderr = 0.004 + 0.03 * self.rand(self.num_data)
        flags = [""] * self.num_data
        if self.bad:
            flags[3], stderr[3] = LONG, 0.9
        lower = Estimate(self.log_p - 0.01, stderr, "lower", flags=tuple(flags))
        ledger.put("adapted importance", rows, lower)
        if upper:
            ledger.put("adapted importance, upper", rows, Estimate(self.log_p + 0.01, stderr, "upper"))
        ledger.seconds = 21.5
        return read(ledger, 0.1, {"adapted importance": 20.0})

    def decomposition(self) -> Decomposition:
        rows = torch.tensor(self.decomposed)
        size = len(rows)
        log_p, amortization, approximation = self.log_p[rows], self.amortization[rows], self.approximation[rows]
        slack, error = 0.002 + 0.004 * self.rand(size), 0.003 + 0.01 * self.rand(size)
        full = 0.6 * approximation
        ladder = {"encoder": log_p - approximation - amortization - slack}
        ladder["mean-field"] = ladder["encoder"] + amortization
        ladder["full covariance"] = ladder["mean-field"] + full
        ladder["mixture"] = ladder["full covariance"] + 0.3 * approximation
        exploded, flags = torch.zeros(size, dtype=torch.bool), [""] * size
        if self.bad:
            exploded[EXPLODED], amortization[EXPLODED] = True, 4.1e17
            flags[EXPLODED] = "the encoder's output for this datum is not usable: log-variance of z[0] is 40"
            ladder["encoder"][EXPLODED] = -4.1e17
            ladder["encoder"][8], exploded[8], flags[8] = -math.inf, True, "the encoder's output is not a number"
            amortization[8] = math.nan
        names = list(ladder)
        gains = {b: _estimate(ladder[b] - ladder[a], error / 2) for a, b in pairwise(names)}
        return Decomposition(
            ladder={name: _estimate(value, error, "lower") for name, value in ladder.items()},
            gains=gains,
            family="mean-field",
            log_p=_estimate(log_p, error),
            amortization=_estimate(amortization, error),
            optimisation=_estimate(slack, error / 4),
            approximation=_estimate(approximation, error),
            refined=cast(RefinedGuide, None),  # no report reads it
            exploded=exploded,
            flags=tuple(flags),
            notes=("a mixture was fitted from two starts", *[""] * (size - 1)),
            num_evaluations=torch.full((size,), 4800),
            seconds=33.25,
        )

    def agreement(self) -> Agreement:
        size, shape = len(self.examined), (len(self.examined), len(self.latents))
        k = 0.1 + 0.3 * self.rand(size) + (0.7 * self.rand(size) if self.bad else 0)
        missed = torch.where(self.rand(size) < 0.2, 0.1, 0.001) if self.bad else torch.full((size,), 0.0005)
        good = {
            "means": missed < 0.05,
            "intervals": (missed < 0.05) & (k < 0.9),
            "tails": (k < 0.7) & (missed < 0.05),
            "model comparison": k < 0.7,
        }
        reason = "a mode with about 10 % of the posterior is missed (10.0 ± 0.4 %)"
        flags = [""] * size
        if self.bad:
            flags[4] = "R-hat 1.2034 > 1.01: the chains disagree"
        scale = 0.4 if self.bad else 0.03
        estimate = _estimate(self.amortization[list(self.examined)] + 0.1, torch.full((size,), 0.01))
        return Agreement(
            reference="hmc", latents=self.latents,
            mean_error=scale * self.randn(*shape), mean_error_stderr=torch.full(shape, 0.02),
            log_sd_ratio=scale * self.randn(*shape), log_sd_ratio_stderr=torch.full(shape, 0.02),
            correlation_error=scale * self.rand(size), correlation_error_floor=torch.full((size,), 0.03),
            tail_mass=0.1 + 0.2 * scale * self.rand(*shape), tail_mass_stderr=torch.full(shape, 0.01),
            far_tail_mass=0.01 + 0.05 * scale * self.rand(*shape), far_tail_mass_stderr=torch.full(shape, 0.003),
            mode_distance=3 * scale * self.rand(size),
            missed_mass=missed, missed_mass_stderr=torch.full((size,), 0.002),
            wasserstein=scale * self.rand(*shape), wasserstein_floor=torch.full(shape, 0.02),
            c2st=0.5 + scale * self.rand(size), c2st_stderr=torch.full((size,), 0.01),
            kl_q_p=estimate, kl_p_q=Estimate(estimate.value * 1.4, estimate.stderr, "none"),
            pareto_k=k, ess_share=0.9 - k / 2,
            uses=good,
            why_not={use: tuple("" if ok else reason for ok in oks.tolist()) for use, oks in good.items()},
            flags=tuple(flags), seconds=12.5,
        )  # fmt: skip

    def chains(self) -> Chains:
        shape = (len(self.examined), len(self.latents))
        rhat, flags = 1 + 0.005 * self.rand(*shape), [""] * shape[0]
        if self.bad:
            rhat[4, 0], flags[4] = 1.2034, "R-hat 1.2034 > 1.01: the chains disagree"
            rhat[6, 1], flags[6] = math.nan, "R-hat is undefined (a chain that never moved, or too few draws)"
        sizes = [900 + 600 * self.rand(*shape) for _ in range(3)]
        found = Convergence(
            rhat, *sizes, 0.01 * self.rand(*shape), 0.01 * self.rand(*shape),
            torch.zeros(shape[0], dtype=torch.long), 0.7 + 0.3 * self.rand(shape[0]), tuple(flags),
        )  # fmt: skip
        return Chains(self.examined, found, 4, 500, 300, Gates())

    def calibration(self) -> Calibration:
        num, draws, names = 200, 99, (*self.latents, "log p(x, z)")
        uniform = self.rand(num, len(names))
        if self.bad:
            uniform[:, 0] = uniform[:, 0] ** 1.6
        ranks = (uniform * (draws + 1)).long().clamp_max(draws)
        grid = torch.linspace(0, 1, 51)
        ecdf = (ranks.double()[:, None] + 0.5 <= grid[:, None] * (draws + 1)).double().mean(0)
        band = 1.5 * (grid * (1 - grid) / num).sqrt() * 2 + 1e-3
        bent = (grid - (0.14 if self.bad else 0.02) * (4 * grid * (1 - grid))).clamp(0, 1)
        meaning = "ranks are low: the guide's draws of this latent lie too high"
        checks = [Check(f"ranks of {name}", 0.4, False, "") for name in names]
        if self.bad:
            checks[0] = Check(f"ranks of {names[0]}", 1e-9, True, meaning)
        wide = "the guide is too narrow: its 90 % regions hold the truth 76 % of the time"
        checks.append(Check("coverage", 2e-5 if self.bad else 0.3, self.bad, wide if self.bad else ""))
        checks.append(Check("TARP", 0.03 if self.bad else 0.8, False, ""))
        return Calibration(
            kind="prior", quantities=names, ranks=ranks, num_draws=draws, grid=grid,
            ecdf_difference=ecdf - grid[:, None], band_low=-band, band_high=band,
            coverage=bent, coverage_low=grid - band, coverage_high=grid + band,
            tarp=(grid + bent) / 2, tarp_low=grid - band, tarp_high=grid + band,
            level=0.05, checks=tuple(checks), flags=("2 simulations failed",) if self.bad else (), seconds=6.0,
        )  # fmt: skip

    def latent_use(self) -> LatentUse:
        size = len(self.latents)
        activity = self.rand(size) + 0.2
        if self.bad or size > 4:
            activity[-1] = 0.0004
        collapsed = f"{self.latents[-1]} is not used: its KL is 0.001 nats for every datum, likely since β was 4."
        return LatentUse(
            latents=self.latents, activity=activity, activity_stderr=activity / 20, active=activity > 0.01,
            kl=2 * activity, kl_stderr=activity / 30, sensitivity=5 * activity,
            rate=_estimate(2 * activity.sum()[None], torch.tensor([0.05])),
            mutual_information=Estimate(
                1.8 * activity.sum()[None], torch.tensor([0.06]), "lower", {"limit": math.log(self.num_data)}
            ),
            marginal_kl=_estimate(0.2 * activity.sum()[None], torch.tensor([0.03])),
            aggregate_mean=0.2 * self.randn(size), aggregate_sd=1 + 0.1 * self.randn(size),
            aggregate_distance=0.1 * self.rand(size),
            collapsed=(collapsed,) if activity[-1] < 0.01 else (),
            pruned=_estimate(torch.tensor([-0.002]), torch.tensor([0.004])) if activity[-1] < 0.01 else None,
            sigma={"value": 0.21, "optimal": 0.19, "optimal_stderr": 0.002, "log_lik_gain": 0.6, "explained": 0.7},
            sigma_told="Each pixel is told with σ = 0.21: finer strokes than that are noise to the model.",
            seconds=2.5,
        )  # fmt: skip

    def portrait(self) -> Portrait:
        data = self.examined[:6]
        shift = self.randn(len(data), len(self.latents))
        posterior = shift + self.randn(600, len(data), len(self.latents)) * 0.5
        if self.bad:
            posterior[:60, 0] += 4
        guide = shift + self.randn(500, len(data), len(self.latents)) * (0.35 if self.bad else 0.5)
        return Portrait(data, self.latents, guide, posterior)

    def audit(self) -> Audit:
        decomposition, agreement = self.decomposition(), self.agreement()
        usable = decomposition.usable
        numbers = {
            "room": _number(decomposition.room(), usable, "mean of log p(x) − ELBO over the usable data"),
            "amortization": _number(decomposition.amortization, usable, "best member found less the encoder's output"),
            "approximation": _number(decomposition.approximation, usable, "log p(x) less the best member"),
            "share of means": Number(agreement.share("means"), 0.7, 1.0, "share", "data whose means q gets right"),
            "log p": Number(float(self.log_p.mean()), -math.inf, -22.8, "nats", "mean log p(x), from above only"),
            **self.of_the_brief(decomposition, agreement),
        }
        findings = self.findings(numbers)
        return Audit(
            num_data=self.num_data, bracket=self.bracket(), decomposition=decomposition, agreement=agreement,
            chains=self.chains(), calibration=self.calibration(), latent_use=self.latent_use(),
            portrait=self.portrait(),
            rows={"bracket": tuple(range(self.num_data)), "decomposition": self.decomposed, "agreement": self.examined},
            numbers=numbers, findings=findings, brief=brief_of(findings, numbers),
            cost={"bracket": 21.5, "decomposition": 33.25, "agreement": 12.5, "calibration": 6.0, "latents": 2.5},
            provenance={
                "elbowroom": "0.1", "torch": "2.13", "seed": 20, "budget": 120.0, "data": "digits, test",
                "when": "2025-03-01 10:00", "model": "VAE(64, 2)", "guide": HOSTILE if self.bad else "mean-field",
            },
            x=self.x,
        )  # fmt: skip

    def of_the_brief(self, decomposition: Decomposition, agreement: Agreement) -> dict[str, Number]:
        """Numbers by the names that `audit` gives them."""
        usable = decomposition.usable
        found = {
            "elbo": _number(decomposition.elbo, usable, "the guide's ELBO, mean over data"),
            "log_p": _number(decomposition.log_p, usable, "log p(x), mean over data"),
            "gap": _number(decomposition.room(), usable, "room between ELBO and log p(x), mean over data"),
            "optimisation": _number(decomposition.optimisation, usable, "room that the local fit may have left"),
            "examined": _counted(len(self.examined), "examined data"),
            "calibration_rejected": _counted(2 if self.bad else 0, "tests of calibration that fail", ""),
        }
        if self.bad:
            return found | {"missed_modes": _counted(6, "examined data with modes that q misses")}
        return found | {
            f"use_{use.replace(' ', '_')}": Number(agreement.share(use), 0.96, 1.0, "share", f"q is fit for {use}")
            for use in USES
        }

    def findings(self, numbers: dict[str, Number]) -> tuple[Finding, ...]:
        room = numbers["room"]
        first = f"There is room of {room.value:.2f} nats a datum ({room.low:.2f} to {room.high:.2f}) above the ELBO."
        if not self.bad:
            return (
                Finding("room", "good", first, ("room",)),
                Finding("source", "note", "Half of it is the encoder's.", ("amortization", "approximation")),
                Finding("use", "good", "q may be used for means, intervals, tails and model comparison.", ()),
            )
        return (
            Finding("room", "bad", first, ("room", "log p")),
            Finding("source", "note", "Most of it is the encoder's: no larger family would help as much as a better "
                    "encoder.", ("amortization", "approximation")),
            Finding("next", "note", "First train the encoder for longer with the model frozen; then try a full "
                    "covariance.", ("amortization", "approximation")),
            Finding("worst", "warning", "The encoder's output has exploded for 2 data; they are left out of means.",
                    (), (EXPLODED, 8)),
            Finding("use", "warning", "q misses a mode of some data: do not use it for means or intervals of those.",
                    ("share of means",), (0, 1)),
            Finding("calibration", "bad", f"Over simulated data the guide's {HOSTILE} is too narrow.", ()),
        )  # fmt: skip


def digits(num_data: int) -> Tensor:
    """Handwritten digits, `[num_data, 64]`."""
    x = load("digits").test.double()
    return x.repeat(-(-num_data // len(x)), 1)[:num_data]


def _estimate(value: Tensor, stderr: Tensor, bound: Any = "none") -> Estimate:
    return Estimate(value.clone(), stderr.clone(), bound)


def _number(found: Estimate, usable: Tensor, about: str) -> Number:
    value, error = Estimate(found.value[usable], found.stderr[usable], "none").mean()
    return Number(value, value - 1.96 * error, value + 1.96 * error, "nats", about, "Monte Carlo")


def _counted(count: int, about: str, unit: str = "data") -> Number:
    return Number(float(count), float(count), float(count), unit, about)


AUDITS: dict[str, Callable[[], Audit]] = {
    "good": good_audit,
    "bad": bad_audit,
    "short": short_audit,
    "tabular": tabular_audit,
}
every_audit = pytest.mark.parametrize("kind", AUDITS)
