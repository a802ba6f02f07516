"""Is this what was trained? What speaks against the wiring of programs, weights and data, before any advice."""

from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number
from elbowroom.inference.audit.verdict.other_data import explains_all, tell_changed_data
from elbowroom.inference.audit.verdict.wording import nats, whole
from elbowroom.inference.diagnostics.latent_use.whereabouts import is_strange, strangest

WORTH_A_DOUBT = 0.5
"""Nats per datum by which a model must be below one without latents."""

_NARROW, _AS_NARROW = 0.7, 0.85  # of the posterior's sd, that q's is below on average, and in nearly every latent
_OFF = 1.0  # posterior sds that the mean of q is off, root mean square over latents, for nearly every datum
_WIDE, _AS_WIDE = 1.3, 0.95  # of it, that q's is above on average, and in nearly every latent and datum


def tell_suspicions(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Why all other sentences may be about programs that nobody meant."""
    return [Finding("verdict", "warning", f"Look at this first: {why}.", ()) for why in parts.suspicions]


def tell_doubts(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """What a change undoes, a collapse, codes where the prior is not, a model worse than none, a q of another spread.

    A change of the data that leaves the model worse than none has undone nothing: other doubts are told before it.
    A q that is too narrow is told before a model that is worse than none as far as q can see: with it, that is not far.
    """
    spread = (_spread, _respread)
    early, late = (spread, ()) if _blinds(numbers) else ((), spread)
    others = (_collapsed, _another_loss, _elsewhere, *early, _worse_than_none)
    first = (tell_changed_data, *others) if explains_all(parts) else (*others, tell_changed_data)
    return [finding for tell in (*first, *late, _means) for finding in tell(parts, numbers)]


def _blinds(numbers: Mapping[str, Number]) -> bool:
    """Whether q is too narrow to say what log p(x) is, and nothing else has said it."""
    wider = "respread" in numbers and numbers["respread"].value > 1
    return "log_p" not in numbers and (wider or is_too_narrow(numbers))


def is_too_narrow(numbers: Mapping[str, Number]) -> bool:
    """Whether q is narrower than the posterior in nearly every latent and datum, and not because it misses modes."""
    if "spread_of_q" not in numbers or _misses_modes(numbers):
        return False
    return numbers["spread_of_q"].high < _NARROW and numbers["spread_of_q_widest"].value < _AS_NARROW


def _spread(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """A q that is too narrow, or too wide, nearly everywhere: no family and no lack of training does that."""
    keys = ("spread_of_q", "spread_of_q_widest", "spread_of_q_narrowest")
    if is_too_narrow(numbers):
        sentence = (
            f"The spread of q is {nats(numbers['spread_of_q'])} of the posterior's, and too small in nearly every "
            "latent and datum: the mark of a KL term weighed below one in training, of a loss averaged over the values "
            "of a datum, or of a σ that is larger here than it was there."
        )
        return [Finding("verdict", "bad", sentence, keys)]
    if "spread_of_q" not in numbers or numbers["spread_of_q"].value < _WIDE:
        return []
    if numbers["spread_of_q_narrowest"].value < _AS_WIDE:
        return []
    sentence = (
        f"The spread of q is {nats(numbers['spread_of_q'])} times the posterior's, and too large in nearly every "
        "latent and datum: was a log standard deviation read as a log variance (output='mean_log_std'), does the "
        "encoder see data scaled otherwise than in training, was the KL term weighed above one there, or a larger σ "
        "taken?"
    )
    return [Finding("verdict", "bad", sentence, keys)]


def _respread(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """The same, as far as it is seen without chains; nothing where these have said it."""
    if "respread" not in numbers or _spread(parts, numbers):
        return []
    factor = numbers["respread"].value
    why = _WHY_WIDE if factor < 1 else _WHY_NARROW
    sentence = (
        f"q is too {'wide' if factor < 1 else 'narrow'}: with {factor:g} times its standard deviations the ELBO is "
        f"higher by {nats(numbers['respread_gain'])} nats per datum: {why}?"
    )
    return [Finding("verdict", "bad", sentence, ("respread", "respread_gain"))]


_WHY_WIDE = (
    "was a log standard deviation read as a log variance (output='mean_log_std'), the KL term weighed above one in "
    "training, or a larger σ taken there"
)
_WHY_NARROW = (
    "was a log variance read as a log standard deviation (output='mean_log_var'), the KL term weighed below one in "
    "training, the loss averaged over the values of a datum, or a smaller σ taken there"
)


def _means(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Means that are off for nearly every datum, beyond what an encoder that was trained on such data leaves."""
    if _misses_modes(numbers) or "means_off" not in numbers or numbers["means_off_least"].value < _OFF:
        return []
    sentence = (
        f"The mean of q is {nats(numbers['means_off'])} posterior standard deviations off for half of the data, and "
        f"{nats(numbers['means_off_least'])} or more for nearly all: does the encoder see the data as it did in "
        "training (scaled, standardised, in this order)?"
    )
    return [Finding("verdict", "bad", sentence, ("means_off", "means_off_least"))]


def _misses_modes(numbers: Mapping[str, Number]) -> bool:
    """Whether q misses modes of most data, which makes it narrow and its means off: that is the other sentences'."""
    if "missed_modes" not in numbers or "examined" not in numbers:
        return False
    return numbers["missed_modes"].value > numbers["examined"].value / 2


def is_collapsed(parts: Parts) -> bool:
    """Whether z says nothing about x, and the decoder does not use it."""
    use, said = parts.latent_use, parts.silence
    if said is not None:
        return said.is_silent and not said.of_encoder
    return use is not None and not bool(use.active.any()) and bool(len(use.latents))


def _collapsed(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    if parts.silence is not None and parts.silence.of_encoder:
        keys = ("mutual_information", "sensitivity")
        sentence = (
            f"The encoder has collapsed: q carries {nats(numbers[keys[0]])} nats about x, though log p(x|z) changes by "
            f"{nats(numbers[keys[1]])} nats per prior sd: was it trained with this decoder and on such data, and "
            "neither with a loss averaged over the values of a datum nor with a KL term weighed above one?"
        )
        return [Finding("verdict", "bad", sentence, keys)]
    if not is_collapsed(parts):
        return []
    if parts.silence is not None:
        about = f"{nats(numbers['mutual_information'])} nats about it"
        sentence = f"The model has collapsed: z says nothing about x; q carries {about}."
        return [Finding("verdict", "warning", sentence, ("mutual_information",))]
    sentence = (
        "The model has collapsed: z says nothing about x "
        f"({whole(numbers['active_latents'])} of {whole(numbers['num_latents'])} latents are active)."
    )
    return [Finding("verdict", "warning", sentence, ("active_latents", "num_latents"))]


def _another_loss(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """What training printed, beside what was found."""
    own, keys = parts.own_loss, ("own_loss", "loss_found")
    if own is None or own.is_elbo:
        return []
    found = nats(numbers["loss_found"])
    if own.reading:
        sentence = f"Training printed {own.told:g}: of these programs {own.reading}. Minus their ELBO is {found} nats."
        return [Finding("verdict", "note", sentence, keys)]
    sentence = (
        f"Training printed {own.told:g}, and minus the ELBO of these programs is {found} nats, which no usual factor "
        "explains: are these the trained weights, the right outputs, the data and the likelihood of that number?"
    )
    return [Finding("verdict", "bad", sentence, keys)]


def is_worse_than_none(numbers: Mapping[str, Number]) -> bool:
    """Whether log p(x), as far as it is known, is below that of a model without latents."""
    return "above_baseline" in numbers and numbers["above_baseline"].high < -WORTH_A_DOUBT


def _worse_than_none(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    if parts.baseline is None or not is_worse_than_none(numbers):
        return []
    below = numbers["above_baseline"]
    by = Number(-below.value, -below.high, -below.low, below.unit, below.about)
    sentence = (
        f"As far as it is known, log p(x) is {nats(by)} nats per datum below the {nats(numbers['baseline'])} of "
        f"{parts.baseline.about}: are these the trained weights, the right output of the networks, the data they were "
        "trained on?"
    )
    return [Finding("verdict", "bad", sentence, ("above_baseline", "baseline"))]


def _elsewhere(parts: Parts, numbers: Mapping[str, Number]) -> list[Finding]:
    """Codes of all data that lie where the prior does not, in most of the latents that carry anything."""
    use = parts.latent_use
    if use is None or "codes_at" not in numbers:
        return []
    strange = is_strange(use, len(parts.usable))[use.active]
    if not int(strange.sum()) > len(strange) / 2:
        return []
    sentence = (
        "The codes of all data lie where the prior does not: in most latents as in "
        f"{use.latents[strangest(use)]}, where their mean is {nats(numbers['codes_at'])} and their standard deviation "
        f"{nats(numbers['codes_spread'])} in "
        "units of the prior's, and not 0 and 1: was the model trained with another prior (from_decoder(prior=…)), or "
        "its KL term weighed?"
    )
    return [Finding("verdict", "bad", sentence, ("codes_at", "codes_spread"))]
