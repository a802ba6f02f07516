"""The importance-weighted bound by doubly reparameterised gradients (Tucker et al. 2019, equation 8).

    ∂L_K/∂φ = E Σ_k v_k² (∂ log w_k/∂z_k) (∂z_k/∂φ),    v_k = w_k / Σ w

The same expectation as the gradient of `IWAE`; but its signal-to-noise ratio does not fall as K grows.
"""

from elbowroom.inference.training.objectives.path_gradients import draws_at_leaves
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs
from elbowroom.inference.weights import log_marginal, normalized


class DReG(PerDatumObjective):
    """The bound of `IWAE`, whose gradient in the guide is the one above."""

    what = "the bound of IWAE, by doubly reparameterised gradients (Tucker et al. 2019)"
    least_particles = 2

    def estimate(self, programs: Programs) -> Estimate:
        """log p̂(x) of each datum's weights; the model's gradient is weighed by them, the guide's by their squares."""
        draws, leaves = draws_at_leaves(self.setting, programs, "DReG")
        weights = normalized(draws.log_w).detach()
        along = leaves.along((weights.square() * draws.log_w).sum())
        return Estimate(log_marginal(draws.log_w), (weights * draws.log_joint).sum() + along)
