"""Latents that carry nothing, and why: what the programs show of it, and what they cannot show."""

import torch
from torch import Tensor

from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.target import Target

FELT = 0.5
"""Nats that log p(x|z) must change by, for a change of one prior sd, before the decoder is said to use a latent.

In a linear Gaussian model with slope s, the exact posterior's activity is s²/(1 + s²) and carries ½ log(1 + s²) nats: a
fifth, and a tenth of a nat. Below that a latent may be dead because there is nothing to be gained by its use.
"""

_COSTLY = 0.1  # nats of KL to the prior, of a latent that the decoder does not use, that are worth a sentence
_DRAWS = 8  # of each datum at which the likelihood's slope is taken


def sensitivity(target: Target, prior_sd: Tensor, seed: int) -> Tensor:
    """Root mean square of ∂ log p(x | z)/∂z_n at draws of q, in nats per prior sd, `[N]`.

    Zero for a latent that the decoder does not use. NaN where the likelihood has no slope (discrete latents, a density
    that cannot be differentiated).
    """
    unknown = torch.full_like(prior_sd, torch.nan)
    if target.no_gradient:
        return unknown
    sums, count = torch.zeros_like(prior_sd), 0
    data_at_once = max(1, min(len(target), 1 << 12)) if target.sliceable else len(target)
    for begin in range(0, len(target), data_at_once):
        end = min(begin + data_at_once, len(target))
        part = target if end - begin == len(target) else target.select(range(begin, end))
        z = {name: value.detach() for name, value in part.propose(_DRAWS, seed=seed)[0].items()}
        if not all(value.is_floating_point() for value in z.values()):
            return unknown
        with torch.enable_grad():
            z = {name: value.requires_grad_(True) for name, value in z.items()}
            likelihood = part.log_joint(z)[1]
            if not likelihood.requires_grad:  # z does not enter at all, or where it enters is hidden
                return torch.zeros_like(prior_sd) if bool((likelihood == likelihood[0]).all()) else unknown
            slopes = torch.autograd.grad(likelihood.sum(), list(z.values()), allow_unused=True)
        gradients = {
            name: torch.zeros_like(value) if slope is None else slope
            for (name, value), slope in zip(z.items(), slopes, strict=True)
        }
        squares = side_by_side(gradients).double().cpu().square()
        sums, count = sums + squares.sum((0, 1)), count + squares[..., 0].numel()
    return (sums / count).sqrt() * prior_sd


def diagnose(latents: tuple[str, ...], dead: Tensor, slope: Tensor, kl: Tensor, room: float | None) -> tuple[str, ...]:
    """Return sentences on the dead latents, by likely cause.

    Args:
        latents: names.
        dead: which of them are, `[N]` bool.
        slope: what `sensitivity` says, `[N]`.
        kl: KL to the prior, `[N]`, nats.
        room: mean log p(x) − ELBO if it is known, nats per datum.
    """
    if not bool(dead.any()):
        return ()
    used = dead & (slope >= FELT)
    fixed = dead & ~used & (kl > _COSTLY)
    ignored = dead & ~used & ~fixed
    sentences = []
    if bool(dead.all()):
        sentences.append(f"Posterior collapse: q(z|x) is the same for every x in all of the {len(latents)} latents.")
    if bool(ignored.any()):
        sentences.append(_ignored(latents, ignored, slope, bool(dead.all())))
    if bool(used.any()):
        sentences.append(_lagging(latents, used, slope, room))
    if bool(fixed.any()):
        sentences.append(
            f"{_names(latents, fixed)}: q is the same for every x and the decoder hardly uses it, but q is not the "
            f"prior, which costs {float(kl[fixed].sum()):.2g} nats of the ELBO per datum for nothing: training has not "
            "converged, or the KL was left out or weighed down there."
        )
    return tuple(sentences)


def _ignored(latents: tuple[str, ...], which: Tensor, slope: Tensor, everything: bool) -> str:
    steepest = slope[which].nan_to_num(0.0).max()
    sentence = (
        f"{_names(latents, which)}: q is the prior and the decoder hardly uses it (log p(x|z) changes by "
        f"{float(steepest):.2g} nats or less per prior sd), so the posterior is close to the prior, too."
    )
    if not everything:
        return sentence + " The model does with fewer latents than it has: usual and harmless, they can be removed."
    return sentence + (
        " The model, not the guide, has given z up: a decoder that explains x alone, a KL weight above one, or a "
        "warm-up too short in training. Which of them cannot be told from the trained programs, for scales of "
        "training are undone here."
    )


def _lagging(latents: tuple[str, ...], which: Tensor, slope: Tensor, room: float | None) -> str:
    sentence = (
        f"{_names(latents, which)}: the decoder uses it (log p(x|z) changes by {float(slope[which].min()):.2g} nats or "
        "more per prior sd), so the posterior differs from the prior, but q is the same for every x: the encoder has "
        "collapsed, not the model. Train the guide more (more of its steps for each of the model's, a larger learning "
        "rate, no KL weight above one), or make it wider."
    )
    return sentence if room is None else sentence + f" At most {room:.2g} nats per datum are to be gained by that."


def _names(latents: tuple[str, ...], which: Tensor) -> str:
    names = [latents[n] for n in which.nonzero().flatten().tolist()]
    return ", ".join(names) if len(names) <= 6 else f"{len(names)} latents ({', '.join(names[:5])}, …)"
