"""Whose room is a part of the posterior that no member holds: the family's, or the search's?"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.gap.held import Held, percent
from elbowroom.inference.gap.log_p import LogPInfo, Sides, sides_of

_HALF = 0.5  # of the posterior: a member that holds more is in the largest mode
_LEAST = 1 / 64  # of the posterior: one among so many modes of alike size is nobody's fault
_WORTH_A_NOTE = 0.02  # nats


@dataclass(frozen=True)
class Shares:
    """What the members of the guide's own family hold of the posterior, and what follows for the terms of the room.

    A member of one mode can hold no more than that mode's share: what it lacks of the posterior is the family's room.
    Where it holds less than half there may be a larger mode, and the room is one that a better search may take: unless
    that search was made, and its members in other modes are no better.

    Attributes:
        held: what the members see.
        is_lesser: whether they are taken to sit in a lesser mode, `[B]`.
        flags, notes: for each datum, or empty strings.
    """

    held: Held
    is_lesser: Tensor
    flags: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, held: Held, has_rival: Tensor, shortfall: Tensor, family: str) -> "Shares":
        """Judge every datum.

        Args:
            held: what the members of the family see.
            has_rival: whether members in two modes were found that are about as good, `[B]`.
            shortfall: nats by which the search from the encoder's output ended below another one, `[B]`.
            family: of the guide.
        """
        lesser = (held.share < _HALF) & ~(has_rival & (held.share >= _LEAST))
        flags, notes = [], []
        for share, short, is_lesser, nats in zip(
            held.share.tolist(), held.short.tolist(), lesser.tolist(), shortfall.tolist(), strict=True
        ):
            flags.append(
                f"the refined {family} q holds only {percent(share)} of the posterior ({short:.2f} nats): it sits in a "
                "lesser mode, so this room is not the family's"
                if is_lesser
                else ""
            )
            told = []
            if short > 0 and not is_lesser:
                told.append(
                    f"the refined {family} q holds {percent(share)} of the posterior ({short:.2f} nats): one {family} "
                    "q does not cover its other modes"
                )
            if nats > _WORTH_A_NOTE:
                told.append(f"the search from the encoder's output ended in a lesser mode, {nats:.2f} nats down")
            notes.append("; ".join(told))
        return cls(held, lesser, tuple(flags), tuple(notes))

    def optimisation(self, slack: Estimate, log_p: Estimate[LogPInfo]) -> Estimate[Sides]:
        """What the search left: the slack of a local fit, and the way to a larger mode where there is one."""
        way = torch.where(self.is_lesser, self.held.short, 0.0)
        error = torch.hypot(log_p.stderr.to(way), self.held.stderr)
        stderr = torch.where(self.is_lesser, torch.hypot(slack.stderr, error), slack.stderr)
        return Estimate(slack.value + way, stderr, "none", _where(self.is_lesser, sides_of(log_p)))

    def approximation(
        self, slack: Estimate, optimisation: Estimate, elbo: Estimate, log_p: Estimate[LogPInfo]
    ) -> Estimate[Sides]:
        """What is left of log p(x) − ELBO of the best member: the family's."""
        value = log_p.value.to(elbo.value) - elbo.value - optimisation.value
        above = torch.where(self.is_lesser, self.held.stderr, log_p.stderr.to(value))
        stderr = torch.stack([above, elbo.stderr, slack.stderr]).square().sum(0).sqrt()
        bound = "lower" if log_p.bound == "lower" else "none"
        return Estimate(value, stderr, bound, _where(~self.is_lesser, sides_of(log_p)))  # type: ignore[arg-type]


def _where(chosen: Tensor, sides: Sides) -> Sides:
    """What is known of the sides of log p(x), for the data whose term rests on it."""
    kept: Sides = {}
    if "half_width" in sides:
        kept["half_width"] = torch.where(chosen, sides["half_width"].cpu(), 0.0)
    if "one_sided" in sides:
        kept["one_sided"] = chosen & sides["one_sided"].cpu()
    return kept
