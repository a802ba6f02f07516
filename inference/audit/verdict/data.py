"""The verdict on single data: missed modes, exploded encoder outputs, the largest room."""

from collections.abc import Mapping

from elbowroom.inference.audit.intervals import largest, normal
from elbowroom.inference.audit.numbers import Parts, missed
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.verdict.use import LARGE, NEGLIGIBLE
from elbowroom.inference.audit.verdict.wording import listed, nats, percent, plural
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.gap import Decomposition

Numbers = Mapping[str, Number]

_TOLD = 5  # data that are named


def tell_missed_modes(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Of which data q misses modes, and how much of their posterior mass."""
    look = parts.examination
    if look is None or not numbers["missed_modes"].value:
        return []
    seen = look.agreement
    marks = missed(seen.missed_mass, seen.missed_mass_stderr).nonzero().flatten()
    order = marks[seen.missed_mass[marks].argsort(descending=True)].tolist()
    masses = [(i, largest(seen.missed_mass[[i]], seen.missed_mass_stderr[[i]], "")) for i in order[:_TOLD]]
    named = listed([f"{percent(mass)} for datum {look.rows[i]}" for i, mass in masses])
    count = int(numbers["missed_modes"].value)
    sentence = (
        f"q misses a mode of {plural(count, 'datum', 'data')} of {len(look.rows)}. The posterior mass that it misses "
        f"is {named}. Importance sampling from q cannot see it."
    )
    return [Finding("worst", "bad", sentence, ("missed_modes", "missed_mass"), tuple(look.rows[i] for i in order))]


def tell_exploded(parts: Parts, numbers: Numbers) -> list[Finding]:
    """For which data the encoder's output is not usable, and what it is there."""
    look = parts.examination
    if look is None or not numbers["exploded"].value:
        return []
    found = look.decomposition
    places = found.exploded.nonzero().flatten().tolist()
    told = "; ".join(f"datum {look.rows[i]}: {found.flags[i].split('; ')[0]}" for i in places[:_TOLD])
    sentence = f"The encoder fails for {plural(len(places), 'datum', 'data')}, left out of all means ({told})."
    return [Finding("worst", "bad", sentence, ("exploded",), tuple(look.rows[i] for i in places))]


def tell_worst(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Which data have the largest room, grouped by what is wrong."""
    look = parts.examination
    if look is None or "gap" not in numbers or numbers["gap_largest"].value < NEGLIGIBLE:
        return []
    found, told = look.decomposition, look.decomposition.room()
    room = told.value.masked_fill(~found.usable, -1)
    order = [i for i in room.argsort(descending=True)[:_TOLD].tolist() if bool(found.usable[i])]
    reasons: dict[str, list[str]] = {}
    for i in order:
        reasons.setdefault(_why(look.agreement, found, i), []).append(
            f"{look.rows[i]} with {nats(normal(float(room[i]), float(told.stderr[i]), 'nats', ''))} nats"
        )
    named = "; ".join(
        f"{why}, for {'datum' if len(those) == 1 else 'data'} {listed(those)}" for why, those in reasons.items()
    )
    tone: Tone = "warning" if float(room[order[0]]) > LARGE else "note"
    return [
        Finding(
            "worst", tone, f"The room is largest where {named}.", ("gap_largest",), tuple(look.rows[i] for i in order)
        )
    ]


def _why(seen: Agreement, found: Decomposition, i: int) -> str:
    """The largest thing wrong with one datum, in a few words."""
    if bool(missed(seen.missed_mass[i : i + 1], seen.missed_mass_stderr[i : i + 1])):
        return "a mode is missed"
    encoder, family = float(found.amortization.value[i]), float(found.approximation.value[i])
    return "the encoder is off" if encoder >= family else f"no {found.family} q fits"
