"""A comparison of two models as if it had been run: from known values of log p(x), ELBOs and flags."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference import Bracket, Estimate, Versus
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read

WIDE = "adapted importance"


def bracket_of(low: Tensor, high: Tensor, unknown: Sequence[int] = ()) -> Bracket:
    """Sides without errors; of the unknown data the upper one is missing."""
    ledger, everything = Ledger.empty(len(low)), torch.arange(len(low))
    nothing = torch.zeros(len(low))
    ledger.put(WIDE, everything, Estimate(low, nothing, "lower"))
    known = torch.tensor([b for b in range(len(low)) if b not in unknown], dtype=torch.long)
    ledger.put(f"{WIDE}, upper", known, Estimate(high[known], nothing[known], "upper"))
    return read(ledger, 0.1, {"chains": 3.0, "importance": 1.0})


def compared(
    log_p: tuple[Tensor, Tensor], elbo: tuple[Tensor, Tensor], *, apart: float = 0.0, unknown: Sequence[int] = (),
    **options: Any,
) -> Versus:  # fmt: skip
    """Two models of n data, whose sides are so many nats apart."""
    given: dict[str, Any] = {
        "names": ("a", "b"), "num_data": len(log_p[0]), "anew": True, "level": 0.999, "more": 12.0, "unit": "s",
        "spent": 3.0,
    }  # fmt: skip
    error = torch.zeros(len(log_p[0]))
    return Versus(
        data=torch.arange(len(log_p[0])),
        brackets=(
            bracket_of(log_p[0] - apart / 2, log_p[0] + apart / 2, unknown),
            bracket_of(log_p[1] - apart / 2, log_p[1] + apart / 2),
        ),
        elbos=(Estimate(elbo[0], error, "lower"), Estimate(elbo[1], error, "lower")),
        **(given | options),
    )


def reversed_pair(num_data: int = 30) -> Versus:
    """a is better by 1 nat a datum, and its room is larger by 3."""
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(4, num_data, generator=generator)
    b = -20 + noise[0]
    a = b + 1 + 0.5 * noise[1]
    return compared((a, b), (a - 3.5 - 0.3 * noise[2].abs(), b - 0.5 - 0.1 * noise[3].abs()))
