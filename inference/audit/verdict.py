"""The verdict: sentences in plain language, each resting on numbers with intervals."""

from collections.abc import Mapping

from elbowroom.inference.agreement import Agreement
from elbowroom.inference.audit.advice import next_steps
from elbowroom.inference.audit.numbers import Parts, missed
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.wording import listed, nats, percent, plural, whole
from elbowroom.inference.latent_use import LatentUse
from elbowroom.inference.latent_use.collapse import FELT

Numbers = Mapping[str, Number]

NEGLIGIBLE, LARGE = 0.1, 1.0
"""Nats per datum: room below the one matters to nobody, above the other to everybody."""

_TOLD = 5  # worst data that are named
_MOST_FAILING = 0.05  # share of data that may fail a use before it is warned of


def findings_of(parts: Parts, numbers: Numbers, skipped: Mapping[str, str]) -> tuple[Finding, ...]:
    """All sentences, in the order in which a person asks."""
    told: list[Finding] = []
    for tell in (
        _in_short,
        _room,
        _source,
        _missed_modes,
        _exploded,
        _next,
        _worst,
        _uses,
        _calibration,
        _latents,
        _caution,
    ):
        told += tell(parts, numbers)
    told += [Finding("caution", "note", f"Not examined: {part} ({why}).", ()) for part, why in skipped.items()]
    return tuple(told)


def _in_short(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Whether q may be trusted, in one sentence."""
    if "gap" not in numbers:
        return []
    faults = _faults(parts, numbers)
    if not faults:
        keys = [key for key in ("gap", "missed_modes", "calibration_rejected", *_use_keys(numbers)) if key in numbers]
        sentence = f"In short: q can be trusted. There are {nats(numbers['gap'])} nats of room, and no check fails."
        return [Finding("verdict", "good", sentence, tuple(keys))]
    tone: Tone = "bad" if any(key in ("missed_modes", "exploded") for key, _ in faults) else "warning"
    start = "do not trust q as it is" if tone == "bad" else "use q with care"
    sentence = f"In short: {start}: {'; '.join(told for _, told in faults)}."
    keys = [key for key, _ in faults if key in numbers] + _failing(numbers)
    return [Finding("verdict", tone, sentence, tuple(dict.fromkeys(keys)))]


def _faults(parts: Parts, numbers: Numbers) -> list[tuple[str, str]]:
    """What is wrong, worst first: the number that says so, and words for it."""
    told = []
    if numbers.get("missed_modes") and numbers["missed_modes"].value:
        told.append(
            ("missed_modes", f"it misses modes ({plural(int(numbers['missed_modes'].value), 'datum', 'data')})")
        )
    if numbers.get("exploded") and numbers["exploded"].value:
        told.append(("exploded", f"the encoder fails ({plural(int(numbers['exploded'].value), 'datum', 'data')})"))
    if numbers["gap"].low > LARGE:
        told.append(("gap", f"the ELBO is {nats(numbers['gap'])} nats below log p(x)"))
    if failing := _failing(numbers):
        told.append((failing[0], f"it is not good enough for {listed([_use(key) for key in failing])}"))
    if not _use_keys(numbers):
        told.append(("unconverged", "no chains passed their gates, so nothing can be said of its uses"))
    if parts.calibration is not None and parts.calibration.rejected:
        told.append(("calibration_rejected", "it is not calibrated"))
    return told


def _use_keys(numbers: Numbers) -> list[str]:
    return [key for key in numbers if key.startswith("use_")]


def _failing(numbers: Numbers) -> list[str]:
    """Uses for which q is not good enough for nearly all data, beyond the noise of a sample."""
    return [
        key
        for key in _use_keys(numbers)
        if numbers[key].high < 1 - _MOST_FAILING or numbers[key].value < 1 - 2 * _MOST_FAILING
    ]


def _room(parts: Parts, numbers: Numbers) -> list[Finding]:
    if "gap" not in numbers:
        return []
    gap = numbers["gap"]
    tone: Tone = "good" if gap.high < NEGLIGIBLE else "warning" if gap.low > LARGE else "note"
    sentence = (
        f"There are {nats(gap)} nats of room per datum between the ELBO, {nats(numbers['elbo'])}, and log p(x), "
        f"{nats(numbers['log_p'])}. For half of the data it is below {nats(numbers['gap_median'])}; the largest found "
        f"is {nats(numbers['gap_largest'])}."
    )
    if "gap_with_exploded" in numbers:
        sentence += f" With exploded data left in, the mean room would be {nats(numbers['gap_with_exploded'])}."
    keys = ("elbo", "log_p", "gap", "gap_median", "gap_largest", "gap_with_exploded")
    return [Finding("room", tone, sentence, tuple(key for key in keys if key in numbers))]


def _source(parts: Parts, numbers: Numbers) -> list[Finding]:
    if "gap" not in numbers or parts.examination is None or numbers["gap"].value < NEGLIGIBLE / 2:
        return []
    family = parts.examination.decomposition.family
    encoder, family_s = numbers["amortization"], numbers["approximation"]
    first = "the encoder" if encoder.value >= family_s.value else "the family"
    sentence = (
        f"Most of it is {first}'s. The best {family} q of each datum would gain {nats(encoder)} nats over the "
        f"encoder's (amortization); {nats(family_s)} are out of reach of any {family} q (approximation); and the "
        f"search for the best may have left {nats(numbers['optimisation'])}."
    )
    return [Finding("source", "note", sentence, ("amortization", "approximation", "optimisation"))]


def _missed_modes(parts: Parts, numbers: Numbers) -> list[Finding]:
    look = parts.examination
    if look is None or not numbers["missed_modes"].value:
        return []
    seen = look.agreement
    marks = missed(seen.missed_mass, seen.missed_mass_stderr).nonzero().flatten()
    order = marks[seen.missed_mass[marks].argsort(descending=True)].tolist()
    named = listed([f"{look.rows[i]} ({100 * float(seen.missed_mass[i]):.0f} %)" for i in order[:_TOLD]])
    count = int(numbers["missed_modes"].value)
    sentence = (
        f"q misses a mode of {plural(count, 'datum', 'data')} of {len(look.rows)}: most posterior mass is missed for "
        f"{named}. Importance sampling from q cannot see it."
    )
    return [Finding("worst", "bad", sentence, ("missed_modes", "missed_mass"), tuple(look.rows[i] for i in order))]


def _exploded(parts: Parts, numbers: Numbers) -> list[Finding]:
    look = parts.examination
    if look is None or not numbers["exploded"].value:
        return []
    found = look.decomposition
    places = found.exploded.nonzero().flatten().tolist()
    told = "; ".join(f"datum {look.rows[i]}: {found.flags[i].split('; ')[0]}" for i in places[:_TOLD])
    sentence = f"The encoder fails for {plural(len(places), 'datum', 'data')}, left out of all means ({told})."
    return [Finding("worst", "bad", sentence, ("exploded",), tuple(look.rows[i] for i in places))]


def _next(parts: Parts, numbers: Numbers) -> list[Finding]:
    if "gap" not in numbers or parts.examination is None:
        return []
    return next_steps(parts, numbers)


def _worst(parts: Parts, numbers: Numbers) -> list[Finding]:
    look = parts.examination
    if look is None or "gap" not in numbers or numbers["gap_largest"].value < NEGLIGIBLE:
        return []
    found, room = look.decomposition, look.decomposition.room().value.masked_fill(~look.decomposition.usable, -1)
    order = room.argsort(descending=True)[:_TOLD].tolist()
    named = listed(
        [f"datum {look.rows[i]} ({float(room[i]):.2f} nats: {_why(look.agreement, found, i)})" for i in order]
    )
    tone: Tone = "warning" if float(room[order[0]]) > LARGE else "note"
    return [
        Finding(
            "worst", tone, f"The room is largest for {named}.", ("gap_largest",), tuple(look.rows[i] for i in order)
        )
    ]


def _why(seen: Agreement, found: object, i: int) -> str:
    """The largest thing wrong with one datum, in a few words."""
    if bool(missed(seen.missed_mass[i : i + 1], seen.missed_mass_stderr[i : i + 1])):
        return "a mode is missed"
    return _larger_term(found, i)


def _larger_term(found, i: int) -> str:  # type: ignore[no-untyped-def]
    encoder, family = float(found.amortization.value[i]), float(found.approximation.value[i])
    return "the encoder is off" if encoder >= family else f"the posterior is not {found.family}"


def _uses(parts: Parts, numbers: Numbers) -> list[Finding]:
    bad = {key: numbers[key] for key in _failing(numbers)}
    good = {key: numbers[key] for key in _use_keys(numbers) if key not in bad}
    told: list[Finding] = []
    if good:
        named = listed([f"{_use(key)} ({percent(n)})" for key, n in good.items()])
        sentence = f"q may be used for {named}; in brackets, the share of data for which it is good enough."
        told.append(Finding("use", "good", sentence, tuple(good)))
    if bad:
        named = listed([f"{_use(key)} (good enough for {percent(n)} of the data)" for key, n in bad.items()])
        told.append(Finding("use", "warning", f"q should not be used as it is for {named}.", tuple(bad)))
    return told


def _use(key: str) -> str:
    return _USES.get(key, key.removeprefix("use_").replace("_", " "))


_USES = {
    "use_means": "posterior means",
    "use_intervals": "90 % intervals",
    "use_tails": "tail probabilities",
    "use_model_comparison": "model comparison by importance sampling",
}


def _calibration(parts: Parts, numbers: Numbers) -> list[Finding]:
    found = parts.calibration
    if found is None:
        return []
    keys = ("calibration_rejected", "calibration_p")
    if not found.rejected:
        sentence = (
            f"On {found.num_simulations} data sets simulated from the model no test shows q miscalibrated "
            f"(smallest of {len(found.checks)} p-values: {numbers['calibration_p'].value:.2g})."
        )
        return [Finding("calibration", "good", sentence, keys)]
    worst = sorted(found.rejected, key=lambda check: check.p_value)[:2]
    told = "; ".join(f"{check.name}: {check.meaning.split(';')[0]} (p = {check.p_value:.1g})" for check in worst)
    sentence = (
        f"On {found.num_simulations} data sets simulated from the model {whole(numbers['calibration_rejected'])} of "
        f"{len(found.checks)} tests show q miscalibrated: {told}."
    )
    return [Finding("calibration", "warning", sentence, keys)]


def _latents(parts: Parts, numbers: Numbers) -> list[Finding]:
    found = parts.latent_use
    if found is None:
        return []
    sentence = (
        f"Active latents: {whole(numbers['active_latents'])} of {whole(numbers['num_latents'])}; q carries "
        f"{_least(found)}{nats(numbers['mutual_information'])} nats about x."
    )
    if "pruned" in numbers:
        sentence += f" Drawn from the prior instead, the dead ones change log p(x) by {nats(numbers['pruned'])} nats."
    keys = ("active_latents", "num_latents", "mutual_information", "pruned")
    kept = tuple(key for key in keys if key in numbers)
    told = [Finding("latents", "note", sentence, kept)]
    dead = tuple(key for key in (*kept[:2], "sensitivity") if key in numbers)
    some_work = bool(found.active.any()) and numbers["sensitivity"].value < FELT if found.collapsed else True
    tone: Tone = "note" if some_work else "warning"  # spare latents are usual; an encoder that ignores one is not
    told += [Finding("latents", tone, text, dead) for text in found.collapsed]
    sigma = tuple(key for key in ("sigma", "sigma_optimal", "sigma_gain") if key in numbers)
    return told + ([Finding("latents", "note", found.sigma_told, sigma)] if found.sigma_told else [])


def _least(found: LatentUse) -> str:
    """Mutual information cannot show more than log B nats on B data."""
    return "at least " if any(found.mutual_information.flags) else ""


def _caution(parts: Parts, numbers: Numbers) -> list[Finding]:
    told: list[Finding] = []
    if numbers["settled"].value < 1:
        sentence = f"log p(x) is settled from both sides for {percent(numbers['settled'])} of the data only."
        told.append(Finding("caution", "note", sentence, ("settled",)))
    if "unconverged" in numbers and numbers["unconverged"].value > 0:
        sentence = (
            f"Chains did not pass their gates for {percent(numbers['unconverged'])} of the examined data; what is said "
            "of q's uses leaves them out."
        )
        told.append(Finding("caution", "note", sentence, ("unconverged",)))
    look = parts.examination
    if look is not None and len(look.rows) < parts.num_data:
        sentence = (
            f"Where the room comes from was examined for {len(look.rows)} of {parts.num_data} data in the time given; "
            "means are over those of them that are a random sample."
        )
        told.append(Finding("caution", "note", sentence, ("examined",)))
    return told
