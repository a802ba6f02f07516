"""Means over data of a decomposition: of the usable data, and of all where some were left out."""

from dataclasses import dataclass

from elbowroom.inference import Estimate
from elbowroom.inference.gap import Decomposition

ROOM = "room"


@dataclass(frozen=True)
class Mean:
    """A mean over data, nats per datum.

    Attributes:
        value: over the usable data; NaN if there are none.
        stderr: its Monte Carlo standard error, data held fixed.
        over_data: its standard error as a sample of data.
        num_data: how many data are usable.
        with_all: with the data that were left out; may be infinite or NaN.
        num_all: how many data there are with them.
    """

    value: float
    stderr: float
    over_data: float
    num_data: int
    with_all: float
    num_all: int

    @property
    def left_out(self) -> int:
        """How many data the mean leaves out."""
        return self.num_all - self.num_data


def means(found: Decomposition) -> dict[str, Mean]:
    """Means by name: `log p(x)`, `room`, the three terms, each rung `ELBO, <rung>` and each gain `gain, <rung>`."""
    terms = {
        "log p(x)": found.log_p,
        ROOM: found.room(),
        "amortization": found.amortization,
        "optimisation": found.optimisation,
        "approximation": found.approximation,
        **{f"ELBO, {rung}": estimate for rung, estimate in found.ladder.items()},
        **{f"gain, {rung}": estimate for rung, estimate in found.gains.items()},
    }
    return {name: mean_of(found, estimate) for name, estimate in terms.items()}


def mean_of(found: Decomposition, estimate: Estimate) -> Mean:
    """The means of one estimate of a decomposition's data."""
    kept = found.usable
    part = Estimate(estimate.value[kept], estimate.stderr[kept], "none")
    value, stderr = part.mean() if len(part) else (float("nan"), float("nan"))
    return Mean(value, stderr, part.spread(), len(part), float(estimate.value.double().mean()), len(kept))
