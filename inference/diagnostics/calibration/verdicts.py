"""From places to tests: each kind with a family-wise error of the level."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from elbowroom.inference.diagnostics.calibration.explanations import of_coverage, of_density, of_latent, of_tarp
from elbowroom.inference.diagnostics.calibration.multiple_testing import holm
from elbowroom.inference.diagnostics.calibration.ranking import LOG_JOINT
from elbowroom.inference.diagnostics.calibration.result import Check
from elbowroom.inference.diagnostics.calibration.uniformity import WORTH, Uniformity, uniformity


class Verdicts(NamedTuple):
    """Tests of the places of one calibration."""

    ranks: Uniformity
    coverage: Uniformity | None
    tarp: Uniformity
    checks: tuple[Check, ...]


def verdicts(u: Tensor, quantities: Sequence[str], level: float) -> Verdicts:
    """Test places `[N, Q + 2]`: Q ranks, coverage (skipped where NaN), TARP.

    There are three kinds of tests, each with a chance of `level` of rejecting anything if the guide is the posterior.
    Within a quantity, the smallest of the three p-values of `uniformity` counts `WORTH` times; among the Q ranks,
    Holm's rule.
    """
    Q = len(quantities)
    ranks, tarp = uniformity(u[:, :Q]), uniformity(u[:, Q + 1 :])
    # The smallest highest-density region that holds the true value holds draws of higher density.
    coverage = None if bool(u[:, Q].isnan().any()) else uniformity(1 - u[:, Q : Q + 1])
    says: list[Callable[[str, Uniformity, int, float], str]] = [
        of_density if name == LOG_JOINT else of_latent for name in quantities
    ]
    checks = _checks([f"ranks of {name}" for name in quantities], list(quantities), ranks, says, level)
    if coverage is not None:
        checks += _checks(["coverage"], ["coverage"], coverage, [of_coverage], level)
    checks += _checks(["TARP"], ["TARP"], tarp, [of_tarp], level)
    return Verdicts(ranks, coverage, tarp, tuple(checks))


def _checks(
    titles: list[str],
    names: list[str],
    tests: Uniformity,
    says: list[Callable[[str, Uniformity, int, float], str]],
    level: float,
) -> list[Check]:
    rejected, last_limit = holm(tests.p_value, level)
    return [
        Check(title, float(tests.p_value[q]), fails, say(name, tests, q, last_limit / WORTH) if fails else "")
        for q, (title, name, fails, say) in enumerate(zip(titles, names, rejected.tolist(), says, strict=True))
    ]
