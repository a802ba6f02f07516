"""The verdict on the guide over data sets, and on the latents."""

import math
from collections.abc import Mapping

from elbowroom.inference.audit.numbers import Parts
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.verdict.wording import nats, whole
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.diagnostics.latent_use.collapse import FELT

Numbers = Mapping[str, Number]


def tell_calibration(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Whether the guide is calibrated, and the two clearest signs if it is not."""
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
        f"{len(found.checks)} tests {'shows' if len(found.rejected) == 1 else 'show'} q miscalibrated: {told}."
    )
    return [Finding("calibration", "warning", sentence, keys)]


def tell_latents(parts: Parts, numbers: Numbers) -> list[Finding]:
    """How many latents work, what they carry, why others do not, and what a learned σ does."""
    found = parts.latent_use
    if found is None:
        return []
    known = math.isfinite(numbers["mutual_information"].value)
    sentence = f"Active latents: {whole(numbers['active_latents'])} of {whole(numbers['num_latents'])}" + (
        f"; q carries {_least(found)}{nats(numbers['mutual_information'])} nats about x." if known else "."
    )
    if "pruned" in numbers:
        sentence += f" Drawn from the prior instead, the dead ones change log p(x) by {nats(numbers['pruned'])} nats."
    keys = ("active_latents", "num_latents", *(("mutual_information",) if known else ()), "pruned")
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
