"""What training printed against what these programs have: the same number, the same by a usual factor, or another.

−ELBO = −E_q[log p(x|z)] + KL,    and what is often printed in its place: averages over the values of a datum or over
latents, bits, squared errors without the constants of a Normal
"""

import math
from dataclasses import dataclass

import torch

from elbowroom.inference.diagnostics.latent_use.observation import observation_sigma
from elbowroom.inference.diagnostics.latent_use.summary import summarise
from elbowroom.inference.target import Target

NUM_SAMPLES = 100
"""Draws of q for each datum."""

_SHARE = 0.03  # of a loss, that two of the same programs may differ by: other data of the same kind
_SPREADS = 3.0  # standard errors of a mean over the data at hand


@dataclass(frozen=True)
class OwnLoss:
    """A loss that was printed, beside minus the ELBO that was found, nats per datum.

    Attributes:
        told: what training printed.
        found: minus the ELBO, mean over data.
        stderr: of that as a mean of data drawn anew.
        reading: what the printed number is of these programs, in words; empty if it is no usual one.
        is_elbo: whether it is minus the ELBO itself.
    """

    told: float
    found: float
    stderr: float
    reading: str
    is_elbo: bool


def read_own_loss(
    target: Target, told: float, *, num_values: int, seed: int = 0, memory_bytes: int | None = None
) -> OwnLoss:
    """Compare a loss that training printed with the terms of these programs.

    Args:
        target: programs and data, best those that the loss is of.
        told: the loss, as it was printed: per datum, or per value of one.
        num_values: P, the number of observed values of a datum.
        seed: of the draws of q.
        memory_bytes: byte budget of an evaluation.

    Raises:
        ValueError: if the loss is no finite number.
    """
    if not math.isfinite(told):
        raise ValueError(f"own_loss: got {told}, expected the number that training printed, such as 19.4")
    summary = summarise(target, NUM_SAMPLES, seed, memory_bytes)
    kl, loss = float(summary.rate.mean()), -summary.elbo
    found, stderr = float(loss.mean()), float(loss.std() / len(loss) ** 0.5) if len(loss) > 1 else 0.0
    sigma, _ = observation_sigma(target, NUM_SAMPLES, seed, memory_bytes)
    num_latents = sum(torch.Size(shape).numel() for shape in target.latents.values())
    readings = _readings(found - kl, kl, num_values, num_latents, sigma.get("value"))
    text = min(readings, key=lambda name: abs(readings[name] - told))
    nearest = readings[text]
    if abs(nearest - told) <= max(_SHARE * abs(told), _SPREADS * stderr * abs(nearest / found)):
        return OwnLoss(told, found, stderr, text, text == _ELBO)
    return OwnLoss(told, found, stderr, "", False)


_ELBO = "minus the ELBO"


def _readings(rest: float, kl: float, values: int, latents: int, sigma: float | None) -> dict[str, float]:
    """What is printed -> its value; `rest` is −E_q[log p(x|z)]."""
    readings = {
        _ELBO: rest + kl,
        f"minus the ELBO, averaged over the {values} values of a datum": (rest + kl) / values,
        "minus the ELBO in bits for each value": (rest + kl) / values / math.log(2),
        f"the reconstruction averaged over {values} values, and the KL term of a datum": rest / values + kl,
        f"the reconstruction of a datum, and the KL term averaged over {latents} latents": rest + kl / latents,
        "averages of the reconstruction over values and of the KL term over latents": rest / values + kl / latents,
        "the reconstruction alone, without the KL term": rest,
        f"the reconstruction alone, averaged over {values} values": rest / values,
    }
    if sigma is None:
        return readings
    squares = 2 * sigma**2 * (rest - values * math.log(sigma * math.sqrt(2 * math.pi)))
    return readings | {
        f"minus the ELBO without the constants of a Normal, {values} log σ√2π": squares / (2 * sigma**2) + kl,
        "the sum of squared errors and the KL term, which is σ = 0.71": squares + kl,
        "half the sum of squared errors and the KL term, which is σ = 1": squares / 2 + kl,
        f"the mean squared error and the KL term of a datum, which is σ = {math.sqrt(values / 2):.2g}": squares / values
        + kl,
        "the mean squared error, and the KL term averaged over latents": squares / values + kl / latents,
        "the mean squared error alone": squares / values,
    }
