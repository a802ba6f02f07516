"""The ELBO by the score of q, with a leave-one-out baseline: for guides of any kind, discrete ones too.

    ∂ELBO/∂φ = E (1/K) Σ_k (log w_k − b_k) ∂ log q(z_k)/∂φ,    b_k = 1/(K − 1) Σ_(j≠k) log w_j

z_k is a constant here. The baseline of a draw is the mean of the others, which knows nothing of it, so the expectation
is the gradient's (Kool, van Hoof & Welling 2019, equation 8; Mnih & Rezende 2016).
"""

from elbowroom.inference.training.objectives.fixed_draws import fixed_draws
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs


class ScoreFunction(PerDatumObjective):
    """The ELBO, with the gradient above."""

    what = "the ELBO, by scores with a leave-one-out baseline: for draws of any kind (Kool et al. 2019)"
    weighs_kl = True
    least_particles = 2

    def estimate(self, programs: Programs) -> Estimate:
        """The mean of log w; of each draw, its score weighed by how far it is above the others."""
        draws = fixed_draws(self.setting, programs)
        log_w, num_particles = draws.log_w.detach(), self.setting.num_particles
        above = (log_w - log_w.mean(0)) * (num_particles / (num_particles - 1))  # log w_k − b_k
        surrogate = draws.log_joint - draws.entropy + above * draws.score
        return Estimate(log_w.mean(0), surrogate.mean(0).sum())
