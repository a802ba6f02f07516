"""Which model is better, in words: the verdict, what the ELBO says, whose room it is, and what would tell."""

import math

from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.two_models.compared import Compared
from elbowroom.inference.two_models.paired import Paired

_HEAVY = 0.5  # share of the spread that one datum may make up without a word
_FEW = 8  # data with fewer than which an interval for others is rough
_HOPELESS = 1e6  # data more that nobody can get


def sentences(found: Compared) -> tuple[str, ...]:
    """The answer first, then what it rests on."""
    if not len(found.log_p):
        return (_nothing_known(found), *_open(found))
    return (_verdict(found), *_elbo(found), *_what_would_tell(found), *_open(found), *_cautions(found))


def _verdict(found: Compared) -> str:
    mean, (low, high) = found.log_p, found.log_p.interval()
    how, whose = _range(mean), "new data like these" if found.anew else _these(found)
    if found.unnormalised:
        return f"Which is better cannot be told: values are no log-likelihoods ({found.unnormalised})."
    if found.better is not None:
        loser = found.names[1] if found.better == found.names[0] else found.names[0]
        return f"{found.better} is better than {loser}: its log p(x) of {whose} is {how} higher on average."
    if low == high == 0:
        return f"The models do not differ: log p(x) is the same for all {len(mean)} data."
    lead, size = _leader(found, mean)
    at_level, percent = mean.interval(found.level), f"{100 * found.level:.4g} %"
    digits = _digits(low, high)
    between = "; ".join(
        f"{name}: {plain(ends[0], digits)} … {plain(ends[1], digits)}"
        for name, ends in (("95 %", (low, high)), (percent, at_level))
    )
    return (
        f"Which is better cannot be told at {percent}: on average {lead} leads by {size} ({found.names[0]} less "
        f"{found.names[1]}, {whose}, {between})."
    )


def _elbo(found: Compared) -> list[str]:
    """What the ELBO says, and whose room makes the difference."""
    elbo, better = found.elbo, found.better
    room_a, room_b = found.rooms()
    (one, other), sign = found.names, elbo.sign(found.level)
    rooms = f"the room above it is {_range(room_a)} for {one} and {_range(room_b)} for {other}"
    says = {1: f"prefers {one}", -1: f"prefers {other}", 0: "does not tell them apart"}[sign]
    ahead = f" by {_range(elbo if elbo.value >= 0 else _negative(elbo))}" if sign else f" ({_interval(elbo)})"
    if found.is_reversed:
        loose = one if room_a.value > room_b.value else other
        return [f"The ELBO says the opposite: it {says}{ahead}. The reason is the guide of {loose}: {rooms}."]
    if better is None and sign:
        return [f"The ELBO {says}{ahead}, which log p(x) does not confirm: {rooms}."]
    return [f"The ELBO {says}{ahead}; {rooms}."]


def _what_would_tell(found: Compared) -> list[str]:
    """What is missing to an answer: data, or time."""
    if found.better is not None or found.unnormalised:
        return []
    mean = found.log_p
    if found.is_overturned_by_unknown:
        unknown = len(found) - len(mean)
        return [
            f"The {len(mean)} data that are known would say {_leader(found, mean)[0]}, but a difference of "
            f"{_nats(found.overturned_by)} the other way on the {unknown} that are not would overturn it: more time "
            f"might tell ({_time(found)})."
        ]
    needed = mean.data_to_tell(found.level)
    if mean.apart > 0 and abs(mean.value) <= mean.apart:
        apart = _nats(2 * mean.apart)
        return [f"The sides of log p(x) are {apart} apart on average: more time would tell ({_time(found)})."]
    if not found.anew or mean.value == mean.apart == 0:
        return []
    if needed > _HOPELESS:
        return [
            "Zero is within one standard error of the difference, so no number of data can be said that would tell."
        ]
    there = found.num_data - len(found)
    more = max(1, math.ceil(needed) - len(found))
    if more <= there:
        return [
            f"If the difference is as it looks, {_round(more)} data more would tell, which are there: {_time(found)}."
        ]
    return [f"If the difference is as it looks, about {_round(more)} data more would tell."]


def _open(found: Compared) -> list[str]:
    """Data that were not taken up, and data that are not known from both sides."""
    said = []
    if len(found) < found.num_data:
        said.append(
            f"The budget was enough for {len(found)} of {found.num_data} data, taken at random; all of them take "
            f"{_time(found)}."
        )
    unknown = len(found) - len(found.log_p)
    if unknown and len(found.log_p):
        beyond = found.overturned_by
        safe = (
            f"; to overturn the answer they would have to differ by {_nats(beyond)} the other way on average"
            if math.isfinite(beyond) and found.better is not None
            else ""
        )
        said.append(
            f"{unknown} of {len(found)} data are not known from both sides and were left out of all means{safe}."
        )
    return said


def _cautions(found: Compared) -> list[str]:
    """Where an interval rests on few data."""
    mean, said = found.log_p, []
    if found.anew and len(mean) < _FEW:
        said.append(f"{len(mean)} data say little of others: the interval holds if differences are about normal.")
    place, share = mean.heaviest()
    if found.anew and len(mean) >= _FEW and share > _HEAVY:
        datum = int(found.data[found.known][place])
        said.append(
            f"Datum {datum} alone makes up {100 * share:.0f} % of the spread: the interval rests on few data, and is "
            "rough."
        )
    return said


def _nothing_known(found: Compared) -> str:
    reasons = {
        name: next((flag for flag in bracket.flags if flag), "")
        for name, bracket in zip(found.names, found.brackets, strict=True)
    }
    why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
    return f"Which is better cannot be told: of none of {len(found)} data log p(x) is known from both sides ({why})."


def _these(found: Compared) -> str:
    return "this datum" if found.num_data == 1 else "these data"


def _leader(found: Compared, mean: Paired) -> tuple[str, str]:
    return found.names[0] if mean.value >= 0 else found.names[1], _nats(abs(mean.value))


def _negative(paired: Paired) -> Paired:
    return Paired(-paired.high, -paired.low, paired.stderr, paired.num_data, paired.anew)


def _range(paired: Paired) -> str:
    """`0.42 nats (95 %: 0.31 … 0.53)`, the sign left out where both ends share it."""
    (low, high), value = paired.interval(), paired.value
    if high < 0:
        low, high, value = -high, -low, -value
    return f"{_nats(value)} (95 %: {plain(low, _digits(low, high))} … {plain(high, _digits(low, high))})"


def _interval(paired: Paired) -> str:
    low, high = paired.interval()
    return f"95 %: {plain(low, _digits(low, high))} … {plain(high, _digits(low, high))} nats"


def _nats(value: float) -> str:
    return f"{plain(value, 2 if abs(value) >= 0.1 else 4)} nats"


def _digits(low: float, high: float) -> int:
    return 2 if not high - low < 0.05 else 4


def _time(found: Compared) -> str:
    return f"about {found.more:.2g} s more" if found.unit == "s" else f"about {found.more:.2g} evaluations more"


def _round(number: int) -> str:
    """Two significant digits: it is an estimate."""
    size = 10 ** max(0, len(str(number)) - 2)
    return f"{math.ceil(number / size) * size:,}"
