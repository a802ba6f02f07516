"""The loss of model M2 (Kingma, Rezende, Mohamed & Welling 2014, equation 9): a bound, and a classifier's.

    Σ_b ELBO_b + α Σ_(b told) log q(y_b | x_b)

ELBO_b bounds log p(x_b, y_b) where the label is told, and log p(x_b) where it is not, with y summed over exactly
(equations 6 and 7). In the bound a told label says nothing to q(y|x); the second term does. It bounds no log p. The
paper's α is .1 N over the number of labels.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.masks import unmasked
from elbowroom.inference.training.argument_checks import check_at_least_zero
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.per_datum import Estimate
from elbowroom.inference.training.objectives.runs import Programs, num_data_of
from elbowroom.inference.training.objectives.summed_guide import Sum, SummedGuideELBO, mean_of

_HIDDEN, _SEEN = "_unobserved", "_observed"  # what Pyro calls the halves of a site with obs_mask


class SemiSupervised(SummedGuideELBO):
    """The loss above, for every finite latent that the model observes in part (`pyro.sample(…, obs_mask=told)`).

    Args:
        setting: what is known of the programs.
        alpha: α, what a told label counts in the classifier's term.

    Raises:
        ValueError: if the guide draws no such latent.
    """

    what = "the ELBO with labels summed over, and α log q of those that are told (Kingma et al. 2014, equation 9)"
    bound = "none"

    def __init__(self, setting: Setting, *, alpha: float = 1.0) -> None:
        super().__init__(setting)
        self.alpha = alpha
        observed = setting.structure.observed
        halves = [site.removesuffix(_HIDDEN) for site in self.sites if site.endswith(_HIDDEN)]
        self.labels = [name for name in halves if name + _SEEN in observed]
        if not self.labels:
            raise ValueError(
                f"loss='semi-supervised' is for a finite latent that the model observes in part and the guide draws "
                f"where it is not observed; the guide draws {list(setting.structure.latents)}, the model observes "
                f"{list(observed)}. Write pyro.sample('y', …, obs=y, obs_mask=told) in the model and draw "
                "'y_unobserved' in the guide, or use loss='Trace_ELBO'"
            )

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless α is a number ≥ 0."""
        super().check(options)
        check_at_least_zero("alpha", options.get("alpha", 1.0), "")

    @classmethod
    def bounds(cls, options: Mapping[str, Any]) -> str:
        """ "lower" of log p(x, told labels) at α = 0 alone."""
        return "lower" if options.get("alpha") == 0 else "none"

    def estimate(self, programs: Programs) -> Estimate:
        """The bound and α times the classifier's term."""
        sums = self.sums(programs)
        bound = mean_of(sums)
        told = torch.stack([self._log_label(one, name) for one in sums for name in self.labels]).sum(0) / len(sums)
        return Estimate(bound.value + self.alpha * told, bound.surrogate + self.alpha * told.sum())

    def _log_label(self, one: Sum, name: str) -> Tensor:
        """log q(y | x) of the labels that are told, `[B]`, 0 of the others."""
        guide, model = one.guide.nodes[name + _HIDDEN], one.model.nodes[name + _SEEN]
        log_q = unmasked(guide["fn"]).log_prob(model["value"])
        log_q = torch.where(torch.as_tensor(model["mask"]), log_q, 0.0)
        return one.average(self.by_lead(log_q, one.log_w.shape[:-1], num_data_of(self.setting, one.model)))
