"""Reweighted wake-sleep (Bornschein & Bengio 2015): weights normalised for each datum by itself.

    θ, wake    Σ_k v_k ∂ log p(x, z_k)/∂θ,    v_k = w_k / Σ_j w_j: the gradient of the importance-weighted bound
    φ, wake    Σ_k v_k ∂ log q(z_k | x)/∂φ: less KL(p(z|x) ‖ q(z|x)), with a bias of order 1/K
    φ, sleep   ∂ log q(z | x)/∂φ at (z, x) drawn from the model: less of it on the average over the model's x, unbiased

No draw needs a gradient, and q learns to cover the posterior. What φ climbs bounds nothing: the value shown is θ's.
"""

from collections.abc import Mapping
from typing import Any

from elbowroom.inference.training.argument_checks import check_registered
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.fixed_draws import fixed_draws
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs
from elbowroom.inference.training.objectives.simulated import log_q_of_simulated
from elbowroom.inference.weights import log_marginal, normalized

PHASES = ("wake", "sleep")


class ReweightedWakeSleep(PerDatumObjective):
    """The gradients above, with K = `num_particles`.

    Args:
        setting: what is known of the programs.
        phi: "wake" or "sleep", how the guide learns.
    """

    what = "wake-sleep: θ climbs IWAE's bound, φ fits q to weighted draws; no bound for φ (Bornschein & Bengio 2015)"
    bound = "none"
    least_particles = 2

    def __init__(self, setting: Setting, *, phi: str = "wake") -> None:
        super().__init__(setting)
        self.phi = phi

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError for a phase that is none."""
        super().check(options)
        check_registered("phi", options.get("phi", "wake"), PHASES)

    def estimate(self, programs: Programs) -> Estimate:
        """log p̂(x) of each datum's weights; both programs climb their log densities at weighed draws."""
        draws = fixed_draws(self.setting, programs)
        weights = normalized(draws.log_w.detach())
        theta = (weights * draws.log_joint).sum()
        if self.phi == "wake":
            phi = (weights * draws.log_q).sum()
        else:
            phi = log_q_of_simulated(self.setting, programs).sum()
        return Estimate(log_marginal(draws.log_w.detach()), theta + phi)
