"""Particles that came from the prior, each its own way, held against a proposal: where does it not reach?

Weights show what a proposal q covers badly, not what it does not reach: a mode that neither the guide nor a fit has
seen leaves no sign in them. Particles that came from the prior alone, never resampled, end in modes. Where q covers
them their log w = log p(x, u) − log q(u) are about those of draws of the posterior, within a few nats of log p(x);
where it does not they are larger by as much as q has died away there. Those are told whose density is that of the
others, about: a mode far below them weighs nothing. Nor does a place R whose likelihood lies far below p(x), where
particles are that have not arrived, for its share of the posterior is

    ∫_R p(u) p(x|u) du / p(x)  ≤  max_R p(x|u) / p(x)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evidence.bracket.sizes import NUM_PARTICLES
from elbowroom.inference.mcmc.expedition import travelled
from elbowroom.inference.mcmc.path import Path

LOOKED = f"modes far from the guide were looked for by {NUM_PARTICLES} particles from the prior"
"""What is told of data for which nothing else was sent from the prior."""

_FAR = 5.0  # nats above log p(x): of a tenth of the posterior 4000 draws have three there, which their weights show
_WIDE = 3.0  # standard deviations
_FAINT = 5.0  # nats that a mode's density may lie below that of the others, and a likelihood below p(x); further down
# it weighs a hundredth
_OTHERS = 104_729  # further on in the random numbers: a search with the same seed begins elsewhere
_STRAY = 3  # particles that may have strayed, where the weights show a part of them: a twentieth of the posterior
_UNSEEN = 5.0  # nats further on there are no draws, and but one may have strayed


@dataclass(frozen=True)
class Particles:
    """What particles from the prior weigh under the proposals of some data.

    Attributes:
        log_joint: log p(x, u) at the particles, `[P, B]`, nats.
        log_w: log p(x, u) − log q(u) there.
        log_likelihood: log p(x | u) there.
    """

    log_joint: Tensor
    log_w: Tensor
    log_likelihood: Tensor

    @classmethod
    def sent(cls, path: Path, seed: int) -> Tensor:
        """Where they end, `[P, B, D]`, along a path from the prior.

        Raises:
            NotImplementedError: if the prior cannot be drawn from.
        """
        with torch.no_grad():
            numbers = RandomNumbers(path.target, seed + _OTHERS)
            return travelled(path, numbers, NUM_PARTICLES, together=False)[0]

    @classmethod
    def under(cls, log_density: Callable[[Tensor], Tensor], path: Path, at: Tensor) -> "Particles":
        """The particles `at` `[P, B, D]` held against log q(u), `[P, B]`."""
        with torch.no_grad():
            ends = path.evaluate(at)
            log_joint = ends.log_joint.double()
            return cls(log_joint.cpu(), (log_joint - log_density(at)).cpu(), ends.difference.cpu())

    @classmethod
    def joined(cls, parts: "Sequence[Particles]") -> "Particles":
        """Those of all parts of the data."""
        columns = zip(*((p.log_joint, p.log_w, p.log_likelihood) for p in parts), strict=True)
        return cls(*(torch.cat(column, 1) for column in columns))

    def missed(self, lower: Estimate, num_samples: int) -> tuple[str, ...]:
        """For each datum how many particles lie where q does not reach, in words, or nothing.

        Args:
            lower: log p(x) by draws of q.
            num_samples: how many.
        """
        log_p, reach = lower.value.cpu(), _reach(lower.stderr.cpu(), num_samples)
        beyond = ~(self.log_w <= log_p + reach) & ~self.log_joint.isneginf()
        usual = torch.where(beyond, torch.nan, self.log_joint).nanmedian(0).values
        beyond &= ~(self.log_joint < usual - _FAINT)  # all of them where none is covered
        beyond &= ~(self.log_likelihood < log_p - _FAINT)
        text = (
            "{} of {} particles from the prior ended where the proposal hardly reaches: "
            "a part of the posterior is missing here"
        )
        unseen = beyond & ~(self.log_w <= log_p + reach + _UNSEEN)
        told = (beyond.sum(0) > _STRAY) | (unseen.sum(0) > 1)
        return tuple(
            text.format(n, len(self.log_w)) if t else ""
            for n, t in zip(beyond.sum(0).tolist(), told.tolist(), strict=True)
        )

    def select(self, data: Tensor) -> "Particles":
        """Those of some of the data."""
        return Particles(self.log_joint[:, data], self.log_w[:, data], self.log_likelihood[:, data])


def _reach(stderr: Tensor, num_samples: int) -> Tensor:
    """How far above log p(x) log w lies where q covers the posterior, `[B]`, nats.

    If log w is Normal with standard deviation σ under q, it has mean log p(x) + σ² / 2 and the same σ under the
    posterior, and the mean of w has the variance e^(σ²) − 1 = S · stderr².
    """
    variance = (num_samples * stderr.square()).nan_to_num(0.0, posinf=0.0).log1p()
    return (variance / 2 + _WIDE * variance.sqrt()).clamp_min(_FAR)
