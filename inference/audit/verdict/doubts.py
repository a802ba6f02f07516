"""Is this what was trained? What speaks against the wiring of programs, weights and data, before any advice."""

from collections.abc import Mapping

from elbowroom.inference.audit.numbers import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.verdict.wording import nats, whole
from elbowroom.inference.diagnostics.latent_use.whereabouts import is_strange, strangest

WORTH_A_DOUBT = 0.5
"""Nats per datum by which a model must be below one without latents."""


def tell_suspicions(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Why all other sentences may be about programs that nobody meant."""
    return [Finding("verdict", "warning", f"Look at this first: {why}.", ()) for why in parts.suspicions]


def tell_doubts(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """A model worse than none, codes where the prior is not, or that say nothing."""
    return _worse_than_none(parts, numbers) + _elsewhere(parts, numbers) + _collapsed(parts, numbers)


def is_collapsed(parts: Parts) -> bool:
    """Whether no latent of the model is used, though there are some."""
    use = parts.latent_use
    return use is not None and not bool(use.active.any()) and bool(len(use.latents))


def _collapsed(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    if not is_collapsed(parts):
        return []
    sentence = (
        "The model has collapsed: z says nothing about x "
        f"({whole(numbers['active_latents'])} of {whole(numbers['num_latents'])} latents are active)."
    )
    return [Finding("verdict", "warning", sentence, ("active_latents", "num_latents"))]


def _worse_than_none(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    if parts.baseline is None or not numbers["above_baseline"].high < -WORTH_A_DOUBT:
        return []
    below = numbers["above_baseline"]
    by = Number(-below.value, -below.high, -below.low, below.unit, below.about)
    sentence = (
        f"As far as it is known, log p(x) is {nats(by)} nats per datum below that of {parts.baseline.about} "
        f"({nats(numbers['baseline'])}): are these the trained weights, the right output of the networks, the data "
        "they were trained on?"
    )
    return [Finding("verdict", "bad", sentence, ("above_baseline", "baseline"))]


def _elsewhere(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Codes of all data that lie where the prior does not, in most of the latents that carry anything."""
    use = parts.latent_use
    if use is None or "codes_at" not in numbers:
        return []
    strange = is_strange(use)[use.active]
    if not int(strange.sum()) > len(strange) / 2:
        return []
    sentence = (
        f"The codes of all data lie at {numbers['codes_at'].value:.2g} ± {numbers['codes_spread'].value:.2g} prior "
        f"standard deviations in {use.latents[strangest(use)]}, and not about 0 ± 1 in most latents: was the model "
        "trained with another prior (from_decoder(prior=…)), or its KL term weighed?"
    )
    return [Finding("verdict", "bad", sentence, ("codes_at", "codes_spread"))]
