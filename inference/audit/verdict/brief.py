"""The verdict at a glance: one sentence, three numbers, whose the room is, what next; made of numbers and findings."""

from collections.abc import Mapping, Sequence

from elbowroom.inference.audit.result import Brief, Finding, Headline, Number, Tone
from elbowroom.inference.audit.verdict.from_below import faults_from_below
from elbowroom.inference.audit.verdict.use import (
    IN_SHORT,
    LARGE,
    NEGLIGIBLE,
    failing,
    faults_of,
    tone_of,
    use_keys,
)
from elbowroom.inference.audit.verdict.wording import listed, nats, value_and_interval
from elbowroom.inference.audit.verdict.worth import is_hushed

Numbers = Mapping[str, Number]

_HEADLINES = (
    (("elbo", "ELBO"), ("log_p", "log p(x)"), ("gap", "room")),
    (("elbo", "ELBO"), ("log_p_from_below", "log p(x)"), ("gap_from_below", "room")),
    (("elbo", "ELBO"), ("log_p_at_least", "log p(x)"), ("gap_at_least", "room")),
)
"""The three numbers; where log p(x) is known from below only, those that are known."""

_MOST_WORDS, _LEAST_LETTERS = 30, 40  # of a doubt that is shown at a glance; where it may be cut
_MOST_FAULTS = 2  # that are named; the others are counted

_LOOK_LONGER = "Give the audit a larger budget, or fewer data."
_SETTLE = "Settle this first: until then what follows may be about programs or data that nobody meant."
_NOT_ASKED = "Whose the room is was not examined."
_USE_Z = "Train the model anew so that z is used (check the weight of the KL term, warm it up); q cannot mend this."
_TAILS = "Let q have wider tails, or draw more: log p(x) rises with it if what was found is too low."


def brief_of(findings: Sequence[Finding], numbers: Numbers) -> Brief:
    """What a person should know who reads nothing else."""
    doubts = _doubts(findings)
    collapsed = [doubt for doubt in doubts if _is_collapse(doubt)]
    others = [doubt for doubt in doubts if not _is_collapse(doubt)]
    sentence, tone = _trust(numbers)
    whose, step = _whose(numbers), _next(findings, numbers)
    if others:
        sentence, tone = _shortened(others[0].sentence), others[0].tone
        if len(doubts) > 1:
            sentence += f" {len(doubts) - 1} more {'doubt' if len(doubts) == 2 else 'doubts'} below."
        whose = f"As it stands: {whose[0].lower()}{whose[1:]}" if whose not in ("", _NOT_ASKED) else whose
        step = _SETTLE
    elif collapsed:
        if tone == "good":
            sentence = "q is the posterior, but the model has collapsed: z says nothing about x."
        else:
            sentence = f"The model has collapsed: z says nothing about x. {sentence}"
        tone, step = _worse(tone), _USE_Z
    worth = next((finding.sentence for finding in findings if finding.topic == "worth"), "")
    return Brief(sentence, tone, _headlines(numbers), whose, step, worth)


def _doubts(findings: Sequence[Finding]) -> list[Finding]:
    """What should be settled before the verdict is read."""
    return [
        finding
        for finding in findings
        if finding.topic == "verdict"
        and finding.tone in ("warning", "bad")
        and not finding.sentence.startswith(IN_SHORT)
    ]


def _is_collapse(doubt: Finding) -> bool:
    return "active_latents" in doubt.numbers


def _worse(tone: Tone) -> Tone:
    """At least a warning."""
    return "bad" if tone == "bad" else "warning"


def _trust(numbers: Numbers) -> tuple[str, Tone]:
    """May q be trusted, and for what?"""
    if "gap_from_below" in numbers:
        return _trust_from_below(numbers)
    if "gap" not in numbers:
        if "exploded" in numbers and numbers["exploded"].value:
            return "Do not trust q: the encoder fails for every datum of the sample that was examined.", "bad"
        few = "too few data were examined to speak for all" if "examined" in numbers else "too little was examined"
        return f"Whether q can be trusted is not known: {few}.", "note"
    if "examined" not in numbers and numbers["gap"].value <= LARGE:
        return "What q may be used for was not examined.", "note"
    faults = faults_of(numbers)
    good = [_use(key) for key in use_keys(numbers) if key not in failing(numbers)]
    if faults:
        tone = tone_of(faults)
        start = "Do not trust q as it is" if tone == "bad" else "Use q with care"
        still = f" It is good enough for {listed(good)}." if good else ""
        return f"{start}: {_named(faults, numbers)}.{still}", tone
    if not numbers["gap"].high < LARGE:
        return "No check that was run fails, but the room is known too poorly to trust q.", "warning"
    if is_hushed(numbers):
        about = f"{nats(numbers['mutual_information'])} nats"
        return f"q is close to the posterior, and both say next to nothing about x: {about}.", "warning"
    return f"q can be trusted{f' for {listed(good)}' if good else ''}: no check that was run fails.", "good"


def _trust_from_below(numbers: Numbers) -> tuple[str, Tone]:
    faults = faults_from_below(numbers)
    start = "Whether q can be trusted is not known: log p(x) is known from below only"
    return f"{start}{f', and {_named(faults, numbers)}' if faults else ''}.", "warning"


def _named(faults: list[tuple[str, str]], numbers: Numbers) -> str:
    """The worst faults in short; the size of the room is a number of its own."""
    words = [_fault(key, text, numbers) for key, text in faults]
    more = len(words) - _MOST_FAULTS
    return "; ".join([*words[:_MOST_FAULTS], *([f"and {more} more {'fault' if more == 1 else 'faults'}"] * (more > 0))])


def _fault(key: str, text: str, numbers: Numbers) -> str:
    if key.startswith("gap"):
        return "the room is large"
    if key.startswith("use_"):
        return f"it is not good enough for {listed([_use(use) for use in failing(numbers)])}"
    return text


def _use(key: str) -> str:
    """A use in a word or two; the findings have it in full."""
    return key.removeprefix("use_").replace("_", " ")


def _headlines(numbers: Numbers) -> tuple[Headline, ...]:
    for chosen in _HEADLINES:
        if all(key in numbers for key, _ in chosen):
            return tuple(
                Headline(key, label, *value_and_interval(numbers[key]), numbers[key].kind) for key, label in chosen
            )
    return ()


def _whose(numbers: Numbers) -> str:
    """Whether the room is the encoder's, the family's, or still to be found."""
    if "amortization" not in numbers:
        return _NOT_ASKED if any(chosen[2][0] in numbers for chosen in _HEADLINES) else ""
    if numbers["gap"].value < NEGLIGIBLE / 2:
        return "There is too little room to ask whose it is."
    encoder, family, left = (numbers[key] for key in ("amortization", "approximation", "optimisation"))
    if left.value > max(encoder.value, family.value):
        return f"Most of the room is not told apart: the fit of q to each datum may have left {_told(left)}."
    if encoder.low > family.high:
        return f"Most of the room is the encoder's: q fitted to each datum by itself would gain {_told(encoder)}."
    if family.low > encoder.high:
        return f"Most of the room is the family's: its best q for each datum still leaves {_told(family)}."
    sample = f": {encoder.kind}" if _is_of_sample(encoder) else ""
    return f"Encoder and family share the room: {_told(encoder, of=False)} and {_told(family, of=False)}{sample}."


def _told(number: Number, of: bool = True) -> str:
    """`0.31 nats (0.28 to 0.34)`; `of`: with what the interval is of where other data would move it."""
    value, interval = value_and_interval(number)
    sample = number.kind if of and _is_of_sample(number) else ""
    brackets = ", ".join(words for words in (interval, sample) if words)
    return f"{value} nats" + (f" ({brackets})" if brackets else "")


def _is_of_sample(number: Number) -> bool:
    """Whether other data would move the number."""
    return " sample " in number.kind


def _next(findings: Sequence[Finding], numbers: Numbers) -> str:
    steps = [finding.sentence for finding in findings if finding.topic == "next"]
    if steps:
        return steps[0]
    if "gap_from_below" in numbers:
        return _TAILS if faults_from_below(numbers) else ""
    return "" if "amortization" in numbers else _LOOK_LONGER


def _shortened(sentence: str) -> str:
    """A long doubt up to the end of a clause; all of it stands among the findings."""
    words = sentence.split()
    if len(words) <= _MOST_WORDS:
        return sentence
    kept = " ".join(words[:_MOST_WORDS])
    end = max(kept.rfind(mark) for mark in (": ", "; ", ". ", ", ", " ("))
    return f"{kept[:end]} …" if end >= _LEAST_LETTERS else f"{kept} …"
