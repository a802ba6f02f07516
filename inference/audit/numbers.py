"""Every quantity that a verdict may rest on, with its 95 % interval."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.audit.examination import Examination
from elbowroom.inference.audit.intervals import count, exactly, largest, mean, median, normal, of_one, share, unbounded
from elbowroom.inference.audit.result import Number
from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.weights import K_LIMIT

MISSED = 0.05
"""Posterior mass in missed modes from which on a datum counts as one whose modes q misses."""


@dataclass(frozen=True)
class Parts:
    """What an audit has gathered; parts that are missing are None."""

    num_data: int
    sampled: Estimate[ImportanceInfo]  # importance sampling of all data
    bracket: Bracket
    examination: Examination | None
    calibration: Calibration | None
    latent_use: LatentUse | None


def numbers_of(parts: Parts) -> dict[str, Number]:
    """All that the parts allow, by name."""
    found: dict[str, Number] = {}
    for gather in (_of_bracket, _of_decomposition, _of_agreement, _of_chains, _of_calibration, _of_latents):
        found |= gather(parts)
    return found


def representative(parts: Parts) -> Tensor:
    """Positions, among the examined data, of those that are a random sample and whose terms are usable."""
    look = parts.examination
    assert look is not None
    place = {row: i for i, row in enumerate(look.rows)}
    chosen = torch.tensor([place[row] for row in look.representative], dtype=torch.long)
    return chosen[look.decomposition.usable[chosen]]


def _of_bracket(parts: Parts) -> dict[str, Number]:
    settled, k = parts.bracket.settled, parts.sampled.info["pareto_k"]
    return {
        "settled": share(
            settled, parts.num_data, "data whose log p(x) is bracketed within the tolerance, without a flag"
        ),
        "k_hat_too_high": share(
            ~(k <= K_LIMIT), parts.num_data, f"data whose importance weights have Pareto k̂ above {K_LIMIT}"
        ),
    }


def _of_decomposition(parts: Parts) -> dict[str, Number]:
    look = parts.examination
    if look is None:
        return {}
    found, rows, room = look.decomposition, representative(parts), look.decomposition.room()
    everybody = _population(parts, rows)
    about = f"examined data, of {parts.num_data}"
    told: dict[str, Number] = {"examined": exactly(float(len(look.rows)), "data", about)}
    told["exploded"] = count(found.exploded, "examined data whose encoder output has exploded")
    if bool(found.exploded.any()):
        about = "mean room of the same data and the exploded ones"
        both = torch.cat([rows, found.exploded.nonzero().flatten()]).unique()
        told["gap_with_exploded"] = unbounded(room.value[both], "nats", about)
    if not len(rows):
        return told
    means = {
        "elbo": (found.elbo, "the guide's ELBO, mean over data"),
        "log_p": (found.log_p, "log p(x), mean over data"),
        "gap": (room, "room between ELBO and log p(x), KL(q ‖ p(z|x)), mean over data"),
        "amortization": (
            found.amortization,
            "room that is the encoder's: the best member of its family less its output",
        ),
        "optimisation": (found.optimisation, "room that the local fit may have left"),
        "approximation": (found.approximation, "room that is the family's: log p(x) less its best member"),
    }
    for name, gain in found.gains.items():
        means[f"gain_{name.replace(' ', '_').replace('-', '_')}"] = (
            gain,
            f"what a {name} q gains over the rung before",
        )
    top = list(found.ladder.values())[-1]
    sides = found.approximation.info
    beyond = Estimate(found.log_p.value - top.value, torch.hypot(found.log_p.stderr, top.stderr), "none", sides)
    means["beyond"] = (beyond, "room beyond the largest family of the ladder")
    weighed = Estimate(parts.sampled.value[list(look.rows)], parts.sampled.stderr[list(look.rows)], "lower")
    short = Estimate(found.log_p.value - weighed.value, torch.hypot(found.log_p.stderr, weighed.stderr), "none", sides)
    means["importance_shortfall"] = (short, "log p(x) less importance sampling from q with 1000 draws")
    told |= {name: mean(estimate, rows, everybody, about) for name, (estimate, about) in means.items()}
    value, worst = room.value.masked_fill(~found.usable, -torch.inf).max(0)
    told["gap_largest"] = normal(float(value), float(room.stderr[worst]), "nats", f"room of datum {look.rows[worst]}")
    told["gap_median"] = median(room, rows, everybody, "median room over data")
    return told


def _population(parts: Parts, rows: Tensor) -> int:
    """Of how many data those are a random sample: all but the ones that are left out for cause."""
    assert parts.examination is not None
    return parts.num_data - (len(parts.examination.representative) - len(rows))


def _of_agreement(parts: Parts) -> dict[str, Number]:
    look = parts.examination
    if look is None:
        return {}
    seen, place = look.agreement, {row: i for i, row in enumerate(look.rows)}
    sound = torch.tensor([not flag for flag in seen.flags]) & ~look.decomposition.exploded.cpu()
    rows = torch.tensor([place[row] for row in look.representative if sound[place[row]]], dtype=torch.long)
    told = {
        "missed_modes": count(
            missed(seen.missed_mass, seen.missed_mass_stderr), "examined data with modes that q misses"
        ),
        "missed_mass": largest(seen.missed_mass, seen.missed_mass_stderr, "posterior mass that q misses, worst datum"),
    }
    if not len(rows):
        return told
    everybody = _population(parts, rows)
    for use, good in seen.uses.items():
        about = f"of the data whose chains converged, those for which q is good enough for {use}"
        told[f"use_{use.replace(' ', '_')}"] = share(good[rows], everybody, about)
    accuracy = Estimate(seen.c2st, seen.c2st_stderr, "none")
    told["kl_p_q"] = mean(seen.kl_p_q, rows, everybody, "KL(p(z|x) ‖ q), mean over data")
    told["c2st"] = mean(accuracy, rows, everybody, "accuracy of telling q from the posterior (0.5: cannot)", "")
    return told


def _of_chains(parts: Parts) -> dict[str, Number]:
    if parts.examination is None:
        return {}
    found = parts.examination.chains.convergence
    failed = torch.tensor([bool(flag) for flag in found.flags])
    return {
        "unconverged": share(failed, len(failed), "examined data whose chains did not pass their gates"),
        "rhat": exactly(float(found.rhat.nan_to_num(torch.inf).max()), "", "largest R-hat of the examined data"),
    }


def _of_calibration(parts: Parts) -> dict[str, Number]:
    found = parts.calibration
    if found is None:
        return {}
    least = min(check.p_value for check in found.checks)
    about = f"smallest p-value of {len(found.checks)} tests on {found.num_simulations} simulated data sets"
    return {
        "calibration_p": exactly(least, "p", about),
        "calibration_rejected": exactly(float(len(found.rejected)), "", "tests of calibration that fail"),
    }


def _of_latents(parts: Parts) -> dict[str, Number]:
    found = parts.latent_use
    if found is None:
        return {}
    told = {
        "active_latents": exactly(
            float(found.active.sum()), "", f"of {len(found.latents)} latents, those that are used"
        ),
        "num_latents": exactly(float(len(found.latents)), "", "latents of a datum"),
        "rate": of_one(found.rate, "KL(q(z|x) ‖ p(z)), mean over data"),
        "mutual_information": of_one(found.mutual_information, "I(x; z) under q"),
    }
    if not bool(found.active.all()):
        felt = float(found.sensitivity[~found.active].nan_to_num(0.0).max())
        told["sensitivity"] = exactly(felt, "nats", "change of log p(x|z) per prior sd of an inactive latent, largest")
    if found.sigma:
        told["sigma"] = exactly(found.sigma["value"], "", "the likelihood's noise, σ (a parameter, not an estimate)")
        optimal, stderr = found.sigma["optimal"], found.sigma["optimal_stderr"]
        told["sigma_optimal"] = normal(optimal, stderr, "", "the σ that the residuals under q ask for")
        told["sigma_gain"] = exactly(found.sigma["log_lik_gain"], "nats", "E log p(x|z) gained by that σ on these data")
    if found.pruned is not None:
        told["pruned"] = of_one(found.pruned, "change of log p̂(x) when dead latents are drawn from the prior")
    return told


def missed(mass: Tensor, stderr: Tensor) -> Tensor:
    """Which data have modes that q misses, beyond noise, `[B]`."""
    return (mass - 2 * stderr).nan_to_num(-1.0) > MISSED
