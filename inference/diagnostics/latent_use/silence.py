"""Whether q says anything about x at all: a few draws of it, weighed under the q of other data; no chains.

    I_q(x; z) = E[log q(z|x) − log q(z)],    q(z) = (1/R) Σ_r q(z | x_r)

It is zero if, and only if, q is the same for every datum, whatever the prior is and whatever changes with x: means,
spread, or modes. The decoder is run only where it is about zero, to tell whose the silence is.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.latent_use.collapse import FELT, sensitivity
from elbowroom.inference.evaluation.scalars import by_site, side_by_side
from elbowroom.inference.target import Target

SILENT = 0.05
"""Nats of I_q(x; z) below which z says nothing about x: ten latents of activity 0.01 carry as much."""

_SAMPLES, _OF_PRIOR, _MOST, _FEWEST = 8, 64, 64, 8  # draws of q, of the prior; data that are tried, and are too few


@dataclass(frozen=True)
class Silence:
    """What q says about some data.

    Attributes:
        information: log q(z|x) − log q(z), mean over draws of each datum, `[R]`, nats.
        felt: the largest root mean square change of log p(x|z) per prior sd of a latent, nats, where q is silent: below
            half a nat the decoder hardly uses z. NaN where q is not silent, or the likelihood has no slope.
    """

    information: Tensor
    felt: float

    @property
    def is_silent(self) -> bool:
        """Whether I_q(x; z) of data drawn anew is next to nothing, beyond two standard errors."""
        error = float(self.information.std()) / len(self.information) ** 0.5
        return float(self.information.mean()) + 2 * error < SILENT

    @property
    def of_encoder(self) -> bool:
        """Whether q is silent though the decoder uses z."""
        return self.is_silent and self.felt >= FELT


def silence(target: Target, seed: int = 0) -> Silence | None:
    """I_q(x; z) of 64 data at most, and whether the decoder uses z where that is nothing.

    Returns:
        None where data cannot be picked, are fewer than eight, or the density of q at a point is unknown.
    """
    if len(target) < _FEWEST or not target.latents or not target.sliceable or target.structure.separate:
        return None
    few = target.select(torch.linspace(0, len(target) - 1, min(len(target), _MOST)).long().unique())
    try:
        with torch.no_grad():
            information = _information(few, seed)
    except NotImplementedError:
        return None
    found = Silence(information, math.nan)
    return Silence(information, _felt(few, seed)) if found.is_silent else found


def _information(few: Target, seed: int) -> Tensor:
    """log q(z|x) − log q(z) of each datum, `[R]`, nats."""
    draws = side_by_side(few.propose(_SAMPLES, seed=seed)[0])  # [S, R, N]
    told = []
    for points in draws:
        everywhere = by_site(few, points.unsqueeze(1).expand(-1, len(few), -1))
        log_q = few.log_guide(everywhere).double().cpu()  # of the draw of each datum, under the q of each
        told.append(log_q.diagonal() - log_q.logsumexp(1) + math.log(len(few)))
    return torch.stack(told).mean(0)


def _felt(few: Target, seed: int) -> float:
    with torch.no_grad():
        prior = side_by_side(few.sample_prior(_OF_PRIOR, seed=seed)).double().cpu().flatten(0, 1)
    return float(sensitivity(few, prior.std(0), seed).max())
