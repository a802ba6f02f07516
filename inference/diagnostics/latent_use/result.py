"""What a model does with its latents."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.diagnostics.latent_use.information import InformationInfo
from elbowroom.inference.diagnostics.latent_use.pruning import PruningInfo
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.showing.numbers import mean_with_interval, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table


@dataclass(frozen=True, repr=False)
class LatentUse(Shown):
    """Which latents carry information about x, over the data at hand. N scalar latents.

    Attributes:
        latents: names of the N scalar latents.
        activity: variance over data of E_q[z_n | x] (Burda, Grosse & Salakhutdinov 2016), `[N]`; `activity_stderr`.
        active: activity above 0.01, `[N]` bool.
        kl: mean over data of KL(q(z_n|x) ‖ p(z_n)), `[N]`, nats; `kl_stderr`. NaN where sites do not factorise.
        sensitivity: root mean square change of log p(x | z) per prior sd of each latent, at draws of q, `[N]`, nats:
            zero where the decoder does not use it; NaN where the likelihood has no slope in z.
        rate: mean over data of log q(z|x) − log p(z) under q, one number (shape `[1]`), nats.
        mutual_information: I_q(x; z) = rate − KL(q(z) ‖ p(z)), shape `[1]`, nats; `info["limit"]` is log B, which it
            cannot exceed, and a flag says if it is too near to that.
        marginal_kl: KL(q(z) ‖ p(z)) of the aggregate posterior, shape `[1]`, nats.
        aggregate_mean, aggregate_sd: of each latent under the aggregate posterior, `[N]`, in prior sds;
            `aggregate_distance`: Kolmogorov–Smirnov distance of its marginal to the prior's, `[N]`.
        collapsed: latents named as collapsed, with their likely cause: sentences.
        pruned: mean over data of log p̂(x) with the dead latents drawn from the prior less that with the guide's, shape
            `[1]`, nats (near zero: they are dead indeed); None if there are none, or if latents are not independent of
            each other under prior and guide.
        sigma: the noise of a Gaussian likelihood: `value`, `optimal` (from the residuals) and
            `optimal_stderr`, `log_lik_gain` (nats per datum), `explained` (share of the variance of x), `num_values` of
            a datum; empty if the likelihood has none that is the same for every datum.
        sigma_told: what it does to samples, in words; empty if there is none.
        seconds: wall-clock time.
    """

    latents: tuple[str, ...]
    activity: Tensor
    activity_stderr: Tensor
    active: Tensor
    kl: Tensor
    kl_stderr: Tensor
    sensitivity: Tensor
    rate: Estimate
    mutual_information: Estimate[InformationInfo]
    marginal_kl: Estimate[InformationInfo]
    aggregate_mean: Tensor
    aggregate_sd: Tensor
    aggregate_distance: Tensor
    collapsed: tuple[str, ...]
    pruned: Estimate[PruningInfo] | None
    sigma: dict[str, float]
    sigma_told: str
    seconds: float

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further flag of every estimate."""
        return replace(
            self,
            rate=self.rate.doubted(reason),
            mutual_information=self.mutual_information.doubted(reason),
            marginal_kl=self.marginal_kl.doubted(reason),
            pruned=None if self.pruned is None else self.pruned.doubted(reason),
        )

    def as_table(self) -> Table:
        """What the latents carry together, and each of them, the most active first."""
        together = {"rate": self.rate, "I(x; z)": self.mutual_information, "KL(q(z) ‖ p(z))": self.marginal_kl}
        together |= {} if self.pruned is None else {"log p(x) without the dead ones": self.pruned}
        head = [f"{int(self.active.sum())} of {len(self.latents)} latents are active"]
        for name, estimate in together.items():
            flag = f": {estimate.flags[0]}" if estimate.flags[0] else ""
            head.append(f"  {name}: {mean_with_interval(estimate.value, estimate.stderr)}{flag}")
        head += [*self.collapsed, *([self.sigma_told] if self.sigma_told else [])]
        order = self.activity.nan_to_num(nan=torch.inf).argsort(descending=True, stable=True)[:LINES].tolist()
        columns = ("latent", "variance of means", "KL (nats)", "sensitivity (nats)", "active")
        return Table(tuple(head), columns, "<>>><", [self._row(n) for n in order], len(self.latents), "latents")

    def _row(self, n: int) -> tuple[str, ...]:
        return (
            self.latents[n],
            with_error(float(self.activity[n]), float(self.activity_stderr[n])),
            with_error(float(self.kl[n]), float(self.kl_stderr[n])),
            f"{float(self.sensitivity[n]):.3f}",
            "yes" if bool(self.active[n]) else "no",
        )
