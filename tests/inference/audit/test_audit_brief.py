"""The verdict at a glance: what a reader of one sentence, three numbers, whose and what next must be able to say."""

import math

import pytest

from elbowroom.inference.audit import Finding, Number
from elbowroom.inference.audit.verdict.brief import brief_of

KIND = "8 data as a sample of 60"


def nats(value: float, half: float = 0.0, kind: str = "Monte Carlo") -> Number:
    return Number(value, value - half, value + half, "nats", "", kind)


def count(value: float, unit: str = "data") -> Number:
    return Number(value, value, value, unit, "")


def share(value: float, high: float) -> Number:
    return Number(value, value / 2, high, "share", "")


GOOD = {
    "elbo": nats(-20.0), "log_p": nats(-19.8), "gap": nats(0.2, 0.01), "examined": count(8), "missed_modes": count(0),
    "amortization": nats(0.15, 0.01, KIND), "optimisation": nats(0.01), "approximation": nats(0.04, 0.01, KIND),
    "use_means": share(1.0, 1.0), "use_tails": share(0.97, 1.0), "calibration_rejected": count(0, ""),
}  # fmt: skip
STEP = Finding("next", "note", "First, train the encoder further: up to 0.15 nats.", ("amortization",))
FINE = Finding("verdict", "good", "In short: q can be trusted. There are 0.2 nats of room.", ("gap",))
COLLAPSED = Finding("verdict", "warning", "The model has collapsed: z says nothing about x.", ("active_latents",))
DOUBT = Finding(
    "verdict", "bad", f"The spread of q is 0.4 of the posterior's: the mark of {' '.join(['something'] * 60)}.", ()
)
GREY = Finding("verdict", "warning", "p(x) of 3 of 60 data is no likelihood.", ())


def test_a_sound_guide_may_be_trusted_for_what_it_is_good_for() -> None:
    brief = brief_of([FINE, STEP], GOOD)
    assert brief.tone == "good"
    assert brief.sentence == "q can be trusted for means and tails: no check that was run fails."
    assert [(n.label, n.value, n.interval, n.kind) for n in brief.numbers] == [
        ("ELBO", "−20.00", "", "Monte Carlo"),
        ("log p(x)", "−19.80", "", "Monte Carlo"),
        ("room", "0.20", "0.19 to 0.21", "Monte Carlo"),
    ]
    assert brief.whose == (
        "Most of the room is the encoder's: q fitted to each datum by itself would gain 0.15 nats "
        "(0.14 to 0.16, 8 data as a sample of 60)."
    )
    assert brief.next_step == STEP.sentence
    assert (
        brief.lines[1] == "Nats per datum (95 %: Monte Carlo): ELBO −20.00; log p(x) −19.80; room 0.20 (0.19 to 0.21)."
    )


@pytest.mark.parametrize(
    ("changed", "tone", "start"),
    [
        ({"missed_modes": count(2)}, "bad", "Do not trust q as it is: it misses modes (2 data). It is good enough for"),
        (
            {"gap": nats(3.0, 0.1)},
            "warning",
            "Use q with care: the room is large. It is good enough for means",
        ),
        (
            {"use_tails": share(0.2, 0.5)},
            "warning",
            "Use q with care: it is not good enough for tails. It ",
        ),
        ({"calibration_rejected": count(2, "")}, "warning", "Use q with care: it is not calibrated."),
        ({"gap": nats(0.6, 0.9)}, "warning", "No check that was run fails, but the room is known too poorly"),
        ({"gap": nats(math.nan)}, "warning", "Use q with care: the room is large."),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Number], tone: str, start: str) -> None:
    brief = brief_of([FINE, STEP], GOOD | changed)
    assert (brief.tone, brief.sentence[: len(start)]) == (tone, start)


def test_of_many_faults_the_worst_are_named_and_the_others_counted() -> None:
    worse = {"missed_modes": count(2), "exploded": count(1), "gap": nats(9.0), "calibration_rejected": count(1, "")}
    sentence = brief_of([STEP], GOOD | worse).sentence
    assert "it misses modes (2 data); the encoder fails (1 datum); and 2 more faults." in sentence


def test_a_collapsed_model_is_never_green() -> None:
    brief = brief_of([COLLAPSED, FINE, STEP], GOOD)
    assert brief.tone == "warning"
    assert brief.sentence == "q is the posterior, but the model has collapsed: z says nothing about x."
    assert "Train the model anew" in brief.next_step
    bad = brief_of([COLLAPSED, STEP], GOOD | {"missed_modes": count(2)})
    assert bad.tone == "bad"
    assert bad.sentence.startswith(
        "The model has collapsed: z says nothing about x. Do not trust q as it is: it misses"
    )


def test_a_doubt_takes_the_place_of_the_verdict_and_of_the_advice() -> None:
    brief = brief_of([GREY, DOUBT, COLLAPSED, FINE, STEP], GOOD)
    assert brief.sentence == f"{GREY.sentence} 2 more doubts below." and brief.tone == "warning"
    assert brief.next_step.startswith("Settle this first") and "train" not in brief.next_step
    assert brief.whose.startswith("As it stands: most of the room is the encoder's")
    alone = brief_of([DOUBT, FINE, STEP], GOOD)
    assert alone.sentence == "The spread of q is 0.4 of the posterior's …" and alone.tone == "bad"  # all of it is below


@pytest.mark.parametrize(
    ("changed", "whose"),
    [
        (
            {"approximation": nats(0.5, 0.01)},
            "Most of the room is the family's: its best q for each datum still leaves",
        ),
        (
            {"approximation": nats(0.15, 0.01)},
            f"Encoder and family share the room: 0.15 nats (0.14 to 0.16) and 0.15 nats (0.14 to 0.16): {KIND}.",
        ),
        ({"optimisation": nats(0.9)}, "Most of the room is not told apart"),
        ({"gap": nats(0.01)}, "There is too little room to ask whose it is."),
    ],
)
def test_whose_the_room_is(changed: dict[str, Number], whose: str) -> None:
    assert brief_of([], GOOD | changed).whose.startswith(whose)


def test_what_was_not_found_out_is_not_said() -> None:
    nothing = brief_of([], {})
    assert "too few data were examined" in brief_of([], {"examined": count(3), "exploded": count(0)}).sentence
    assert nothing.numbers == () and nothing.tone == "note" and "not known" in nothing.sentence
    room = {key: GOOD[key] for key in ("elbo", "log_p", "gap")}
    assert brief_of([], room).sentence == "What q may be used for was not examined."
    assert brief_of([], room).whose == "Whose the room is was not examined."
    at_least = {
        "elbo": nats(-20.0), "log_p_at_least": Number(-19.0, -19.1, math.inf, "nats", ""),
        "gap_at_least": Number(1.0, 0.9, math.inf, "nats", ""), "examined": count(3), "exploded": count(0),
    }  # fmt: skip
    some = brief_of([], at_least)
    assert [number.value for number in some.numbers] == ["−20.00", "−19.00 or more", "1.00 or more"]
    assert some.tone == "note" and some.whose == "Whose the room is was not examined."
    below = {
        "elbo": nats(-20.0), "log_p_from_below": nats(-19.0), "gap_from_below": Number(1.0, 0.9, math.inf, "nats", ""),
        "k_hat_too_high": count(0, "share"),
    }  # fmt: skip
    brief = brief_of([], below)
    assert brief.tone == "warning" and brief.sentence.endswith("log p(x) is known from below only.")
    assert [number.value for number in brief.numbers] == ["−20.00", "−19.00", "1.00 or more"]


HUSHED = {"mutual_information": nats(0.02, 0.01)}


def test_a_q_that_says_next_to_nothing_is_not_green() -> None:
    brief = brief_of([FINE, STEP], GOOD | HUSHED)
    assert brief.tone == "warning"
    assert brief.sentence.endswith("both say next to nothing about x: 0.020 (0.010 to 0.030) nats.")
    assert brief_of([FINE, STEP], GOOD | {"mutual_information": nats(0.1, 0.05)}).tone == "good"
    assert "misses modes" in brief_of([FINE, STEP], GOOD | HUSHED | {"missed_modes": count(2)}).sentence


def test_what_log_p_is_worth_stands_behind_the_numbers() -> None:
    worth = Finding("worth", "note", "log p(x) is 6 nats per datum above the −26 of coins.", ("above_baseline",))
    assert brief_of([FINE, worth, STEP], GOOD).lines[2] == worth.sentence
    assert brief_of([FINE, STEP], GOOD).worth == ""
