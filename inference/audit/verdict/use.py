"""The verdict in short, and what q may be used for."""

from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.verdict.doubts import is_collapsed
from elbowroom.inference.audit.verdict.wording import listed, nats, percent, plural
from elbowroom.inference.audit.verdict.worth import is_hushed

Numbers = Mapping[str, Number]

NEGLIGIBLE, LARGE = 0.1, 1.0
"""Nats per datum: room below the one matters to nobody, above the other to everybody."""

IN_SHORT = "In short: "
"""How the sentence begins that answers whether q may be trusted."""

_MOST_UNCONVERGED = 0.5  # share of data without a sound reference from which on little is known
_MOST_FAILING = 0.05  # share of data that may fail a use before it is warned of


def tell_in_short(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Whether q may be trusted, in one sentence."""
    if "gap" not in numbers:
        if "exploded" not in numbers:
            return []
        if not numbers["exploded"].value:
            sentence = f"{IN_SHORT}too few data were examined to speak for all."
            return [Finding("verdict", "note", sentence, ("examined",))]
        sentence = (
            f"{IN_SHORT}do not trust q: the encoder fails for every datum of the random sample that was examined."
        )
        return [Finding("verdict", "bad", sentence, ("exploded", "examined"))]
    if parts.examination is None and numbers["gap"].value <= LARGE:
        sentence = f"{IN_SHORT}there are {nats(numbers['gap'])} nats of room; what q may be used for was not examined."
        return [Finding("verdict", "note", sentence, ("gap",))]
    faults = faults_of(numbers)
    if not faults and not numbers["gap"].high < LARGE:
        sentence = (
            f"{IN_SHORT}no check that was run fails, but the room is known too poorly: {nats(numbers['gap'])} nats."
        )
        return [Finding("verdict", "warning", sentence, ("gap",))]
    if not faults and is_hushed(numbers) and not is_collapsed(parts):
        sentence = (
            f"{IN_SHORT}q is close to the posterior, {nats(numbers['gap'])} nats of room, and both say next to nothing "
            f"about x: {nats(numbers['mutual_information'])} nats."
        )
        return [Finding("verdict", "warning", sentence, ("gap", "mutual_information"))]
    if not faults:
        collapsed = " of a model that has collapsed" * is_collapsed(parts)
        keys = [key for key in ("gap", "missed_modes", "calibration_rejected", *use_keys(numbers)) if key in numbers]
        room = nats(numbers["gap"])
        sentence = (
            f"{IN_SHORT}q can be trusted{collapsed}. There are {room} nats of room, and no check that was run fails."
        )
        return [Finding("verdict", "note" if collapsed else "good", sentence, tuple(keys))]
    tone = tone_of(faults)
    start = "do not trust q as it is" if tone == "bad" else "use q with care"
    sentence = f"{IN_SHORT}{start}: {'; '.join(fault for _, fault in faults)}."
    keys = [key for key, _ in faults if key in numbers] + failing(numbers)
    return [Finding("verdict", tone, sentence, tuple(dict.fromkeys(keys)))]


def tone_of(faults: list[tuple[str, str]]) -> Tone:
    """Bad where q misses mass or fails, so that nothing it says can be relied on; else a warning."""
    return "bad" if any(key in ("missed_modes", "contradicted", "exploded") for key, _ in faults) else "warning"


def faults_of(numbers: Numbers) -> list[tuple[str, str]]:
    """What is wrong, worst first: the number that says so, and words for it."""
    faults = []
    if numbers.get("missed_modes") and numbers["missed_modes"].value:
        faults.append(
            ("missed_modes", f"it misses modes ({plural(int(numbers['missed_modes'].value), 'datum', 'data')})")
        )
    if numbers.get("contradicted") and numbers["contradicted"].value:
        count = plural(int(numbers["contradicted"].value), "datum", "data")
        faults.append(("contradicted", f"its room is larger than what was found ({count})"))
    if numbers.get("exploded") and numbers["exploded"].value:
        faults.append(("exploded", f"the encoder fails ({plural(int(numbers['exploded'].value), 'datum', 'data')})"))
    if not numbers["gap"].value <= LARGE:
        faults.append(("gap", f"the ELBO is {nats(numbers['gap'])} nats below log p(x)"))
    if bad := failing(numbers):
        faults.append((bad[0], f"it is not good enough for {listed([_use(key) for key in bad])}"))
    if "unconverged" not in numbers or (not use_keys(numbers) and numbers["unconverged"].value < 1):
        pass  # no chains were run, or on too few data to speak for all
    elif not use_keys(numbers):
        faults.append(("unconverged", "no chains passed their gates, so nothing can be said of its uses"))
    elif numbers["unconverged"].value > _MOST_UNCONVERGED:
        faults.append(("unconverged", "most chains did not pass their gates, so little can be said of its uses"))
    if "calibration_rejected" in numbers and numbers["calibration_rejected"].value:
        faults.append(("calibration_rejected", "it is not calibrated"))
    return faults


def use_keys(numbers: Numbers) -> list[str]:
    """The uses of which anything is known."""
    return [key for key in numbers if key.startswith("use_")]


def failing(numbers: Numbers) -> list[str]:
    """Uses for which q is not good enough for nearly all data, beyond the noise of a sample."""
    return [key for key in use_keys(numbers) if numbers[key].high < 1 - _MOST_FAILING]


def tell_uses(parts: Parts, numbers: Numbers) -> list[Finding]:
    """What q may be used for, and what not, with the shares of data for which it is good enough."""
    bad = {key: numbers[key] for key in failing(numbers)}
    good = {key: numbers[key] for key in use_keys(numbers) if key not in bad}
    findings: list[Finding] = []
    if good:
        findings.append(Finding("use", "good", f"q may be used for {_with_shares(good)}.", tuple(good)))
    if bad:
        sentence = f"q should not be used as it is for {_with_shares(bad)}."
        findings.append(Finding("use", "warning", sentence, tuple(bad)))
    return findings


def _with_shares(uses: Numbers) -> str:
    """Uses by the share of data for which q is good enough for them; equal shares are given once."""
    groups: dict[str, list[str]] = {}
    for key, number in uses.items():
        groups.setdefault(percent(number), []).append(_use(key))
    return "; ".join(f"{listed(names)} (good enough for {share} of the data)" for share, names in groups.items())


def _use(key: str) -> str:
    return _USES.get(key, key.removeprefix("use_").replace("_", " "))


_USES = {
    "use_means": "posterior means",
    "use_intervals": "90 % intervals",
    "use_tails": "tail probabilities",
    "use_model_comparison": "model comparison by importance sampling",
}
