"""The ELBO with the finite latents that the guide draws summed over in its expectation.

    ELBO_b = Σ_k q(k | x_b) E_{q(z | x_b, k)}[log p(x_b, z, k) − log q(z, k | x_b)]

The sum is exact, so q(k|x) is trained by the gradient of the sum and not by the score of a draw, which is too noisy to
learn much by. All values of k are given to both programs at once, along dims of their own to the left of all others;
other latents are drawn anew for each. A mask takes log q(k) and log p(k) out of the bound, not out of the sum: where
nothing depends on k (its label is told) the sum is that one number.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.programs.enumeration import marks
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.fixed_draws import unmasked_log_prob
from elbowroom.inference.training.objectives.per_datum import Estimate, PerDatumObjective
from elbowroom.inference.training.objectives.runs import Programs, num_data_of, pairs, random_sites

MOST_VALUES = 1000
"""Combinations of values of a datum's finite latents up to which they are summed over."""


class Sum(NamedTuple):
    """What was read off a pair of runs in which the finite latents take all their values: `[*lead, B]` each.

    `lead` are the dims of the values, and before all plates that of the particles, if they were drawn at once.

    Attributes:
        weights: Σ over values and mean over particles: they sum to one over `lead`.
        log_w: log p(x, z, k) − log q(z, k | x).
        score: log q of other sites whose draws carry no gradient.
        model, guide: the traces.
    """

    weights: Tensor
    log_w: Tensor
    score: Tensor
    model: Any
    guide: Any

    def average(self, term: Tensor) -> Tensor:
        """Σ weights · term over `lead`, `[B]`; a value that q cannot take counts nothing, whatever the term there."""
        return (self.weights * torch.where(self.weights > 0, term, 0.0)).flatten(0, -2).sum(0)


class SummedGuideELBO(PerDatumObjective):
    """The bound above; of guides without finite latents the plain ELBO.

    Args:
        setting: what is known of the programs.

    Raises:
        ValueError: naming the sites that cannot be summed over.
    """

    what = "the ELBO, with the finite latents that the guide draws summed over"
    weighs_kl = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        latents = setting.structure.latents
        self.sites = finite(setting)
        if self.sites and setting.structure.discrete:
            raise ValueError(
                f"the guide draws the finite latents {list(self.sites)} and leaves "
                f"{list(setting.structure.discrete)} to the model, and only one of the two is summed over here: draw "
                "all of them in the guide, or none"
            )
        inner = [name for name in self.sites if latents[name].plates]
        if inner:
            raise ValueError(
                f"the finite latents {inner} stand in plates besides the data's and are not summed over: mark them "
                "infer={'enumerate': 'parallel'} in the guide, for Pyro's TraceEnum_ELBO, or use loss='score-function'"
            )
        count = math.prod(latents[name].num_values or 1 for name in self.sites)
        if count > MOST_VALUES:
            raise ValueError(
                f"the finite latents {list(self.sites)} have {count} combinations of values for a datum, more than "
                f"the {MOST_VALUES} that are summed over: use loss='score-function'"
            )

    def estimate(self, programs: Programs) -> Estimate:
        """The bound, and what differentiates to its gradient."""
        return mean_of(self.sums(programs))

    def sums(self, programs: Programs) -> list[Sum]:
        """One of all particles, or one of each."""
        messengers = marks(self.sites, self.setting.structure.nesting)
        try:
            return [self._sum(*pair) for pair in pairs(self.setting, programs, *messengers)]
        except (RuntimeError, IndexError) as error:
            error.add_note(
                f"All values of {list(self.sites)} are given to both programs at once, along dims of their own on the "
                "left, and they must broadcast over these."
            )
            raise

    def _sum(self, model: Any, guide: Any) -> Sum:
        drawn = random_sites(guide)
        summed = [site for site in drawn if site["infer"].get("_enumerate_dim") is not None]
        scored = [s for s in drawn if s not in summed and not s["is_observed"] and not s["fn"].has_rsample]
        observed = [site for site in random_sites(model) if not is_deterministic(site)]
        log_p, log_q = ([site_log_prob(s) * s["scale"] for s in sites] for sites in (observed, drawn))
        log_k, score = ([unmasked_log_prob(s) for s in sites] for sites in (summed, scored))
        num_data = num_data_of(self.setting, model)
        lead = torch.broadcast_shapes(*(self._lead(t) for t in (*log_p, *log_q, *log_k)), (1,))

        def total(terms: Sequence[Tensor]) -> Tensor:
            nothing = log_p[0].new_zeros(*lead, num_data)
            return sum((self.by_lead(term, lead, num_data) for term in terms), nothing)

        particles = lead[-1] if self.setting.vectorize else 1
        return Sum(total(log_k).exp() / particles, total(log_p) - total(log_q), total(score), model, guide)

    def by_lead(self, term: Tensor, lead: Sequence[int], num_data: int) -> Tensor:
        """A term summed over all plates but particles and data, `[*lead, B]`."""
        structure = self.setting.structure
        batch = term.shape[len(self._lead(term)) :]
        flat = term.expand(*lead, *batch).reshape(-1, *batch)
        return structure.per_datum(flat, len(flat), num_data).reshape(*lead, num_data)

    def _lead(self, term: Tensor) -> torch.Size:
        return term.shape[: max(term.dim() - self.setting.structure.nesting, 0)]


def mean_of(sums: Sequence[Sum]) -> Estimate:
    """The bound of such sums; draws without a gradient are trained by their score."""
    value = torch.stack([one.average(one.log_w) for one in sums]).mean(0)
    by_score = [((one.weights * one.log_w).detach() * one.score).sum() for one in sums]
    return Estimate(value, value.sum() + torch.stack(by_score).mean())


def finite(setting: Setting) -> tuple[str, ...]:
    """The finite latents that the guide draws."""
    return tuple(name for name, latent in setting.structure.latents.items() if latent.num_values is not None)
