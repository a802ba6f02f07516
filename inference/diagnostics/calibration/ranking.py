"""Where the true latents of simulated data stand among draws of the guide."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.calibration.reference_points import Reference, reference_points
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.evaluation.weighted_draws import in_chunks, weighted_draws
from elbowroom.inference.progress import Tick, silent
from elbowroom.inference.target import Target

LOG_JOINT = "log p(x, z)"
_ROUNDING = 64.0  # log densities that differ by less than this many units in the last place are tied


class Simulated(NamedTuple):
    """Data simulated from the model, and the latents that made them.

    `observed` holds the programs on the data that each was simulated around: the guide's draws are then weighted by
    p(x_observed | z).
    """

    target: Target
    truth: Mapping[str, Tensor]  # site -> [1, N, ...]
    observed: Target | None


class Places(NamedTuple):
    """Places between 0 and 1 of the true value of each quantity among the guide's draws: uniform if q is right.

    The columns are the scalar latents, log p(x, z), log q(z | x) (NaN where it is not known) and the distance to the
    reference point.
    """

    u: Tensor  # [N, Q + 2]
    ess: Tensor  # effective number of draws and true value, [N]


def places(simulated: Simulated, plan: Plan, num_draws: int, seed: int, densities: bool, tick: Tick = silent) -> Places:
    """Place the true values z₀ among draws z₁ … z_L ~ q(z | x).

    u = (Σ_{l ≥ 1} w_l [f(z_l) < f(z₀)] + V (w₀ + Σ_{l ≥ 1} w_l [f(z_l) = f(z₀)])) / Σ_{l ≥ 0} w_l, V ~ U(0, 1).

    If q is the posterior and all weights are one, z₀ … z_L are exchangeable, so u is exactly uniform whatever L and f
    are, and ⌊(L + 1) u⌋ is the rank with ties broken at random (Talts et al. 2018; Modrák et al. 2023 for f that
    depend on x). If z₀ was drawn from a distribution with density proportional to p(z | x) w(z), the chance that
    it is the i-th of the unordered set is w_i / Σ w: weighted exchangeability (Tibshirani et al. 2019), and u
    is exactly uniform again, however unequal the weights are. Unequal weights cost power only: where w₀ is nearly all,
    u is nearly V.

    Args:
        simulated: N data and their true latents.
        plan: how many samples are evaluated at once.
        num_draws: L.
        seed: of draws, ties and reference points.
        densities: whether log q is known at a given point.
        tick: called with the number of draws that are done.
    """
    target = simulated.target
    with torch.no_grad():
        reference = reference_points(target, simulated.observed, seed)
        running: _Mass | None = None
        for drawn in in_chunks(target, weighted_draws, plan, num_draws, seed):
            # The true value goes through the same evaluation as the draws: ties stay ties.
            z = {name: torch.cat([simulated.truth[name].to(value), value]) for name, value in drawn.z.items()}
            values, log_w = _quantities(simulated, z, reference, densities)
            if running is None:
                running = _Mass(values[0], log_w[0], target.varying, torch.finfo(target.dtype).eps)
            running.add(values[1:], log_w[1:])
            tick(drawn.log_q.numel())
    assert running is not None
    noise = RandomNumbers(target, seed).uniform("calibration, ties", values.shape[2]).T  # [N, Q + 2]
    return running.places(noise)


def _quantities(
    simulated: Simulated, z: dict[str, Tensor], reference: Reference, densities: bool
) -> tuple[Tensor, Tensor]:
    """The ranked quantities `[S, N, Q + 2]` and the log weights `[S, N]`."""
    target = simulated.target
    prior, likelihood = target.log_joint(z)
    log_q = target.log_guide(z) if densities else torch.full_like(prior, torch.nan)
    others = torch.stack([prior + likelihood, log_q, reference.distance(target, z)], -1)
    log_w = torch.zeros_like(prior) if simulated.observed is None else simulated.observed.log_joint(z)[1]
    return torch.cat([side_by_side(z), others], -1).double(), log_w.double()


class _Mass:
    """Running log sums of the weights of draws below, level with and beside the true value."""

    def __init__(self, truth: Tensor, log_w: Tensor, varying: Tensor, eps: float) -> None:
        self.truth, self.log_w = truth, log_w  # [N, Q + 2], [N]
        # Latents are read off, densities and distances are computed with rounding, and so are constants of a support.
        self.rounding = torch.full((truth.shape[1],), _ROUNDING * eps, dtype=torch.float64, device=truth.device)
        self.rounding[: len(varying)][varying] = 0.0
        nothing = torch.full_like(truth, -torch.inf)
        self.below, self.tied = nothing, nothing
        self.squares = 2 * log_w
        self.all = log_w
        self.spoilt = truth.isnan() | log_w.isnan().unsqueeze(-1)

    def add(self, values: Tensor, log_w: Tensor) -> None:
        """Take in draws `[S, N, Q + 2]` with log weights `[S, N]`."""
        tolerance = self.rounding * torch.maximum(values.abs(), self.truth.abs())
        tied = (values == self.truth) | ((values - self.truth).abs() <= tolerance)
        below = (values < self.truth) & ~tied
        weight = log_w.unsqueeze(-1)
        self.below = torch.logaddexp(self.below, torch.where(below, weight, -torch.inf).logsumexp(0))
        self.tied = torch.logaddexp(self.tied, torch.where(tied, weight, -torch.inf).logsumexp(0))
        self.all = torch.logaddexp(self.all, log_w.logsumexp(0))
        self.squares = torch.logaddexp(self.squares, (2 * log_w).logsumexp(0))
        self.spoilt = self.spoilt | values.isnan().any(0) | log_w.isnan().any(0).unsqueeze(-1)

    def places(self, noise: Tensor) -> Places:
        """u `[N, Q + 2]`, NaN where something was NaN, and the effective sample size."""
        total = self.all.unsqueeze(-1)
        level = torch.logaddexp(self.tied, self.log_w.unsqueeze(-1))
        u = (self.below - total).exp() + noise.to(level) * (level - total).exp()
        u = u.clamp(0.0, 1.0).masked_fill(self.spoilt, torch.nan)
        return Places(u.cpu(), (2 * self.all - self.squares).exp().cpu())
