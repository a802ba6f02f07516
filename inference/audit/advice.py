"""What to do next, in order of the nats that it may gain."""

from collections.abc import Mapping

from elbowroom.inference.audit.numbers import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.wording import nats

LEAST = 0.05
"""Nats per datum below which a step is not worth its while."""

_STEPS = {
    "amortization": "train the encoder further or make it wider, or refine q for each datum (decompose(...).refined)",
    "gain_full_covariance": "give the guide a full covariance",
    "gain_mixture": "give the guide a mixture or a flow",
    "beyond": "try a family richer than mixtures of Gaussians, or train with an importance-weighted bound",
}

_PLACES = ("To gain the most,", "Then")


def next_steps(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Steps by expected gain; a family's gain is what it adds to the best member of the family before it."""
    assert parts.examination is not None
    rungs = list(parts.examination.decomposition.ladder)
    own = parts.examination.decomposition.family
    larger = {f"gain_{name.replace(' ', '_').replace('-', '_')}" for name in rungs[rungs.index(own) + 1 :]}
    open_to = {"amortization", "beyond"} | larger
    steps = [(key, numbers[key]) for key in _STEPS if key in open_to and key in numbers and numbers[key].value > LEAST]
    if not steps:
        sentence = f"Nothing to gain from a better q: no step would bring {LEAST:g} nats."
        return [Finding("next", "good", sentence, tuple(k for k in ("amortization", "approximation") if k in numbers))]
    steps.sort(key=lambda step: -step[1].value)
    return [
        Finding("next", "note", f"{_PLACES[min(i, 1)]} {_STEPS[key]}: up to {nats(number)} nats.", (key,))
        for i, (key, number) in enumerate(steps)
    ]
