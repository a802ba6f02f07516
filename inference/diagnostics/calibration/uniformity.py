"""Are numbers between 0 and 1 uniform: the ECDF inside simultaneous bands, and its normal scores' mean and spread."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from scipy.signal import fftconvolve
from torch import Tensor

NUM_STEPS = 100
"""The ECDF is tested in steps of 1/100."""

GRID = torch.arange(NUM_STEPS + 1, dtype=torch.float64) / NUM_STEPS
"""Where curves are given; at 0 and 1 they have no room to deviate."""

WORTH = 2.6
"""How many independent tests the three parts are worth: P(smallest p-value ≤ m) / m under uniformity, at most.

Measured for N = 20, 50, 200, 1000 in 40,000 to 400,000 simulations each: 2.43 to 2.48 at m = 0.017, 2.5 to 2.6 at
m = 0.0017.
"""

_TRIED, _REFINEMENTS = 16, 4  # of γ: to 1e-5 of itself
_EDGE = 1e-15  # a uniform number may be 0


class Uniformity(NamedTuple):
    """Tests of Q sets of N numbers against the uniform distribution.

    With u uniform, the normal scores s = Φ⁻¹(u) are standard normal; if u is the place of a true value in a normal q,
    s is its distance from q's mean in q's standard deviations.
    """

    p_value: Tensor  # of all three parts together, WORTH times the smallest, [Q]
    parts: Tensor  # of the ECDF, of the scores' mean, of their spread, [3, Q]
    difference: Tensor  # ECDF less the uniform one on GRID, [K, Q]
    shift: Tensor  # mean of the scores, [Q]
    spread: Tensor  # standard deviation of the scores, [Q]
    size: int  # N


def uniformity(u: Tensor) -> Uniformity:
    """Test each column of `[N, Q]`; all three p-values are exact for every N.

    * ECDF: γ = min_k 2 min(P(C_k ≤ c_k), P(C_k ≥ c_k)), c_k = #{u ≤ t_k}, C_k ~ Binomial(N, t_k), over a grid of t_k
      (Säilynoja, Bürkner & Vehtari 2022), and P(γ ≤ the observed one) by recursion over the grid.
    * mean: √N s̄ ~ N(0, 1). Sees a bias of all values in one direction with more power than the ECDF.
    * spread: Σ (s − s̄)² ~ χ²(N − 1), independent of the mean. Sees a q that is too wide or too narrow, for which the
      ECDF is weak: at N = 200, with a chance of 0.05 / 6 of a false alarm, the ECDF finds a q that is 1.25 times too
      wide in 40 % of all runs, the spread in 95 %.

    Raises:
        ValueError: unless there are two rows at least.
    """
    if u.dim() != 2 or len(u) < 2:
        raise ValueError(f"u must hold at least two numbers for each of Q sets, [N, Q], got shape {tuple(u.shape)}")
    u = u.double().cpu().clamp(_EDGE, 1 - _EDGE)
    count, scores = len(u), torch.special.ndtri(u)
    shift, variance = scores.mean(0), scores.var(0)
    counts = counts_below(u)
    gamma = _two_sided(count)[counts, torch.arange(1, NUM_STEPS).unsqueeze(1)].amin(0)  # [Q]
    chi2 = ((count - 1) * variance).numpy()
    lower, upper = stats.chi2.cdf(chi2, count - 1), stats.chi2.sf(chi2, count - 1)
    parts = torch.stack(
        [
            _chance_of_leaving(gamma, count),
            torch.special.erfc((count / 2) ** 0.5 * shift.abs()),
            torch.from_numpy(np.minimum(1.0, 2 * np.minimum(lower, upper))),
        ]
    )
    difference = torch.cat([torch.zeros(1, u.shape[1]), counts / count, torch.ones(1, u.shape[1])])
    difference = difference.double() - GRID.unsqueeze(1)
    combined = (WORTH * parts.amin(0)).clamp(max=1)
    return Uniformity(combined, parts, difference, shift, variance.sqrt(), count)


def counts_below(u: Tensor) -> Tensor:
    """#{u ≤ t} at the inner points of the grid, `[K − 2, Q]`."""
    inner = GRID[1:-1].expand(u.shape[1], -1).contiguous()
    return torch.searchsorted(u.T.contiguous().sort(1).values, inner, right=True).T


def band(count: int, level: float) -> tuple[Tensor, Tensor]:
    """Simultaneous band of ECDF minus uniform for N numbers, `[K]` low and high.

    A curve leaves it somewhere with probability at most `level`, and as near to it as counts allow: γ is found by
    search (Säilynoja, Bürkner & Vehtari 2022, the optimisation-based adjustment).
    """
    low, high = math.log(level / NUM_STEPS), math.log(level)  # γ ≤ P(γ) ≤ (K − 2) γ
    for _ in range(_REFINEMENTS):
        tried = torch.linspace(low, high, _TRIED, dtype=torch.float64)
        # The chance rises with γ.
        last = int((_chance_of_leaving(tried.exp(), count) <= level).sum()) - 1
        low, high = float(tried[max(last, 0)]), float(tried[min(max(last, 0) + 1, _TRIED - 1)])
    within = _two_sided(count) > math.exp(low)  # [N + 1, K]
    counts = torch.arange(count + 1, dtype=torch.float64).unsqueeze(1)
    smallest = torch.where(within, counts, torch.inf).amin(0) / count - GRID
    largest = torch.where(within, counts, -torch.inf).amax(0) / count - GRID
    smallest[[0, -1]] = largest[[0, -1]] = 0.0
    return smallest, largest


def _two_sided(count: int) -> Tensor:
    """2 min(P(C ≤ c), P(C ≥ c)) for c = 0 … N (rows) at each grid point (columns), `[N + 1, K]`."""
    c, t = np.arange(count + 1)[:, None], GRID.numpy()[None, :]
    return torch.from_numpy(2 * np.minimum(stats.binom.cdf(c, count, t), stats.binom.sf(c - 1, count, t)))


def _chance_of_leaving(gamma: Tensor, count: int) -> Tensor:
    """P(min_k 2 min(P(C_k ≤ c_k), P(C_k ≥ c_k)) ≤ γ) for N uniform numbers, for each γ `[Q]`; exact.

    The counts in the K − 1 cells are independent Poisson(N / (K − 1)) numbers given that they add up to N. So the
    chance that the running sum stays inside is a chain of convolutions, each cut to what is inside
    (the recursion of Säilynoja, Bürkner & Vehtari 2022 in a form that takes one kernel for all steps).
    """
    # P(C_1 … C_k inside and C_k = c) for c = 0 … N: one step of the walk is one convolution.
    gamma, place = gamma.unique(return_inverse=True)  # few values are possible
    step = stats.poisson.pmf(np.arange(count + 1), count / NUM_STEPS)[None, :]
    within = (_two_sided(count).T.unsqueeze(1) > gamma.double().unsqueeze(1)).numpy()  # [K, Q, N + 1]
    chance = np.zeros((len(gamma), count + 1))
    chance[:, 0] = 1.0
    for k in range(1, NUM_STEPS):
        chance = fftconvolve(chance, step, axes=1)[:, : count + 1].clip(min=0.0) * within[k]
    # The last step leads to N; divided by P(Poisson(N) = N), which was the condition.
    total = (chance * step[0, ::-1]).sum(1) / stats.poisson.pmf(count, count)
    # Where a band is wide the rounding of 1 − total hides the answer: it is at most the sum over the grid points.
    leaving = torch.minimum(torch.from_numpy(1 - total).clamp(min=1e-13), (NUM_STEPS - 1) * gamma)
    return leaving.clamp(0.0, 1.0)[place]
