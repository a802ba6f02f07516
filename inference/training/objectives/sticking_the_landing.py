"""The ELBO without the score term of log q (Roeder, Wu & Duvenaud 2017, "Sticking the landing", equation 6).

The ELBO's gradient in φ has two parts: along the path of the draw, and that of log q(z; φ) at a fixed z. The second is
zero in expectation; without it the gradient has no noise at all where q is the posterior, for log w is constant there.
"""

from elbowroom.inference.training.objectives.path_gradients import draws_at_leaves
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs


class StickingTheLanding(PerDatumObjective):
    """The ELBO, whose gradient in the guide is the path's alone."""

    what = "the ELBO, by gradients along the draws' paths alone (Roeder et al. 2017)"
    weighs_kl = True

    def estimate(self, programs: Programs) -> Estimate:
        """The mean of log w; the model's gradient is at the draws, the guide's along them."""
        draws, leaves = draws_at_leaves(self.setting, programs, "STL")
        value = draws.log_w.mean(0)
        return Estimate(value, draws.log_joint.mean(0).sum() + leaves.along(value.sum()))
