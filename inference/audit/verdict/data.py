"""The verdict on single data: missed modes, exploded encoder outputs, the largest room."""

from collections.abc import Mapping

from elbowroom.inference.audit.contradictions import contradicted, raised_by_modes
from elbowroom.inference.audit.intervals import largest, normal
from elbowroom.inference.audit.numbers import missed
from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.verdict.use import LARGE, NEGLIGIBLE
from elbowroom.inference.audit.verdict.wording import listed, nats, percent, plural
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.gap import Decomposition

Numbers = Mapping[str, Number]

_NAMED = 5  # data that are named


def tell_missed_modes(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Of which data q misses modes, and how much of their posterior mass."""
    examination = parts.examination
    if examination is None or not numbers["missed_modes"].value:
        return []
    agreement, data = examination.agreement, examination.data
    marks = missed(agreement.missed_mass, agreement.missed_mass_stderr).nonzero().flatten()
    order = marks[agreement.missed_mass[marks].argsort(descending=True)].tolist()
    masses = [(i, largest(agreement.missed_mass[[i]], agreement.missed_mass_stderr[[i]], "")) for i in order[:_NAMED]]
    named = listed([f"{percent(mass)} for datum {data[i]}" for i, mass in masses])
    count = int(numbers["missed_modes"].value)
    sentence = (
        f"q misses a mode of {plural(count, 'datum', 'data')} of {len(data)}. The posterior mass that it misses "
        f"is {named}. Importance sampling from q cannot see it."
    )
    return [Finding("worst", "bad", sentence, ("missed_modes", "missed_mass"), tuple(data[i] for i in order))]


def tell_contradicted(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Of which data log p(x) was found without the modes that q misses, so that the room is more than was found."""
    examination = parts.examination
    if examination is None or not numbers["contradicted"].value:
        return []
    places = contradicted(examination.decomposition, examination.agreement)
    raised = raised_by_modes(examination.decomposition)
    those = [examination.data[i] for i in (places | raised).nonzero().flatten().tolist()]
    sentence = (
        f"log p(x) of {plural(len(those), 'datum', 'data')} was found without modes that q misses: the room there is "
        "larger than what was found, and counts as what these modes must take at least."
    )
    return [Finding("worst", "bad", sentence, ("contradicted",), tuple(those))]


def tell_exploded(parts: Parts, numbers: Numbers) -> list[Finding]:
    """For which data the encoder's output is not usable, and what it is there."""
    examination = parts.examination
    if examination is None or not numbers["exploded"].value:
        return []
    decomposition, data = examination.decomposition, examination.data
    places = decomposition.exploded.nonzero().flatten().tolist()
    reasons = "; ".join(f"datum {data[i]}: {decomposition.flags[i].split('; ')[0]}" for i in places[:_NAMED])
    sentence = f"The encoder fails for {plural(len(places), 'datum', 'data')}, left out of all means ({reasons})."
    return [Finding("worst", "bad", sentence, ("exploded",), tuple(data[i] for i in places))]


def tell_worst(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Which data have the largest room, grouped by what is wrong."""
    examination = parts.examination
    if examination is None or "gap" not in numbers or numbers["gap_largest"].value < NEGLIGIBLE:
        return []
    decomposition, data, gap = examination.decomposition, examination.data, examination.decomposition.room()
    room = gap.value.masked_fill(~decomposition.usable, -1)
    order = [i for i in room.argsort(descending=True)[:_NAMED].tolist() if bool(decomposition.usable[i])]
    if not order:  # of all that were looked at the encoder has exploded
        return []
    data_by_reason: dict[str, list[str]] = {}
    for i in order:
        data_by_reason.setdefault(_why(examination.agreement, decomposition, i), []).append(
            f"{data[i]} with {nats(normal(float(room[i]), float(gap.stderr[i]), 'nats', ''))} nats"
        )
    named = "; ".join(
        f"{why}, for {'datum' if len(those) == 1 else 'data'} {listed(those)}" for why, those in data_by_reason.items()
    )
    tone: Tone = "warning" if float(room[order[0]]) > LARGE else "note"
    sentence = f"The room is largest where {named}."
    return [Finding("worst", tone, sentence, ("gap_largest",), tuple(data[i] for i in order))]


def _why(agreement: Agreement, decomposition: Decomposition, i: int) -> str:
    """The largest thing wrong with one datum, in a few words."""
    if bool(missed(agreement.missed_mass[i : i + 1], agreement.missed_mass_stderr[i : i + 1])):
        return "a mode is missed"
    encoder, family = float(decomposition.amortization.value[i]), float(decomposition.approximation.value[i])
    return "the encoder is off" if encoder >= family else f"no {decomposition.family} q fits"
