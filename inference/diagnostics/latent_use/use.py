"""What a model does with its latents, over the data at hand."""

import time

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.diagnostics.latent_use.collapse import diagnose, sensitivity
from elbowroom.inference.diagnostics.latent_use.information import (
    activity,
    against_prior,
    mutual_information,
    over_data,
)
from elbowroom.inference.diagnostics.latent_use.observation import observation_sigma
from elbowroom.inference.diagnostics.latent_use.pruning import prune
from elbowroom.inference.diagnostics.latent_use.result import LatentUse
from elbowroom.inference.diagnostics.latent_use.summary import summarise
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.target import Target

ACTIVE = 0.01
"""Activity above which a latent is called active, below which dead (Burda, Grosse & Salakhutdinov 2016)."""


@checked
@asked_again
def latent_use(
    target: Target,
    *,
    log_p: Estimate | None = None,
    num_samples: int = 128,
    seed: int = 0,
    memory_bytes: int | None = None,
) -> LatentUse:
    """Activity, KL and information of each latent, collapse and its likely cause, and the observation noise.

    Standard errors are those of the data as a sample, unless a field says otherwise. Nothing depends on the order of
    the data or on how they are divided, but rounding.

    Args:
        target: programs and data.
        log_p: log p(x), to say how much an encoder that has collapsed leaves to be gained.
        num_samples: S draws of the guide for each datum.
        seed: of the draws.
        memory_bytes: byte budget for one evaluation (default 256 MiB).

    Raises:
        ValueError: for no latent at all, fewer than 2 samples, or a `log_p` of other data.
    """
    target = target.collapsed()
    if not target.latents:
        raise ValueError("this target has no latent that the guide draws (finite discrete ones are summed out)")
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, got {num_samples}")
    target.check_proper()
    check_same_data(target, log_p=log_p)
    begin = time.perf_counter()
    summary = summarise(target, num_samples, seed, memory_bytes)
    moved, moved_stderr = activity(summary)
    kl, kl_stderr = over_data(summary.kl)
    mutual, marginal = mutual_information(target, summary, memory_bytes)
    aggregate = against_prior(target, summary, seed)
    active, varying = moved > ACTIVE, target.varying
    slope = sensitivity(target, aggregate.pop("prior_sd"), seed)
    # One datum says nothing about differences; what the support makes constant is no latent to be used.
    dead = ~active & varying if len(target) > 1 else torch.zeros_like(active)
    latents = tuple(name for name, varies in zip(target.latent_names, varying.tolist(), strict=True) if varies)
    room = None if log_p is None else float((log_p.value.double().cpu() - summary.elbo).mean())
    doubts = (reasons(*(caution.reason for caution in target.structure.cautions)),)
    sigma, sigma_told = observation_sigma(target, num_samples, seed, memory_bytes)
    return LatentUse(
        latents=latents,
        activity=moved[varying],
        activity_stderr=moved_stderr[varying],
        active=active[varying],
        kl=kl[varying],
        kl_stderr=kl_stderr[varying],
        sensitivity=slope[varying],
        rate=_one(*over_data(summary.rate)).flagged(doubts),
        mutual_information=mutual.flagged(doubts),
        marginal_kl=marginal.flagged(doubts),
        **{name: value[varying] for name, value in aggregate.items()},
        collapsed=diagnose(latents, dead[varying], slope[varying], kl[varying], room),
        pruned=prune(target, dead, num_samples, seed, memory_bytes),
        sigma=sigma,
        sigma_told=sigma_told,
        seconds=time.perf_counter() - begin,
    )


def _one(value: Tensor, stderr: Tensor) -> Estimate:
    return Estimate(value.reshape(1), stderr.reshape(1), "none")
