"""Whether q would do far better if it were wider, or narrower, by one factor for all latents and data.

    ELBO(c) = E[log p(x, z_c) − log q(z | x)] + D log c,    z_c = m(x) + c (z − m(x)),    z ~ q = N(m(x), s(x)²)

An encoder that was trained with the ELBO has found its own spread: no c gains anything. No chains are run for it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal

from elbowroom.inference.diagnostics.changed_data.better_read import gains
from elbowroom.inference.programs.supports import unwrapped
from elbowroom.inference.target import Target

FACTORS = (0.1, 0.25, 0.5, 2.0, 4.0, 10.0)
"""What is tried; trained encoders are nearer to 1 than the nearest."""

_SAMPLES, _MOST, _FEWEST = 8, 64, 8


@dataclass(frozen=True)
class Respread:
    """A factor by which q's standard deviations should be multiplied.

    Attributes:
        factor: c, the best of those tried.
        gain: ELBO(c) − ELBO(1) of each datum that was tried, `[R]`, nats.
    """

    factor: float
    gain: Tensor


def respread(target: Target, seed: int = 0) -> Respread | None:
    """The best factor, if it gains a nat or more, for most data and beyond noise.

    Returns:
        None also where q is not one Normal site of independent entries, or for fewer than eight data.
    """
    if len(target) < _FEWEST or len(target.latents) != 1 or not target.sliceable or target.structure.separate:
        return None
    rows = torch.linspace(0, len(target) - 1, min(len(target), _MOST)).long().unique()
    few = target.select(rows)
    (name,) = target.latents
    q = next((r["fn"] for program, _, at, r in few.sites() if program == "guide" and at == name), None)
    normal = unwrapped(q)
    with torch.no_grad():
        z, log_q = few.propose(_SAMPLES, seed=seed)
        if not isinstance(normal, Normal) or normal.loc.shape != z[name].shape[1:]:
            return None
        found = [Respread(factor, _elbo(few, name, normal.loc, z[name], log_q, factor)) for factor in (1.0, *FACTORS)]
    as_it_is, *others = found
    better = [Respread(other.factor, other.gain - as_it_is.gain) for other in others]
    return max(
        (other for other in better if gains(other.gain)), key=lambda other: float(other.gain.mean()), default=None
    )


def _elbo(target: Target, name: str, mean: Tensor, z: Tensor, log_q: Tensor, factor: float) -> Tensor:
    """ELBO(c), `[R]`, nats."""
    prior, likelihood = target.log_joint({name: mean + factor * (z - mean)})
    widened = mean[0].numel() * torch.tensor(factor, dtype=log_q.dtype).log()
    return (prior + likelihood - log_q + widened).double().cpu().mean(0)
