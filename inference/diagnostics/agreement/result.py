"""How q and p(z|x) differ, datum by datum."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate


@dataclass(frozen=True)
class Agreement:
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

    def share(self, use: str) -> float:
        """The share of data with a sound reference for which q is good enough for a use; NaN if there is none."""
        sound = torch.tensor([not flag for flag in self.flags])
        return float(self.uses[use][sound].double().mean()) if bool(sound.any()) else float("nan")
