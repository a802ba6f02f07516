"""The verdict: sentences in plain language, each resting on numbers with intervals."""

from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.verdict.data import tell_contradicted, tell_exploded, tell_missed_modes, tell_worst
from elbowroom.inference.audit.verdict.doubts import tell_doubts, tell_suspicions
from elbowroom.inference.audit.verdict.from_below import tell_from_below
from elbowroom.inference.audit.verdict.guide import tell_calibration, tell_latents
from elbowroom.inference.audit.verdict.next_steps import next_steps
from elbowroom.inference.audit.verdict.use import LARGE, NEGLIGIBLE, tell_in_short, tell_uses
from elbowroom.inference.audit.verdict.wording import nats, percent, plural
from elbowroom.inference.audit.verdict.worth import tell_worth
from elbowroom.inference.showing.numbers import in_short

Numbers = Mapping[str, Number]


def findings_of(parts: Parts, numbers: Numbers, skipped: Mapping[str, str]) -> tuple[Finding, ...]:
    """All sentences, in the order in which a person asks."""
    findings = [finding for tell in _ORDER for finding in tell(parts, numbers)]
    findings += [Finding("caution", "note", f"Not examined: {part} ({why}).", ()) for part, why in skipped.items()]
    return tuple(findings)


def _room(parts: Parts, numbers: Numbers) -> list[Finding]:
    if "gap" not in numbers:
        return []
    gap = numbers["gap"]
    tone: Tone = "good" if gap.high < NEGLIGIBLE else "warning" if gap.low > LARGE else "note"
    sentence = (
        f"There are {nats(gap)} nats of room per datum between the ELBO, {nats(numbers['elbo'])}, and log p(x), "
        f"{nats(numbers['log_p'])}."
    )
    keys = ["elbo", "log_p", "gap"]
    if max(gap.high, numbers["gap_largest"].value) >= NEGLIGIBLE:
        keys += ["gap_median", "gap_largest"]
        half, largest = nats(numbers["gap_median"]), nats(numbers["gap_largest"])
        sentence += f" For half of the data it is below {half}; the largest found is {largest}."
    if "gap_with_exploded" in numbers:
        keys.append("gap_with_exploded")
        sentence += f" With exploded data left in, the mean room would be {nats(numbers['gap_with_exploded'])} nats."
    return [Finding("room", tone, sentence, tuple(keys))]


def _density(parts: Parts, numbers: Numbers) -> list[Finding]:
    """That a density may be above one."""
    if "above_one" not in numbers:
        return []
    sentence = (
        f"log p(x) is above zero for {plural(int(numbers['above_one'].value), 'datum', 'data')}, which is no error: "
        "p(x) is a density, and goes with the scale of the data. Of x/c, log p is higher by log c for each value of a "
        "datum, so only models of data in the same units can be compared by it; the room is the same in any."
    )
    return [Finding("room", "note", sentence, ("above_one",))]


def _source(parts: Parts, numbers: Numbers) -> list[Finding]:
    if "amortization" not in numbers or parts.examination is None or numbers["gap"].value < NEGLIGIBLE / 2:
        return []
    family = parts.examination.decomposition.family
    encoder, family_s = numbers["amortization"], numbers["approximation"]
    apart = encoder.low > family_s.high or family_s.low > encoder.high
    whose = "the encoder's" if encoder.value >= family_s.value else "the family's"
    sentence = (
        f"{f'Most of it is {whose}' if apart else 'Encoder and family share it'}. The best {family} q of each datum "
        f"would gain {nats(encoder)} nats over the encoder's (amortization); {nats(family_s)} are out of reach of "
        f"every {family} q found (approximation); and the search for the best may have left "
        f"{nats(numbers['optimisation'])}."
    )
    return [Finding("source", "note", sentence, ("amortization", "approximation", "optimisation"))]


def _caution(parts: Parts, numbers: Numbers) -> list[Finding]:
    findings = [Finding("caution", "warning", f"What rests on log q is in doubt: {why}.", ()) for why in parts.cautions]
    findings += [Finding("caution", "warning", f"Of the programs: {note}.", ()) for note in parts.notes]
    if numbers["settled"].value < 1:
        share = f"{percent(numbers['settled'])} of the data only" if numbers["settled"].value else "none of the data"
        sentence = f"log p(x) is settled from both sides for {share}."
        findings.append(Finding("caution", "note", sentence, ("settled",)))
    if "unconverged" in numbers and numbers["unconverged"].value > 0:
        sentence = (
            f"Chains did not pass their gates for {percent(numbers['unconverged'])} of the examined data; what is said "
            "of q's uses leaves them out."
        )
        findings.append(Finding("caution", "note", sentence, ("unconverged",)))
    examination = parts.examination
    if examination is not None and bool(examination.agreement.missed_mass.isnan().all()):
        sentence = "Whether q misses modes could not be checked: its density at a given point is unknown."
        findings.append(Finding("caution", "note", sentence, ("missed_mass",)))
    if examination is not None and len(examination.data) < parts.num_data:
        sentence = (
            f"Where the room comes from was examined for {len(examination.data)} of {parts.num_data} data in the time "
            "given; means of its parts are over those of them that are a random sample."
        )
        findings.append(Finding("caution", "note", sentence, ("examined",)))
    return findings


def _unnormalised(parts: Parts, numbers: Numbers) -> list[Finding]:
    """What the numbers of all other sentences are of, where it is no log-likelihood."""
    texts = parts.sampled.unnormalised
    rows = tuple(b for b, text in enumerate(texts) if text)
    return [Finding("verdict", "warning", f"{text}.", (), rows) for text in in_short(texts)]


_ORDER = (
    _unnormalised,
    tell_suspicions,
    tell_doubts,
    tell_in_short,
    tell_from_below,
    _room,
    _density,
    tell_worth,
    _source,
    tell_missed_modes,
    tell_contradicted,
    tell_exploded,
    next_steps,
    tell_worst,
    tell_uses,
    tell_calibration,
    tell_latents,
    _caution,
)
