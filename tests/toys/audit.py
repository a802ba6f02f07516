"""What the tests of audit share: small problems, quick settings, audits that several tests look at."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.inference import Audit, Target, audit_target
from elbowroom.inference.audit import block_sizes, brackets
from elbowroom.inference.audit.verdict.next_steps import LEAST
from elbowroom.reference import problem

GENEROUS = 300.0
"""Seconds: more than anything here takes, so that time decides nothing."""


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Line:
    """z ~ N(0, 1), x | z ~ N(z, 1), q = N(x/2, s²/2): the posterior's spread times s; `size` of them in each datum."""

    def __init__(self, s: float = 1.0) -> None:
        self.s = s

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(x.shape[-1]), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, self.s * math.sqrt(0.5)).to_event(1))

    def target(self, num_data: int, seed: int = 0, size: int = 1) -> Target:
        x = math.sqrt(2.0) * torch.randn(num_data, size, generator=generator(seed), dtype=torch.float64)
        return Target(self.model, self.guide, x.to(torch.get_default_dtype()))

    @property
    def gap(self) -> float:
        return -math.log(self.s) + (self.s**2 - 1) / 2


class Plane:
    """Probabilistic PCA, six pixels of three latents, with its exact posterior as guide."""

    sigma = 0.8

    def __init__(self) -> None:
        self.weight = torch.randn(6, 3, generator=generator(1), dtype=torch.float64)
        precision = torch.eye(3, dtype=torch.float64) + self.weight.T @ self.weight / self.sigma**2
        covariance = torch.linalg.inv(precision)
        self.tril, self.to_mean = torch.linalg.cholesky(covariance), covariance @ self.weight.T / self.sigma**2

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(3), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ self.weight.T, self.sigma).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(x @ self.to_mean.T, scale_tril=self.tril))

    def target(self, num_data: int, seed: int = 0) -> Target:
        z, noise = (torch.randn(num_data, n, generator=generator(seed), dtype=torch.float64) for n in (3, 6))
        return Target(self.model, self.guide, z @ self.weight.T + self.sigma * noise)


class Exploding:
    """Two latents, each seen twice through noise, and an encoder that fails for data whose first pixel is above 50."""

    LOG_VARIANCE = 40.0

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("code", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(torch.cat([z, z], -1), 5.0).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        variance = 1 / (1 + 2 / 25)
        loc = variance * (x[:, :2] + x[:, 2:]) / 25
        log_variance = torch.where(x[:, :1] > 50, self.LOG_VARIANCE, math.log(0.8 * variance))
        with pyro.plate("data", len(x)):
            pyro.sample("code", dist.Normal(loc, (log_variance / 2).exp()).to_event(1))

    def target(self, rows: list[int] | None = None) -> Target:
        x = 5 * torch.randn(12, 4, generator=generator(2), dtype=torch.float64)
        x[3, 0] = 60.0
        return Target(self.model, self.guide, x if rows is None else x[rows])


@contextmanager
def one_block() -> Iterator[None]:
    """Inside, audits end after the first block of data, as if the budget were spent."""
    with patch.object(block_sizes, "MOST", 0), patch.object(brackets, "_LITTLE", math.inf):
        yield


@cache
def modes_audit(which: str) -> Audit:
    """Of a guide that covers only the `"large"` or the `"small"` of two modes with weights .9 and .1."""
    return audit_target(problem(f"modes-{which}").target(), budget=GENEROUS, num_simulations=200)


@cache
def exploded_audit(with_it: bool) -> Audit:
    """Of twelve data, or of the eleven whose encoder output is sound."""
    target = Exploding().target(None if with_it else [b for b in range(12) if b != 3])
    return audit_target(target, budget=GENEROUS, num_simulations=60)


@cache
def narrow_audit() -> Audit:
    """Of a guide that is too narrow, of 20 data, 16 of them examined."""
    with one_block():
        return audit_target(Line(0.6).target(20), budget=GENEROUS, num_simulations=60)


@cache
def clean_audit() -> Audit:
    """Of an exact guide, of 20 data, 16 of them examined."""
    with one_block():
        return audit_target(Plane().target(20), budget=GENEROUS, num_simulations=60)


def untraced(audit: Audit) -> list[str]:
    """Numbers in the sentences that are not, rounded alike, among the numbers that their findings point to.

    Not looked for: whole numbers without a per cent sign (data and counts), and what other parts word for themselves:
    meanings of calibration tests, collapse, noise, what has exploded, why something was not examined.
    """
    missing = []
    for finding in audit.findings:
        if finding.topic == "calibration" or "Not examined" in finding.sentence or _of_other_parts(audit, finding):
            continue
        values = [v for key in finding.numbers for v in _ends(audit.numbers[key])] + _rooms(audit, finding.data)
        sentence = finding.sentence.replace("\N{MINUS SIGN}", "-")
        for text in _foreign(audit, finding.data):
            sentence = sentence.replace(text, "")
        for told in re.findall(r"-?\d+\.\d+(?:e[-+]?\d+)?", sentence):
            if not any(math.isclose(_like(told, v), float(told), abs_tol=1e-12) for v in (*values, LEAST)):
                missing.append(f"{told} in: {finding.sentence}")
        for told in re.findall(r"(\d+) %", sentence.replace("90 % intervals", "")):
            if not any(round(100 * v) == int(told) for v in values):
                missing.append(f"{told} % in: {finding.sentence}")
    return missing


def _like(told: str, value: float) -> float:
    """A value rounded as a text is."""
    digits, _, exponent = told.partition("e")
    places = len(digits.partition(".")[2])
    return float(f"{value:.{places}e}" if exponent else f"{value:.{places}f}")


def _foreign(audit: Audit, data: tuple[int, ...]) -> list[str]:
    """Words of the decomposition about data that a sentence names."""
    place = {row: i for i, row in enumerate(audit.rows.get("decomposition", ()))}
    flags = [audit.decomposition.flags[place[row]] for row in data] if audit.decomposition is not None else []
    return [part for flag in flags for part in flag.split("; ") if part]


def _of_other_parts(audit: Audit, finding: Any) -> bool:
    use = audit.latent_use
    return use is not None and finding.sentence in (*use.collapsed, use.sigma_told)


def _ends(number: Any) -> list[float]:
    return [v for v in (number.value, number.low, number.high) if math.isfinite(v)]


def _rooms(audit: Audit, data: tuple[int, ...]) -> list[float]:
    """What a sentence may say of each of the data that it names: their room, the mass that is missed, and the ends."""
    if not data or audit.decomposition is None or audit.agreement is None:
        return []
    place = {row: i for i, row in enumerate(audit.rows["decomposition"])}
    chosen = [place[row] for row in data]
    room, seen = audit.decomposition.room(), audit.agreement
    pairs = ((room.value, room.stderr), (seen.missed_mass, seen.missed_mass_stderr))
    values = [(value + sign * 1.959964 * stderr)[chosen] for value, stderr in pairs for sign in (-1, 0, 1)]
    return [v for value in values for v in value.tolist() if math.isfinite(v)]
