"""Means over the data that speak for all: of the usable ones, and with those that were left out."""

from dataclasses import dataclass

import torch

from elbowroom.inference import Estimate
from elbowroom.inference.audit import Audit
from elbowroom.inference.diagnostics.agreement import Agreement
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


def representative(audit: Audit, part: str) -> list[int]:
    """Positions in a part of the data that speak for all: a random sample, where others were chosen as the worst.

    `audit.rows["random"]` names them; all data of the part where it does not.
    """
    data = audit.rows.get(part, tuple(range(audit.num_data)))
    random = set(audit.rows.get("random", ()))
    return [place for place, b in enumerate(data) if b in random] or list(range(len(data)))


def share(agreement: Agreement, use: str, positions: list[int]) -> float:
    """The share of some data for which q is good enough for a use; NaN of none."""
    return float(agreement.uses[use][positions].double().mean()) if positions else float("nan")


def means(audit: Audit) -> dict[str, Mean]:
    """Means by name: `log p(x)`, `room`, the three terms, each rung `ELBO, <rung>` and each gain `gain, <rung>`.

    They are over the representative data of the decomposition; empty if there is none.
    """
    decomposition = audit.decomposition
    if decomposition is None:
        return {}
    chosen = torch.zeros(len(decomposition), dtype=torch.bool)
    chosen[representative(audit, "decomposition")] = True
    terms = {
        "log p(x)": decomposition.log_p,
        ROOM: decomposition.room(),
        "amortization": decomposition.amortization,
        "optimisation": decomposition.optimisation,
        "approximation": decomposition.approximation,
        **{f"ELBO, {rung}": estimate for rung, estimate in decomposition.ladder.items()},
        **{f"gain, {rung}": estimate for rung, estimate in decomposition.gains.items()},
    }
    return {name: _mean_of(decomposition, estimate, chosen) for name, estimate in terms.items()}


def _mean_of(decomposition: Decomposition, estimate: Estimate, chosen: torch.Tensor) -> Mean:
    usable = decomposition.usable.cpu() & chosen
    part = Estimate(estimate.value[usable], estimate.stderr[usable], "none")
    value, stderr = part.mean() if len(part) else (float("nan"), float("nan"))
    return Mean(
        value, stderr, part.spread(), len(part), float(estimate.value[chosen].double().mean()), int(chosen.sum())
    )
