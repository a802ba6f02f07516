"""How q and p(z|x) differ, datum by datum."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class Agreement(Shown):
    """Errors of q against a reference posterior (MCMC or quadrature), datum by datum. N scalar latents.

    Attributes:
        reference: `"hmc"`, `"nuts"` or `"quadrature"`: where means, sds, correlations and divergences come from.
        latents: names of the N scalar latents.
        mean_error: (mean of q − posterior mean) / posterior sd, `[B, N]`; `mean_error_stderr` likewise.
        log_sd_ratio: log(sd of q / posterior sd), `[B, N]`; `log_sd_ratio_stderr` likewise.
        correlation_error: largest |correlation under q − under the posterior|, `[B]` (zero for one latent);
            `correlation_error_floor`: what Monte Carlo noise alone would show on average.
        tail_mass: posterior probability outside q's central 90 % interval of each latent, `[B, N]` (0.1 if q is right);
            `tail_mass_stderr` likewise. `far_tail_mass`, `far_tail_mass_stderr`: the same for the central 99 % interval
            (0.01 if q is right).
        mode_distance: distance between q's mean and the nearest posterior mode, in posterior sds of the latent in which
            it is largest, `[B]`.
        missed_mass: posterior probability of modes in which q has next to no draws, `[B]`; its `…_stderr`. A q that is
            only too narrow misses no mode; NaN where q's density at a point is unknown.
        wasserstein: W₁ of each marginal in posterior sds, `[B, N]`; `wasserstein_floor`: that of the noise alone.
        c2st: held-out accuracy of a classifier between draws of q and of the posterior, `[B]` (0.5: cannot be told
            apart); `c2st_stderr` likewise.
        kl_q_p, kl_p_q: KL(q ‖ p(z|x)) and KL(p(z|x) ‖ q), nats.
        pareto_k, ess_share: k̂ of the importance weights, and their effective share of draws, `[B]`.
        uses: use -> for which data q is good enough for it, `[B]` bool; in order `"means"`, `"intervals"`, `"tails"`,
            `"model comparison"`.
        why_not: use -> for each datum the reason why not, or an empty string.
        flags: for each datum why the reference itself should not be trusted, or an empty string.
        seconds: wall-clock time.
    """

    reference: str
    latents: tuple[str, ...]
    mean_error: Tensor
    mean_error_stderr: Tensor
    log_sd_ratio: Tensor
    log_sd_ratio_stderr: Tensor
    correlation_error: Tensor
    correlation_error_floor: Tensor
    tail_mass: Tensor
    tail_mass_stderr: Tensor
    far_tail_mass: Tensor
    far_tail_mass_stderr: Tensor
    mode_distance: Tensor
    missed_mass: Tensor
    missed_mass_stderr: Tensor
    wasserstein: Tensor
    wasserstein_floor: Tensor
    c2st: Tensor
    c2st_stderr: Tensor
    kl_q_p: Estimate
    kl_p_q: Estimate
    pareto_k: Tensor
    ess_share: Tensor
    uses: dict[str, Tensor]
    why_not: dict[str, tuple[str, ...]]
    flags: tuple[str, ...]
    seconds: float

    def __len__(self) -> int:
        return len(self.flags)

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum before its own ones, in both divergences, too."""
        flags = tuple(reasons(reason, flag) for flag in self.flags)
        return replace(self, kl_q_p=self.kl_q_p.doubted(reason), kl_p_q=self.kl_p_q.doubted(reason), flags=flags)

    def as_table(self) -> Table:
        """For which share of the data q is good enough for each use, and the data for which it is good for least."""
        sound = sum(not flag for flag in self.flags)
        head = (
            f"q against the posterior ({self.reference}) of {len(self)} data, {len(self.latents)} latents",
            *(f"  good enough for {use}: {self.share(use):.0%} of {sound} data" for use in self.uses),
            *flag_counts(self.flags),
        )
        bad = -sum((marks.double() for marks in self.uses.values()), torch.zeros(len(self), dtype=torch.float64))
        return Table(head, _COLUMNS, ">>>>><<", [self._row(b) for b in flagged_first(self.flags, bad)], len(self))

    def _row(self, b: int) -> tuple[str, ...]:
        """The latent with the largest error of each kind, k-hat, KL, and what q is good for or why not."""
        good = [use for use, marks in self.uses.items() if bool(marks[b])]
        why_not = next((texts[b] for texts in self.why_not.values() if texts[b]), "")
        return (
            str(b),
            _largest(self.mean_error[b], self.mean_error_stderr[b]),
            _largest(self.log_sd_ratio[b], self.log_sd_ratio_stderr[b]),
            with_error(float(self.kl_q_p.value[b]), float(self.kl_q_p.stderr[b])),
            f"{float(self.pareto_k[b]):.2f}",
            f"{len(good)} of {len(self.uses)}",
            self.flags[b] or why_not,
        )

    def share(self, use: str) -> float:
        """The share of data with a sound reference for which q is good enough for a use; NaN if there is none."""
        sound = torch.tensor([not flag for flag in self.flags])
        return float(self.uses[use][sound].double().mean()) if bool(sound.any()) else float("nan")


_COLUMNS = ("datum", "mean off by (sd)", "log sd ratio", "KL(q ‖ p) (nats)", "k-hat", "good for", "flag, or why not")


def _largest(error: Tensor, stderr: Tensor) -> str:
    """The error of the latent in which it is largest, with its own."""
    n = int(error.abs().nan_to_num(nan=torch.inf).argmax()) if error.numel() else None
    return "" if n is None else with_error(float(error[n]), float(stderr[n]))
