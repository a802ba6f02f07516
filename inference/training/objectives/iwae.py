"""The importance-weighted bound (Burda, Grosse & Salakhutdinov 2016, equation 8).

    L_K = E log (1/K) Σ_k w_k,    ELBO = L_1 ≤ L_2 ≤ … ≤ log p(x)

Its gradient in the decoder is the ELBO's with weights w_k / Σ w, `[K, B]`, normalised for each datum. In the encoder
its signal vanishes as K grows, faster than its noise: their ratio falls as K^-1/2 (Rainforth et al. 2018).
"""

from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs
from elbowroom.inference.weights import log_marginal


class IWAE(PerDatumObjective):
    """The bound above, with K = `num_particles`; sites whose draws carry no gradient are trained by their score."""

    what = "E log (1/K) Σ w, the importance-weighted bound (Burda et al. 2016)"
    least_particles = 2

    def estimate(self, programs: Programs) -> Estimate:
        """log p̂(x) of each datum's K weights."""
        draws = self.draws(programs)
        value = log_marginal(draws.log_w)
        return Estimate(value, (value + value.detach() * draws.score.sum(0)).sum())
