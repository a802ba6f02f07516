"""What to do next, in order of the nats that it may gain."""

from collections.abc import Mapping

from elbowroom.inference.audit.numbers import rung_key
from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.verdict.doubts import is_too_narrow
from elbowroom.inference.audit.verdict.wording import nats

LEAST = 0.05
"""Nats per datum below which a step is not worth its while."""

_STEPS = {
    "gain_full_covariance": "give the guide a full covariance",
    "gain_mixture": "give the guide a mixture or a flow",
    "beyond": "try a family richer than mixtures of Gaussians, or train with an importance-weighted bound",
}
"""Steps to a larger family: each holds the one before, so they are taken in this order."""

_ENCODER = "train the encoder further or make it wider, or refine q for each datum (decompose(...).refined)"
_MODES = "make q find the modes that it misses: other starts, a loss that covers mass, a mixture"
_RETRAIN = "retrain q on the ELBO itself (retrain_guide), whose spread is too small in nearly every latent"
_PLACES = ("First,", "Then")


def next_steps(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Steps by expected gain; a family's gain is what it adds to the best member of the family before it."""
    examination = parts.examination
    if "amortization" not in numbers or examination is None:
        return []
    rungs, family = list(examination.decomposition.ladder), examination.decomposition.family
    larger = {rung_key(name) for name in rungs[rungs.index(family) + 1 :]}
    steps = [(key, text) for key, text in _STEPS.items() if key in larger | {"beyond"} and numbers[key].value > LEAST]
    gain = numbers["amortization"].value
    if gain > LEAST:
        first = sum(numbers[key].value > gain for key, _ in steps)
        steps.insert(first, ("amortization", _of_encoder(numbers)))
    if not steps:
        sentence = f"No single step is expected to raise the ELBO by {LEAST:g} nats."
        return [Finding("next", "good", sentence, tuple(k for k in ("amortization", *_STEPS) if k in numbers))]
    return [
        Finding("next", "note", f"{_PLACES[min(i, 1)]} {text}: up to {nats(numbers[key])} nats.", (key,))
        for i, (key, text) in enumerate(steps)
    ]


def _of_encoder(numbers: Mapping[str, Number]) -> str:
    """What to do about the encoder's room."""
    if is_too_narrow(numbers):
        return _RETRAIN
    if numbers["missed_modes"].value:
        return _MODES
    return _ENCODER
