"""The Rényi bound (Li & Turner 2016, equation 14), of each datum's K weights.

    L_α = (1 − α)⁻¹ E log (1/K) Σ_k w_k^(1−α)

α = 0 is the importance-weighted bound, and α → 1 the ELBO. A lower bound on log p(x) in expectation for α ≥ 0; for
α < 0 it is biased downwards from something above log p(x), and bounds nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

from elbowroom.inference.training.argument_checks import is_number
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs
from elbowroom.inference.weights.power_means import renyi


class Renyi(PerDatumObjective):
    """The bound above, with K = `num_particles`.

    Args:
        setting: what is known of the programs.
        alpha: α, finite and other than 1.
    """

    what = "(1 − α)⁻¹ E log (1/K) Σ w^(1−α), Rényi's bound (Li & Turner 2016); none where α < 0"
    least_particles = 2

    def __init__(self, setting: Setting, *, alpha: float = 0.5) -> None:
        super().__init__(setting)
        self.alpha = alpha

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError for an α of which there is no bound."""
        super().check(options)
        check_alpha(options)

    @classmethod
    def bounds(cls, options: Mapping[str, Any]) -> str:
        """ "none" where α < 0."""
        return bound_of_order(options)

    def estimate(self, programs: Programs) -> Estimate:
        """The power mean of each datum's K weights."""
        draws = self.draws(programs)
        value = renyi(draws.log_w, self.alpha)
        return Estimate(value, (value + value.detach() * draws.score.sum(0)).sum())


def check_alpha(options: Mapping[str, Any]) -> None:
    """Raise ValueError unless the order, where it is given, is a finite number other than 1."""
    alpha = options.get("alpha", 0.0)
    if not (is_number(alpha) and math.isfinite(alpha) and alpha != 1):
        raise ValueError(
            f"alpha must be a finite number other than 1 (0 is the importance-weighted bound), got {alpha!r}; "
            "for alpha = 1 use loss='Trace_ELBO'"
        )


def bound_of_order(options: Mapping[str, Any]) -> str:
    """What the bound of this order is: "lower" of log p(x) from α = 0 on."""
    return "lower" if options.get("alpha", 0.0) >= 0.0 else "none"
