"""Dead latents removed: drawn from the prior instead of q, and log p̂(x) estimated again with the same noise."""

from collections.abc import Iterator
from functools import partial
from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.diagnostics.latent_use.summary import by_latent
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.scalars import by_site, side_by_side
from elbowroom.inference.evaluation.weighted_draws import WeightedDraws, reduced, weighted_draws
from elbowroom.inference.target import Target


class PruningInfo(TypedDict):
    """What pruning changes datum by datum, and in the ELBO.

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
    every latent has a density of its own that no other latent enters, which is checked, not assumed.

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
    chunk_plan = plan(target, num_samples, memory_bytes)
    differences: list[tuple[Tensor, ...]] = []
    reduce = partial(_differences, dead=dead, num_samples=num_samples, seed=seed)
    for part in reduced(target, weighted_draws, chunk_plan, num_samples, seed, reduce):
        if part is None:
            return None
        differences.append(part)
    value, stderr, elbo, elbo_stderr = (torch.cat(column) for column in zip(*differences, strict=True))
    info: PruningInfo = {
        "per_datum": value,
        "per_datum_stderr": stderr,
        "elbo": float(elbo.mean()),
        "elbo_stderr": float(_of_mean(elbo_stderr)),
    }
    return Estimate(value.mean().reshape(1), _of_mean(stderr).reshape(1), "none", info)


def _of_mean(stderr: Tensor) -> Tensor:
    """The standard error of the mean of values with independent errors."""
    return stderr.square().sum().sqrt() / len(stderr)


def _differences(
    chunks: Iterator[WeightedDraws], dead: Tensor, num_samples: int, seed: int
) -> tuple[Tensor, ...] | None:
    """Differences of log p̂(x) and of the ELBO, each with its error, `[B]`; None if the latents are not independent."""
    pairs = []
    for drawn in chunks:
        pair = _paired(drawn, dead, seed)
        if pair is None:
            return None
        pairs.append(pair)
    with_q, with_prior = (torch.cat(column) for column in zip(*pairs, strict=True))  # [S, B]
    difference = weights.log_marginal(with_prior) - weights.log_marginal(with_q)
    # d log(mean w' / mean w) = mean of w'/w̄' − w/w̄
    spread = num_samples * (weights.normalized(with_prior) - weights.normalized(with_q))
    stderr = spread.std(0) / num_samples**0.5
    return difference, stderr, weights.elbo(with_prior - with_q), weights.elbo_stderr(with_prior - with_q)


def _paired(drawn: WeightedDraws, dead: Tensor, seed: int) -> tuple[Tensor, Tensor] | None:
    """log w with q's dead latents and with the prior's, `[S, B]` each; None if the latents are not independent."""
    part = drawn.target
    fresh = part.sample_prior(drawn.num_samples, seed=seed, start=drawn.start)
    z_guide, z_prior = (side_by_side(z).double().cpu() for z in (drawn.z, fresh))
    mixed = by_site(part, torch.where(dead, z_prior, z_guide))
    guide_q, guide_p = by_latent(part, drawn.z)
    mixed_q, mixed_p = by_latent(part, mixed)
    fresh_p = by_latent(part, fresh)[1]
    alive = ~dead
    # No latent that is kept may notice the exchange, and no fresh one its new company.
    same = [(mixed_q, guide_q, alive), (mixed_p, guide_p, alive), (mixed_p, fresh_p, dead)]
    if not all(torch.allclose(a[..., n], b[..., n], rtol=1e-4, atol=1e-4) for a, b, n in same):
        return None
    prior, likelihood = (t.double().cpu() for t in drawn.log_joint)
    new = part.log_joint(mixed)[1].double().cpu()
    log_ratio = (mixed_p - mixed_q)[..., alive].sum(-1)
    return prior + likelihood - drawn.log_q.double().cpu(), new + log_ratio
