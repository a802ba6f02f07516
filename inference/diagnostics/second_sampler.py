"""Do two samplers that share no code say the same of a posterior? HMC on all data, NUTS on few of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

AGREE = 4.0
"""Standard errors that means may lie apart without suspicion."""

NUM_CHAINS = 2
"""Chains of NUTS, at most: it runs them one after the other, and two can disagree."""


@dataclass(frozen=True, repr=False)
class SecondSampler(Shown):
    """NUTS held against other draws of the same data.

    Attributes:
        data: indices of the C data that NUTS was run on.
        draws: of NUTS.
        distance: (mean of NUTS − mean of the others) over the standard error of both, `[C, N]`.
    """

    data: list[int]
    draws: Draws
    distance: Tensor

    @property
    def agrees(self) -> bool:
        """Whether all means are within chance of each other, and NUTS passed its gates."""
        return not any(self.draws.flags) and bool((self.distance.abs() <= AGREE).all())

    def sentence(self, method: str = "HMC") -> str:
        """What came out, in words."""
        named = ", ".join(map(str, self.data))
        whom = f"{'datum' if len(self.data) == 1 else 'data'} {named}"
        if any(self.draws.flags):
            return f"NUTS, run on {whom} as an independent check of {method}, did not pass its own convergence gates."
        size = float(self.distance.abs().max())
        if self.agrees:
            return (
                f"NUTS, run on {whom} as an independent check, agrees with {method}: means are at most {size:.1f} "
                "standard errors of both apart."
            )
        return (
            f"NUTS, run on {whom} as an independent check, CONTRADICTS {method}: a mean is {size:.1f} standard errors "
            "of both apart."
        )

    def as_table(self) -> Table:
        """The sentence."""
        return Table((self.sentence(),))


def second_sampler(data: list[int], first: Draws, nuts: Draws) -> SecondSampler:
    """Hold NUTS against the first draws of the same data, row by row.

    Args:
        data: their indices, for words.
        first: draws of these data by another sampler.
        nuts: draws of the same data.
    """
    error = torch.hypot(first.convergence.mcse_mean.double(), nuts.convergence.mcse_mean.double())
    distance = (nuts.mean.double().cpu() - first.mean.double().cpu()) / error.cpu()
    return SecondSampler(data, nuts, distance)
