"""Where the room between an ELBO and log p(x) comes from, datum by datum."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.gap.climbed import ENCODER
from elbowroom.inference.gap.log_p import LogPInfo, Sides, sides_of
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, in_short, mean_with_interval, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class Decomposition(Shown):
    """log p(x) − ELBO, additive by construction: elbo + amortization + optimisation + approximation = log p(x).

    Attributes:
        ladder: rung -> ELBO of each datum: `"encoder"` (the guide itself), `"own-family"` if the guide has one besides
            what follows, then ever larger families (`"mean-field"`, `"full covariance"`, `"mixture"`, and `"flow"` if
            that was asked for), each started from the one before; values never fall.
        gains: rung -> what it gained over the one before, `[B]` nats; stderr of the paired difference.
        family: the rung that is the guide's own family.
        log_p: log p(x).
        amortization: best member found of `family` less the encoder's output.
        optimisation: how far the member found of `family` is from the best one nearby, estimated to second order; and
            what a larger mode holds, where that member sits in a lesser one (flagged).
        approximation: log p(x) less the best member of `family`, the optimisation slack taken off.
        refined: the best member of each rung, as a guide.
        exploded: data whose encoder output is not usable (named in `flags`), `[B]`; means leave them out.
        flags: for each datum the reason not to rely on its terms, or an empty string.
        notes: for each datum what is worth knowing though its terms stand.
        num_evaluations: of log p(x, z) or its gradient, for each datum, `[B]`.
        seconds: wall-clock time for all data.
    """

    ladder: dict[str, Estimate]
    gains: dict[str, Estimate]
    family: str
    log_p: Estimate[LogPInfo]
    amortization: Estimate
    optimisation: Estimate
    approximation: Estimate[Sides]
    refined: RefinedGuide
    exploded: Tensor
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    num_evaluations: Tensor
    seconds: float

    def __len__(self) -> int:
        return len(self.log_p)

    @property
    def elbo(self) -> Estimate:
        """The guide's ELBO, a lower bound."""
        return self.ladder[ENCODER]

    @property
    def usable(self) -> Tensor:
        """Which data enter means: finite, and the encoder's output has not exploded, `[B]`."""
        return ~self.exploded & self.elbo.value.isfinite() & self.log_p.value.isfinite()

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum before its own ones, in every term, too."""
        return replace(
            self,
            ladder={rung: elbo.doubted(reason) for rung, elbo in self.ladder.items()},
            gains={rung: gain.doubted(reason) for rung, gain in self.gains.items()},
            **{name: getattr(self, name).doubted(reason) for name in ("log_p", *_TERMS)},
            flags=tuple(reasons(reason, flag) for flag in self.flags),
        )

    def as_table(self) -> Table:
        """The mean of each term over the usable data, and the flagged data, or those with the largest room."""
        usable, room = self.usable, self.room()
        head = [f"log p(x) − ELBO and where it comes from, {len(self)} data, family of the guide: {self.family}"]
        head += in_short(self.log_p.unnormalised)
        parts = {"ELBO": self.elbo} | {name: getattr(self, name) for name in _TERMS} | {"log p(x)": self.log_p}
        if int(usable.sum()) < len(self):
            head.append(f"means are of the {int(usable.sum())} usable data")
        if usable.any():
            every = {**parts, "room": room}
            head += [f"  {n}: {mean_with_interval(e.value[usable], e.stderr[usable])}" for n, e in every.items()]
        rows = [
            (
                str(b),
                *(with_error(float(e.value[b]), float(e.stderr[b])) for e in parts.values()),
                self.flags[b] or self.notes[b],
            )
            for b in flagged_first(self.flags, room.value)
        ]
        columns = ("datum", *parts, "flag")
        return Table((*head, *flag_counts(self.flags)), columns, ">>>>>><", rows, len(self))

    def room(self) -> Estimate[Sides]:
        """log p(x) − ELBO = KL(q(z|x) ‖ p(z|x)), `[B]`, nats."""
        stderr = torch.hypot(self.log_p.stderr, self.elbo.stderr)
        return Estimate(self.log_p.value - self.elbo.value, stderr, "none", sides_of(self.log_p), self.flags)


_TERMS = ("amortization", "optimisation", "approximation")
