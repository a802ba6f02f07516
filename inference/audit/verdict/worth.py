"""What z is worth: log p(x) beside that of the simplest model without latents, and what q says about x."""

from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.verdict.doubts import is_worse_than_none
from elbowroom.inference.audit.verdict.wording import nats

Numbers = Mapping[str, Number]

HUSHED = 0.1
"""Nats that q carries about x below which there is next to nothing to trust it for."""


def tell_worth(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Whether a value of log p(x) is a good one, as far as a model without latents tells; doubts say it if it is not.

    The finding's sentence is a line of the brief, too.
    """
    if parts.baseline is None or "above_baseline" not in numbers or is_worse_than_none(numbers):
        return []
    above, keys = numbers["above_baseline"], ("above_baseline", "baseline")
    sentence = (
        f"log p(x) is {nats(above)} nats per datum above the {nats(numbers['baseline'])} of {parts.baseline.about}."
        if above.low > 0
        else f"log p(x) is not told apart from the {nats(numbers['baseline'])} of {parts.baseline.about}: "
        f"{nats(above)} nats per datum above it."
    )
    return [Finding("worth", "note", sentence, keys)]


def is_hushed(numbers: Numbers) -> bool:
    """Whether q says next to nothing about x."""
    return "mutual_information" in numbers and numbers["mutual_information"].high < HUSHED
