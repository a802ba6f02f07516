"""The results of a calibration of a guide over many data sets."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True)
class Check:
    """One test of the hypothesis that the guide is the posterior.

    Attributes:
        name: such as `"ranks of z[0]"`, `"TARP"`, `"coverage"`.
        p_value: under the hypothesis, of this test alone.
        rejected: whether it is rejected at the calibration's level (corrected for the number of tests of its kind).
        meaning: in plain words, what the shape of the deviation says; empty if not rejected.
    """

    name: str
    p_value: float
    rejected: bool
    meaning: str


@dataclass(frozen=True, repr=False)
class Calibration(Shown):
    """Simulation-based calibration of a guide: N parameters drawn from a prior, data simulated, guide draws ranked.

    Attributes:
        kind: `"prior"`, or `"posterior"` where simulations are made around observed data.
        quantities: names of the Q ranked quantities: the latents, and `"log p(x, z)"`.
        ranks: of the true value among `num_draws` guide draws, `[N, Q]`, 0 … num_draws, ties broken at random; around
            observed data, where draws weigh unequally, the place between 0 and 1 (`ranking.places`) in as many steps.
        num_draws: L.
        grid: K points between 0 and 1 at which the curves below are given, `[K]`.
        ecdf_difference: ECDF of the ranks less the uniform one, `[K, Q]`.
        band_low, band_high: a band that all Q curves together stay inside of, everywhere, with probability 1 − level
            at least if the guide is right, `[K]`. A curve that leaves it is rejected; one that stays inside may be
            rejected by the mean or the spread of its ranks.
        coverage: of the guide's highest-density regions, against `grid`, `[K]`; `coverage_low`, `coverage_high`: its
            simultaneous band around the diagonal, `[K]`. All NaN if the guide's density is not known at a given point.
        tarp: expected coverage of TARP regions (Lemos et al. 2023), with the same kind of band.
        level: of each kind of test.
        checks: the tests.
        flags: what is wrong with the calibration itself (simulations that failed, weights that leave few draws), or
            empty.
        seconds: wall-clock time.
    """

    kind: str
    quantities: tuple[str, ...]
    ranks: Tensor
    num_draws: int
    grid: Tensor
    ecdf_difference: Tensor
    band_low: Tensor
    band_high: Tensor
    coverage: Tensor
    coverage_low: Tensor
    coverage_high: Tensor
    tarp: Tensor
    tarp_low: Tensor
    tarp_high: Tensor
    level: float
    checks: tuple[Check, ...]
    flags: tuple[str, ...]
    seconds: float

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further flag before its own ones."""
        return replace(self, flags=(reason, *self.flags))

    def as_table(self) -> Table:
        """Every test with its p-value, the rejected ones first, the smallest first."""
        around = "the prior" if self.kind == "prior" else "the posterior of observed data"
        head = (
            f"{len(self.rejected)} of {len(self.checks)} tests reject that the guide is the posterior (level "
            f"{self.level:g} of each kind)",
            f"{self.num_simulations} simulations from {around}, {self.num_draws} draws of the guide for each",
            *(f"flag: {flag}" for flag in self.flags),
        )
        checks = sorted(self.checks, key=lambda check: (not check.rejected, check.p_value))
        rows = [(c.name, f"{c.p_value:.2g}", "yes" if c.rejected else "", c.meaning) for c in checks]
        return Table(head, ("test", "p", "rejected", "meaning"), "<><<", rows, noun="tests")

    @property
    def num_simulations(self) -> int:
        """N."""
        return len(self.ranks)

    @property
    def rejected(self) -> tuple[Check, ...]:
        """The tests that say that the guide is not the posterior."""
        return tuple(check for check in self.checks if check.rejected)
