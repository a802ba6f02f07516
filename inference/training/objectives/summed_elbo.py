"""The ELBO of programs whose discrete latents are summed out: log p(x, z) = log Σ_k p(x, z, k).

    ELBO_b = E_{q(z|x_b)}[log Σ_k p(x_b, z, k) − log q(z | x_b)]

k runs over the finite discrete latents that the guide leaves to the model, marked for enumeration here, whatever the
program says of them. The gradient is that of the draws where the guide's sites are reparameterised, and of their score,
weighed by the datum's log w, where they are not.
"""

from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs


class SummedELBO(PerDatumObjective):
    """`Trace_ELBO` with the discrete latents of the model summed out."""

    what = "the ELBO, with the finite latents that the guide leaves to the model summed out"

    def estimate(self, programs: Programs) -> Estimate:
        """The mean of log w, and what differentiates to its gradient."""
        draws = self.draws(programs)
        by_score = draws.log_w.detach() * draws.score
        return Estimate(draws.log_w.mean(0), (draws.log_joint - draws.entropy + by_score).mean(0).sum())
