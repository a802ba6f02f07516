"""The verdict on the guide over data sets, and on the latents."""

import math
from collections.abc import Mapping

from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Finding, Number, Tone
from elbowroom.inference.audit.verdict.wording import nats, whole
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.diagnostics.latent_use.collapse import FELT

Numbers = Mapping[str, Number]


def tell_calibration(parts: Parts, numbers: Numbers) -> list[Finding]:
    """Whether the guide is calibrated, and the two clearest signs if it is not."""
    calibration = parts.calibration
    if calibration is None:
        return []
    keys, num_tests = ("calibration_rejected", "calibration_p"), len(calibration.checks)
    simulated = f"On {calibration.num_simulations} data sets simulated from the model"
    if not calibration.rejected:
        sentence = (
            f"{simulated} no test shows q miscalibrated "
            f"(smallest of {num_tests} p-values: {numbers['calibration_p'].value:.2g})."
        )
        return [Finding("calibration", "good", sentence, keys)]
    worst = sorted(calibration.rejected, key=lambda check: check.p_value)[:2]
    signs = "; ".join(f"{check.name}: {check.meaning.split(';')[0]} (p = {check.p_value:.1g})" for check in worst)
    sentence = (
        f"{simulated} {whole(numbers['calibration_rejected'])} of {num_tests} tests "
        f"{'shows' if len(calibration.rejected) == 1 else 'show'} q miscalibrated: {signs}."
    )
    return [Finding("calibration", "warning", sentence, keys)]


def tell_latents(parts: Parts, numbers: Numbers) -> list[Finding]:
    """How many latents work, what they carry, why others do not, and what a learned σ does."""
    use = parts.latent_use
    if use is None:
        return []
    known = math.isfinite(numbers["mutual_information"].value)
    sentence = f"Active latents: {whole(numbers['active_latents'])} of {whole(numbers['num_latents'])}" + (
        f"; q carries {_least(use)}{nats(numbers['mutual_information'])} nats about x." if known else "."
    )
    if "pruned" in numbers:
        sentence += f" Drawn from the prior instead, the dead ones change log p(x) by {nats(numbers['pruned'])} nats."
    names = ("active_latents", "num_latents", *(("mutual_information",) if known else ()), "pruned")
    keys = tuple(key for key in names if key in numbers)
    findings = [Finding("latents", "note", sentence, keys)]
    dead = tuple(key for key in (*keys[:2], "sensitivity") if key in numbers)
    some_work = bool(use.active.any()) and numbers["sensitivity"].value < FELT if use.collapsed else True
    tone: Tone = "note" if some_work else "warning"  # spare latents are usual; an encoder that ignores one is not
    findings += [Finding("latents", tone, text, dead) for text in use.collapsed]
    sigma = tuple(key for key in ("sigma", "sigma_optimal", "sigma_gain") if key in numbers)
    return findings + ([Finding("latents", "note", use.sigma_told, sigma)] if use.sigma_told else [])


def _least(use: LatentUse) -> str:
    """Mutual information cannot show more than log B nats on B data."""
    mutual = use.mutual_information
    return "at least " if float(mutual.value) > mutual.info["limit"] - 1 else ""
