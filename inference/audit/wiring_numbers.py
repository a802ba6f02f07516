"""Numbers that tell whether programs, weights and data belong together, each with its 95 % interval.

Doubts are about the data that there might be, not about those at hand: where it matters, their spread counts.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.audit.intervals import exactly, mean, median, normal
from elbowroom.inference.audit.parts import Parts, population_of, representative
from elbowroom.inference.audit.result import Number
from elbowroom.inference.diagnostics.latent_use.whereabouts import strangest
from elbowroom.inference.estimate import Estimate


def _of_baseline(parts: Parts) -> dict[str, Number]:
    """log p(x) of a model without latents, and the best that is known of this one's above it."""
    if parts.baseline is None or any(parts.sampled.unnormalised):
        return {}
    baseline, rows = parts.baseline, list(parts.usable)
    sides = [parts.sampled, parts.bracket.lower]
    values = torch.stack([side.value[rows].double().cpu().nan_to_num(-torch.inf) for side in sides])
    best, which = values.max(0)
    errors = torch.stack([side.stderr[rows].double().cpu() for side in sides]).gather(0, which.unsqueeze(0))[0]
    above, n = best - baseline.value, len(rows)
    error = math.hypot(float(above.std()) / n**0.5, float(errors.square().sum()) ** 0.5 / n)
    about = f"log p(x) of {baseline.about}, each datum told by the others, mean of data drawn anew"
    return {
        "baseline": normal(float(baseline.value.mean()), float(baseline.value.std()) / n**0.5, "nats", about),
        "above_baseline": normal(
            float(above.mean()),
            error,
            "nats",
            "the best that is known of log p(x) from below, less the baseline's, mean of data drawn anew",
        ),
    }


def _of_own_loss(parts: Parts) -> dict[str, Number]:
    own = parts.own_loss
    if own is None:
        return {}
    return {
        "own_loss": exactly(own.told, "nats", "the loss that training printed, as it was told"),
        "loss_found": normal(own.found, own.stderr, "nats", "minus the ELBO of these programs, of data drawn anew"),
    }


def _of_shape(parts: Parts) -> dict[str, Number]:
    """How wide q is beside the posterior, on average and where it is widest, and how far its means are off."""
    examination = parts.examination
    if examination is None:
        return {}
    agreement, chosen = examination.agreement, representative(parts)
    index = chosen[torch.tensor([not agreement.flags[i] for i in chosen.tolist()], dtype=torch.bool)]
    if not len(index):
        return {}
    population, num_latents = population_of(parts, index), len(agreement.latents)
    ratio, ratio_error = agreement.log_sd_ratio, agreement.log_sd_ratio_stderr
    of_datum = Estimate(ratio.mean(-1), ratio_error.square().sum(-1).sqrt() / num_latents, "none")
    log = mean(of_datum, index, population, "sd of q by the posterior's, geometric mean over latents and data", "")
    narrowest, widest = (float(ratio[index].quantile(share).exp()) for share in (0.05, 0.95))
    error = agreement.mean_error
    off = error.square().mean(-1).sqrt()
    off_error = (error * agreement.mean_error_stderr).square().sum(-1).sqrt() / (num_latents * off).clamp_min(1e-12)
    about = "distance of q's mean from the posterior's, in its sds, root mean square over latents, median over data"
    return {
        "spread_of_q": Number(math.exp(log.value), math.exp(log.low), math.exp(log.high), "", log.about),
        "spread_of_q_widest": exactly(widest, "", "the same, below which 95 % of the examined latents and data are"),
        "spread_of_q_narrowest": exactly(narrowest, "", "the same, above which 95 % of them are"),
        "means_off": replace(median(Estimate(off, off_error, "none"), index, population, about), unit="sd"),
        "means_off_least": exactly(float(off[index].quantile(0.05)), "sd", "the same, above which 95 % of data are"),
    }


def _of_codes(parts: Parts) -> dict[str, Number]:
    """Where the codes of all data lie, in the latent in which they are farthest from the prior."""
    use = parts.latent_use
    if use is None or not bool(use.active.any()):
        return {}
    at = strangest(use)
    middle, spread, n = float(use.aggregate_mean[at]), float(use.aggregate_sd[at]), max(2, len(parts.usable))
    about = f"codes of all data in {use.latents[at]}, the latent where they are farthest from the prior, in prior sds"
    return {
        "codes_at": normal(middle, spread / n**0.5, "sd", f"middle of the {about}"),
        "codes_spread": normal(spread, spread / (2 * n) ** 0.5, "sd", f"standard deviation of the {about}"),
    }


def _of_silence(parts: Parts) -> dict[str, Number]:
    """What q says about x, by a few draws; where the use of the latents was examined that takes their place."""
    found = parts.silence
    if found is None:
        return {}
    about = "I(x; z) under q, by a few draws and data"
    numbers = {"mutual_information": _of_new_data(found.information, "nats", about)}
    if math.isfinite(found.felt):
        numbers["sensitivity"] = exactly(found.felt, "nats", "change of log p(x|z) per prior sd of a latent, largest")
    return numbers


def _of_changed_data(parts: Parts) -> dict[str, Number]:
    """What a change of the data gains, or what reconstructions leave of them as they are and changed."""
    found = parts.better_read
    if found is None:
        return {}
    what = f"data read {found.change}" if found.change else "nothing but the mean of all data"
    if found.gain is not None:
        about = f"the ELBO where {found.reader} would see {what}, less the ELBO, mean of data drawn anew"
        return {"better_read": _of_new_data(found.gain, "nats", about)}
    assert found.left is not None and found.left_then is not None
    about = "share of the variance of x over data that reconstructions leave"
    return {
        "left": _of_new_data(found.left, "share", about),
        "left_changed": _of_new_data(found.left_then, "share", f"{about} where {found.reader} would see {what}"),
    }


def _of_respread(parts: Parts) -> dict[str, Number]:
    found = parts.respread
    if found is None:
        return {}
    about = "the ELBO with that less the ELBO, mean of data drawn anew"
    return {
        "respread": exactly(found.factor, "", "the best of a few factors on the standard deviations of q"),
        "respread_gain": _of_new_data(found.gain, "nats", about),
    }


def _of_new_data(values: Tensor, unit: str, about: str) -> Number:
    return normal(float(values.mean()), float(values.std()) / len(values) ** 0.5, unit, about)


SUSPECT: tuple[Callable[[Parts], dict[str, Number]], ...] = (
    _of_baseline,
    _of_own_loss,
    _of_shape,
    _of_codes,
    _of_silence,
    _of_respread,
    _of_changed_data,
)
"""What gathers them."""
