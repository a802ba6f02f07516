"""The bounds of a whole data set, loosest first."""

from dataclasses import dataclass

from torch import Tensor

from elbowroom.inference import Estimate
from elbowroom.inference.evidence.importance.importance import ImportanceInfo


@dataclass(frozen=True)
class Bound:
    """One estimate of log p(x) for each datum.

    Attributes:
        name: of the bound.
        value, stderr: `[B]`, nats; the error is Monte Carlo or numerical.
        bound: what it bounds in expectation.
        num_flagged: data for which it should not be trusted.
    """

    name: str
    value: Tensor
    stderr: Tensor
    bound: str
    num_flagged: int

    def mean(self) -> tuple[float, float]:
        """Mean over data and its error with the data held fixed, nats per datum."""
        return Estimate(self.value, self.stderr, "none").mean()


def bounds_of(sampled: Estimate[ImportanceInfo], exact: Estimate | None = None) -> list[Bound]:
    """ELBO, IWAE-K for each K, importance sampling, and the exact value if there is one."""
    bounds = [Bound("ELBO", sampled.info["elbo"], sampled.info["elbo_stderr"], "lower", 0)]
    for size in sorted(sampled.info.get("iwae", {})):
        value, stderr = sampled.info["iwae"][size], sampled.info["iwae_stderr"][size]
        bounds.append(Bound(f"IWAE-{size}", value, stderr, "lower", 0))
    name = f"importance, S = {sampled.info['num_samples']}"
    bounds.append(Bound(name, sampled.value, sampled.stderr, sampled.bound, num_flagged(sampled)))
    if exact is not None:
        bounds.append(Bound("quadrature", exact.value, exact.stderr, exact.bound, num_flagged(exact)))
    return bounds


def num_flagged(estimate: Estimate) -> int:
    """Data for which an estimate should not be trusted."""
    return sum(bool(flag) for flag in estimate.flags)
