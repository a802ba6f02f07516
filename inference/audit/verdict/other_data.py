"""Data that the networks would fit far better if they were turned over, scaled, or of another order."""

from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.verdict.wording import nats, percent


def tell_changed_data(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Whoever reads the data better when they are changed was trained on others."""
    found = parts.better_read
    if found is None:
        return []
    if "better_read" in numbers:
        by = nats(numbers["better_read"])
        sentence = (_WITH if found.change else _BLIND)[found.reader].format(by=by, change=found.change)
        return [Finding("verdict", "bad", sentence, ("better_read",))]
    if "left_changed" not in numbers:
        return []
    left, then = percent(numbers["left"]), percent(numbers["left_changed"])
    sentence = (
        f"Reconstructions leave {left} of the variance of the data, and {then} where {found.reader} see them "
        f"{found.change}: were data scaled so in training?"
    )
    return [Finding("verdict", "bad", sentence, ("left", "left_changed"))]


def explains_all(parts: Parts) -> bool:
    """Whether a change of the data makes a model of these programs that is better than none."""
    found, baseline = parts.better_read, parts.baseline
    if found is None or not found.change:
        return False
    return found.elbo is None or baseline is None or float(found.elbo.mean()) > float(baseline.value.mean())


_WITH = {
    "the networks": "The networks fit the data better by {by} nats per datum if they are read {change}: are these as "
    "they were in training?",
    "the encoder": "The ELBO is higher by {by} nats per datum if the encoder, and it alone, reads the data {change}: "
    "does it see them as it did in training?",
    "the decoder": "The ELBO is higher by {by} nats per datum if what the decoder explains, and this alone, is read "
    "{change}: do encoder and decoder have one order of the values?",
}
_BLIND = {
    "the encoder": "The ELBO is higher by {by} nats per datum if the encoder sees nothing but the mean of all data: "
    "was it trained with this decoder, on such data, and with the KL term as it is?",
}
