"""The harmonic mean of likelihoods: an estimator of p(x) that is never to be used, kept to show why."""

from collections.abc import Sequence

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.importance.streaming import Drawing, Reduction
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.target import Target
from elbowroom.inference.weights.power_means import power_mean, power_sums

UNUSABLE = (
    "the harmonic mean is unusable: 1/p(x|z) has as a rule no finite variance under the posterior, and the draws that "
    "would correct it, where the prior has mass and the likelihood hardly any, are never seen: the value is too high"
)


def harmonic_of_draws(target: Target, draws: Draws, drawing: Drawing) -> Estimate:
    """−log (1/S) Σ_s 1 / p(x | z_s) over posterior draws of every datum (Newton & Raftery 1994), flagged as unusable.

    Its standard error takes the draws for independent ones with a finite variance; they are neither.
    """
    z = {name: value.flatten(0, 1) for name, value in draws.z.items()}
    num_samples = next((len(value) for value in z.values()), 1)
    pieces = []
    with torch.no_grad():
        for data, part in drawing.plan.data(target):
            likelihoods = [
                drawing.log_joint(part, {name: v[start : start + count, data] for name, v in z.items()})[1]
                for start, count in drawing.plan.sample_ranges(num_samples)
            ]
            pieces.append(power_sums(torch.cat(likelihoods).double(), -1.0))
    return _estimate(*(torch.cat(column).cpu() for column in zip(*map(power_mean, pieces), strict=True)))


def harmonic_of_weights(pieces: Sequence[Reduction], weighed: Estimate) -> Estimate:
    """The harmonic mean over the guide's weighted draws, log Σ w − log Σ w / p(x | z), flagged as unusable.

    w / p(x | z) = p(z) / q(z | x), so this is log p̂(x) minus an estimate of log ∫ p(z) dz = 0 by a proposal that was
    made for the posterior, not for the prior. The standard errors of both are added: they are correlated.

    Args:
        pieces: reductions that kept the inverse sums.
        weighed: log p̂(x) of the same weights.
    """
    sums = [piece.inverse.sums() for piece in pieces if piece.inverse is not None]
    log_mass, stderr = (torch.cat(column).cpu() for column in zip(*map(power_mean, sums), strict=True))
    return _estimate(weighed.value - log_mass, weighed.info["delta_stderr"] + stderr)


def _estimate(value: Tensor, stderr: Tensor) -> Estimate:
    stderr = torch.where(stderr.isnan() & ~value.isnan(), torch.inf, stderr)
    return Estimate(value, stderr, "none", flags=(UNUSABLE,) * len(value))
