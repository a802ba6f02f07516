"""One pass over draws of q: moments of each latent, its KL, the rate, and some draws to keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.evaluation.weighted_draws import WeightedDraws, reduced, weighted_draws
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.target import Target

_KEPT = 20_000  # draws of the aggregate posterior that are kept, shared evenly by the data


@dataclass(frozen=True)
class Summary:
    """What q says of B data with N scalar latents; float64 on the CPU.

    Attributes:
        mean, variance: of each latent under q(z | x_b), from S draws, `[B, N]`.
        kl: E_q[log q(z_n|x) − log p(z_n)] of each datum, `[B, N]`, nats; NaN where a site's density does not fall apart
            into its elements.
        rate: E_q[log q(z|x) − log p(z)] of each datum, `[B]`, nats.
        elbo: `[B]`, nats.
        draws: the first draws of each datum, `[K, B, N]`.
        num_samples: S.
    """

    mean: Tensor
    variance: Tensor
    kl: Tensor
    rate: Tensor
    elbo: Tensor
    draws: Tensor
    num_samples: int


def by_latent(target: Target, z: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(log q, log p) of each scalar latent, `[S, B, N]`, nats; NaN where a site's elements hang together."""
    densities: list[list[Tensor]] = [[], []]
    try:
        terms = target.latent_terms(z)
    except (ProgramError, NotImplementedError):  # sites without a density of their own
        unknown = torch.full_like(side_by_side(z), torch.nan, dtype=torch.float64, device="cpu")
        return unknown, unknown
    for name, value in z.items():
        for side, term in zip(densities, terms[name], strict=True):
            elementwise = term.shape == value.shape
            side.append(term if elementwise else torch.full_like(value, torch.nan, dtype=term.dtype))
    log_q, log_p = (dict(zip(z, side, strict=True)) for side in densities)
    return side_by_side(log_q).double().cpu(), side_by_side(log_p).double().cpu()


def summarise(target: Target, num_samples: int, seed: int, memory_bytes: int | None) -> Summary:
    """Draw S times from q(z | x_b) for every datum."""
    chunk_plan = plan(target, num_samples, memory_bytes)
    keep = min(num_samples, max(1, _KEPT // len(target)))
    reduce = partial(_averages, num_samples=num_samples, keep=keep)
    columns = list(reduced(target, weighted_draws, chunk_plan, num_samples, seed, reduce))
    draws = torch.cat([first_draws for _, first_draws in columns], 1)
    mean = {name: torch.cat([average[name] for average, _ in columns]) for name in columns[0][0]}
    correct = num_samples / max(num_samples - 1, 1)
    return Summary(
        mean=draws[0] + mean["first"],
        variance=(mean["second"] - mean["first"].square()).clamp_min(0) * correct,
        kl=mean["kl"],
        rate=mean["rate"],
        elbo=mean["elbo"],
        draws=draws,
        num_samples=num_samples,
    )


def _averages(chunks: Iterator[WeightedDraws], num_samples: int, keep: int) -> tuple[dict[str, Tensor], Tensor]:
    """Averages over the draws of some data, moments about the first draw, and the first `keep` draws `[K, B, N]`."""
    sums: dict[str, Tensor] = {}
    first_draws: list[Tensor] = []
    for drawn in chunks:
        z, (own_q, own_p) = side_by_side(drawn.z).double().cpu(), by_latent(drawn.target, drawn.z)
        prior, likelihood = drawn.log_joint
        # Var = E[(z − c)²] − (E[z] − c)² about any c loses no digits if c is near: the first draw is.
        centre = first_draws[0][:1] if first_draws else z[:1]
        rate = (drawn.log_q - prior).double().cpu()
        added = {
            "first": (z - centre).sum(0),
            "second": (z - centre).square().sum(0),
            "kl": (own_q - own_p).sum(0),
            "rate": rate.sum(0),
            "elbo": (likelihood.double().cpu() - rate).sum(0),
        }
        sums = {name: sums.get(name, 0) + value for name, value in added.items()}
        if drawn.start < keep:
            first_draws.append(z[: keep - drawn.start])
    return {name: value / num_samples for name, value in sums.items()}, torch.cat(first_draws)
