"""Dead latents removed: drawn from the prior instead of q, and log p̂(x) estimated again with the same noise."""

from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.diagnostics.agreement.sides import by_site
from elbowroom.inference.diagnostics.latent_use.summary import by_latent, side_by_side
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.target import Target


class PruningInfo(TypedDict):
    """What is known of pruning besides the mean over data.

    Keys:
        per_datum, per_datum_stderr: difference of log p̂(x) and its standard error, `[B]`, nats.
        elbo, elbo_stderr: mean difference of the ELBOs, nats, which heavy-tailed weights do not disturb.
    """

    per_datum: Tensor
    per_datum_stderr: Tensor
    elbo: float
    elbo_stderr: float


def prune(
    target: Target, dead: Tensor, num_samples: int, seed: int, memory_bytes: int | None
) -> Estimate[PruningInfo] | None:
    """Mean over data of log p̂(x) with the dead latents drawn from the prior, less that with the guide's own draws.

    log w = log p(x | z) + Σ_alive (log p(z_n) − log q(z_n | x)), as prior and proposal cancel for the dead. Only where
    every latent has a density of its own that no other latent enters, which is looked at, not assumed.

    Args:
        target: programs and data.
        dead: which latents, `[N]` bool.
        num_samples: S.
        seed: of the draws; both estimates share those of the latents that are alive.
        memory_bytes: byte budget for one evaluation.

    Returns:
        Estimate of shape `[1]`, nats; its stderr is that of estimating the mean, by the delta method on the difference
        of paired weights; `info`: see `PruningInfo`. None if there is no dead latent, or if latents are not independent
        of each other under prior and guide.
    """
    if not bool(dead.any()):
        return None
    cut = plan(target, num_samples, memory_bytes)
    differences, errors, elbos = [], [], []
    with torch.no_grad():
        for _, part in cut.data(target):
            pairs = []
            for start, count in cut.sample_ranges(num_samples):
                pair = _paired(part, dead, count, seed, start)
                if pair is None:
                    return None
                pairs.append(pair)
            with_q, with_prior = (torch.cat(column) for column in zip(*pairs, strict=True))  # [S, B]
            differences.append(weights.log_marginal(with_prior) - weights.log_marginal(with_q))
            # d log(mean w' / mean w) = mean of w'/w̄' − w/w̄
            spread = num_samples * (weights.normalized(with_prior) - weights.normalized(with_q))
            errors.append(spread.std(0) / num_samples**0.5)
            elbos.append(torch.stack([weights.elbo(with_prior - with_q), weights.elbo_stderr(with_prior - with_q)]))
    value, stderr = torch.cat(differences), torch.cat(errors)
    elbo, elbo_stderr = torch.cat(elbos, 1)
    info: PruningInfo = {
        "per_datum": value,
        "per_datum_stderr": stderr,
        "elbo": float(elbo.mean()),
        "elbo_stderr": float(_of_mean(elbo_stderr)),
    }
    return Estimate(value.mean().reshape(1), _of_mean(stderr).reshape(1), "none", info)


def _of_mean(stderr: Tensor) -> Tensor:
    """Standard error of the mean of independent errors."""
    return stderr.square().sum().sqrt() / len(stderr)


def _paired(part: Target, dead: Tensor, count: int, seed: int, start: int) -> tuple[Tensor, Tensor] | None:
    """log w with q's dead latents and with the prior's, `[S, B]` each; None if the latents are not independent."""
    drawn, log_q = part.propose(count, seed=seed, start=start)
    fresh = part.sample_prior(count, seed=seed, start=start)
    mixed = by_site(part, torch.where(dead, side_by_side(fresh), side_by_side(drawn)))
    own_q, own_p = by_latent(part, drawn)
    mixed_q, mixed_p = by_latent(part, mixed)
    fresh_p = by_latent(part, fresh)[1]
    alive = ~dead
    # No latent that is kept may notice the exchange, and no fresh one its new company.
    same = [(mixed_q, own_q, alive), (mixed_p, own_p, alive), (mixed_p, fresh_p, dead)]
    if not all(torch.allclose(a[..., n], b[..., n], rtol=1e-4, atol=1e-4) for a, b, n in same):
        return None
    prior, likelihood = (t.double().cpu() for t in part.log_joint(drawn))
    new = part.log_joint(mixed)[1].double().cpu()
    kept = (mixed_p - mixed_q)[..., alive].sum(-1)
    return prior + likelihood - log_q.double().cpu(), new + kept
