"""What can be said where log p(x) is known from below only: no chains, so no room and no uses."""

from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.verdict.use import IN_SHORT, LARGE
from elbowroom.inference.audit.verdict.wording import nats, percent

Numbers = Mapping[str, Number]


def tell_from_below(parts: Parts, numbers: Numbers) -> list[Finding]:
    """What is wrong as far as weights and simulations tell, and that they do not tell whether q misses modes."""
    if "gap_from_below" not in numbers:
        return []
    gap, faults = numbers["gap_from_below"], faults_from_below(numbers)
    signs = "; ".join(words for _, words in faults) or "no check that was run fails"
    short = (
        f"{IN_SHORT}{signs}; but log p(x) is known from below only, by importance sampling from q: whether q misses "
        f"modes, and what it may be used for, is not known ({parts.bracket.from_below})."
    )
    room = (
        f"There are {nats(gap)} nats of room per datum between the ELBO, {nats(numbers['elbo'])}, and log p(x), "
        f"{nats(numbers['log_p_from_below'])}."
    )
    keys = tuple(key for key, _ in faults)
    return [
        Finding("verdict", "warning", short, keys),
        Finding("room", "warning" if faults else "note", room, ("gap_from_below", "elbo", "log_p_from_below")),
    ]


def faults_from_below(numbers: Numbers) -> list[tuple[str, str]]:
    """What is wrong: the number that says so, and words for it."""
    faults = []
    gap, heavy = numbers["gap_from_below"], numbers["k_hat_too_high"]
    if gap.low > LARGE:
        faults.append(("gap_from_below", f"the ELBO is {nats(gap)} nats below log p(x)"))
    if heavy.value > 0:
        words = f"the importance weights of {percent(heavy)} of the data have too heavy a tail"
        faults.append(("k_hat_too_high", words))
    if "calibration_rejected" in numbers and numbers["calibration_rejected"].value:
        faults.append(("calibration_rejected", "q is not calibrated"))
    return faults
