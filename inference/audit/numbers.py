"""Every quantity that a verdict may rest on, with its 95 % interval."""

from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.audit.contradictions import contradicted, raised_by_modes
from elbowroom.inference.audit.examination import Examination
from elbowroom.inference.audit.intervals import (
    DRAWN_ANEW,
    count,
    exactly,
    largest,
    mean,
    median,
    normal,
    of_one,
    share,
    unbounded,
)
from elbowroom.inference.audit.known import known_of_sample
from elbowroom.inference.audit.parts import Parts, population_of, representative
from elbowroom.inference.audit.result import Number
from elbowroom.inference.audit.wiring_numbers import SUSPECT
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.gap.log_p import Sides
from elbowroom.inference.weights import K_LIMIT

MISSED = 0.05
"""Posterior mass in missed modes from which on a datum counts as one whose modes q misses."""


def numbers_of(parts: Parts) -> dict[str, Number]:
    """All numbers that the parts allow, by name."""
    numbers: dict[str, Number] = {}
    for gather in (
        _of_wiring,
        _of_bracket,
        _of_density,
        _of_weights,
        _of_room,
        _at_least,
        _of_decomposition,
        _of_agreement,
        _of_chains,
        _of_calibration,
        _of_latents,
    ):
        numbers |= gather(parts)
    return numbers


def _of_density(parts: Parts) -> dict[str, Number]:
    """Data whose log p(x) is above zero beyond the noise of its estimates: x is continuous, p a density."""
    sides = (parts.sampled, parts.bracket.lower)
    least = torch.stack([(side.value - 2 * side.stderr).double().cpu() for side in sides]).nan_to_num(-torch.inf)
    above = least.amax(0) > 0
    return {"above_one": count(above, "data whose density p(x) is above one")} if bool(above.any()) else {}


def _of_wiring(parts: Parts) -> dict[str, Number]:
    """Whether programs, weights and data belong together; what is said of data in general is of data drawn anew."""
    found = {name: number for gather in SUSPECT for name, number in gather(parts).items()}
    if "spread_of_q" in found:  # of the data that the means are of
        found["spread_of_q"] = replace(found["spread_of_q"], kind=found["means_off"].kind)
    anew = [name for name, number in found.items() if "drawn anew" in number.about or name.startswith("codes_")]
    return found | {name: replace(found[name], kind=DRAWN_ANEW) for name in anew if found[name].kind}


def _of_bracket(parts: Parts) -> dict[str, Number]:
    settled, weights = parts.bracket.settled, parts.sampled.info
    heavy = weights.get("heavy_tail", torch.zeros_like(settled))  # files of earlier versions have none
    return {
        "settled": share(
            settled, parts.num_data, "data whose log p(x) is bracketed within the tolerance, without a flag"
        ),
        "k_hat_too_high": share(
            ~(weights["pareto_k"] <= K_LIMIT) | heavy,
            parts.num_data,
            f"data whose importance weights have too heavy a tail: Pareto k̂ above {K_LIMIT}, or an index near it",
        ),
    }


def _of_weights(parts: Parts) -> dict[str, Number]:
    """The room as far as importance sampling shows it, where nothing else can."""
    if not parts.bracket.from_below:
        return {}
    sampled, every = parts.sampled, torch.arange(parts.num_data)
    below: Sides = {"one_sided": torch.ones(parts.num_data, dtype=torch.bool)}
    elbo = Estimate(sampled.info["elbo"], sampled.info["elbo_stderr"], "lower")
    log_p = Estimate(sampled.value, sampled.stderr, "lower", below)
    room = Estimate(sampled.value - elbo.value, torch.hypot(sampled.stderr, elbo.stderr), "lower", below)
    return {
        "elbo": mean(elbo, every, parts.num_data, "the guide's ELBO, mean over data"),
        "log_p_from_below": mean(
            log_p, every, parts.num_data, "log p(x) by importance sampling from q, mean over data"
        ),
        "gap_from_below": mean(room, every, parts.num_data, "that less the ELBO, mean over data"),
    }


def _of_decomposition(parts: Parts) -> dict[str, Number]:
    examination = parts.examination
    if examination is None:
        return {}
    index = representative(parts)
    numbers = _of_exploded(examination, index, parts.num_data)
    if not len(index):
        return numbers
    decomposition, population = examination.decomposition, population_of(parts, index)
    estimates = _rooms(decomposition) | {
        "beyond": (_beyond(decomposition), "room beyond the largest family of the ladder")
    }
    numbers |= {name: mean(estimate, index, population, about) for name, (estimate, about) in estimates.items()}
    if parts.known is not None and len(index) < parts.known.population:
        about = "room of the data of whom its parts are known, mean"
        numbers["gap_examined"] = mean(decomposition.room(), index, population, about)
    room = decomposition.room()
    value, worst = room.value.masked_fill(~decomposition.usable, -torch.inf).max(0)
    about = f"room of datum {examination.data[worst]}"
    numbers["gap_largest"] = normal(float(value), float(room.stderr[worst]), "nats", about)
    return numbers


def _of_room(parts: Parts) -> dict[str, Number]:
    """ELBO, log p(x) and room: of all data, if they are known of all, else of a random sample."""
    known, examination = parts.known, parts.examination
    if known is None and examination is not None and len(sample := representative(parts)):
        known = known_of_sample(examination, parts.sampled, sample, population_of(parts, sample))
    if known is None:
        return {}
    index, population = torch.arange(len(known.log_p)), known.population
    short = Estimate(
        known.log_p.value - known.sampled.value.double().cpu(),
        torch.hypot(known.log_p.stderr, known.sampled.stderr.double().cpu()),
        "none",
        known.room.info,
    )
    estimates = {
        "elbo": (known.elbo, "the guide's ELBO, mean over data"),
        "log_p": (known.log_p, "log p(x), mean over data"),
        "gap": (known.room, "room between ELBO and log p(x), KL(q ‖ p(z|x)), mean over data"),
        "importance_shortfall": (short, "log p(x) less importance sampling from q with its first draws"),
    }
    room = known.room.value
    worst = int(room.argmax())
    about_worst = f"room of the datum where it is largest, of {len(index)} data"
    largest_room = normal(float(room[worst]), float(known.room.stderr[worst]), "nats", about_worst)
    whole = f"; of all {len(index)} usable data" if len(index) == population else ""
    numbers = {name: mean(term, index, population, about + whole) for name, (term, about) in estimates.items()}
    middle = median(known.room, index, population, f"median room over data{whole}")
    return numbers | {"gap_median": middle, "gap_largest": largest_room}


def _at_least(parts: Parts) -> dict[str, Number]:
    """What is known of all data from below, where the room is not known."""
    if _of_room(parts) or parts.bracket.from_below or not parts.usable:
        return {}
    sampled, lower, index = parts.sampled, parts.bracket.lower, torch.tensor(parts.usable)
    if not bool(lower.value[index].isfinite().all()):
        return {}
    below: Sides = {"one_sided": torch.ones(parts.num_data, dtype=torch.bool)}
    elbo = Estimate(sampled.info["elbo"], sampled.info["elbo_stderr"], "lower")
    log_p = Estimate(lower.value, lower.stderr, "lower", below)
    room = Estimate(lower.value - elbo.value, torch.hypot(lower.stderr, elbo.stderr), "lower", below)
    over = f"mean over data; of all {len(index)} usable data"
    terms = {
        "elbo": (elbo, "the guide's ELBO"),
        "log_p_at_least": (log_p, "the side of log p(x) from below"),
        "gap_at_least": (room, "that less the ELBO"),
    }
    return {name: mean(term, index, len(index), f"{about}, {over}") for name, (term, about) in terms.items()}


def _of_exploded(examination: Examination, index: Tensor, num_data: int) -> dict[str, Number]:
    """How many data were examined, how many of them exploded, and the mean room with those left in."""
    exploded, num_examined = examination.decomposition.exploded, len(examination.data)
    numbers = {
        "examined": exactly(float(num_examined), "data", f"examined data, of {num_data}"),
        "exploded": count(exploded, "examined data whose encoder output has exploded"),
    }
    if bool(exploded.any()):
        both = torch.cat([index, exploded.nonzero().flatten()]).unique()
        room = examination.decomposition.room().value[both]
        numbers["gap_with_exploded"] = unbounded(room, "nats", "mean room of the same data and the exploded ones")
    return numbers


def _rooms(decomposition: Decomposition) -> dict[str, tuple[Estimate, str]]:
    """The terms of the room, each `[B]` nats, and what they are."""
    rooms = {
        "amortization": (
            decomposition.amortization,
            "room that is the encoder's: the best member of its family less its output",
        ),
        "optimisation": (decomposition.optimisation, "room that the local fit may have left"),
        "approximation": (decomposition.approximation, "room that is the family's: log p(x) less its best member"),
    }
    for name, gain in decomposition.gains.items():
        rooms[rung_key(name)] = (gain, f"what a {name} q gains over the rung before")
    return rooms


def rung_key(name: str) -> str:
    """The name among the numbers of what a rung of the ladder gains: `gain_mean_field` of mean-field."""
    return f"gain_{name.replace(' ', '_').replace('-', '_')}"


def _beyond(decomposition: Decomposition) -> Estimate:
    """log p(x) less the ELBO of the ladder's last rung, `[B]` nats; errors are added as if they were independent."""
    log_p, last = decomposition.log_p, list(decomposition.ladder.values())[-1]
    sides = decomposition.approximation.info
    return Estimate(log_p.value - last.value, torch.hypot(log_p.stderr, last.stderr), "none", sides)


def _of_agreement(parts: Parts) -> dict[str, Number]:
    examination = parts.examination
    if examination is None:
        return {}
    agreement, place = examination.agreement, {datum: i for i, datum in enumerate(examination.data)}
    sound = torch.tensor([not flag for flag in agreement.flags]) & ~examination.decomposition.exploded.cpu()
    index = torch.tensor(
        [place[datum] for datum in examination.representative if sound[place[datum]]], dtype=torch.long
    )
    numbers = {
        "missed_modes": count(
            missed(agreement.missed_mass, agreement.missed_mass_stderr), "examined data with modes that q misses"
        ),
        "contradicted": count(
            contradicted(examination.decomposition, agreement) | raised_by_modes(examination.decomposition),
            "examined data whose log p(x) was found without modes that q misses",
        ),
        "missed_mass": largest(
            agreement.missed_mass, agreement.missed_mass_stderr, "posterior mass that q misses, worst datum"
        ),
    }
    if not len(index):
        return numbers
    population = population_of(parts, index)
    for use, good in agreement.uses.items():
        about = f"of the data whose chains converged, those for which q is good enough for {use}"
        numbers[f"use_{use.replace(' ', '_')}"] = share(good[index], population, about)
    accuracy = Estimate(agreement.c2st, agreement.c2st_stderr, "none")
    numbers["kl_p_q"] = mean(agreement.kl_p_q, index, population, "KL(p(z|x) ‖ q), mean over data")
    numbers["c2st"] = mean(accuracy, index, population, "accuracy of telling q from the posterior (0.5: cannot)", "")
    return numbers


def _of_chains(parts: Parts) -> dict[str, Number]:
    if parts.examination is None:
        return {}
    convergence = parts.examination.chains.convergence
    failed = torch.tensor([bool(flag) for flag in convergence.flags])
    return {
        "unconverged": share(failed, len(failed), "examined data whose chains did not pass their gates"),
        "rhat": exactly(float(convergence.rhat.nan_to_num(torch.inf).max()), "", "largest R-hat of the examined data"),
    }


def _of_calibration(parts: Parts) -> dict[str, Number]:
    calibration = parts.calibration
    if calibration is None:
        return {}
    least = min(check.p_value for check in calibration.checks)
    about = f"smallest p-value of {len(calibration.checks)} tests on {calibration.num_simulations} simulated data sets"
    return {
        "calibration_p": exactly(least, "p", about),
        "calibration_rejected": exactly(float(len(calibration.rejected)), "", "tests of calibration that fail"),
    }


def _of_latents(parts: Parts) -> dict[str, Number]:
    use = parts.latent_use
    if use is None:
        return {}
    numbers = {
        "active_latents": exactly(float(use.active.sum()), "", f"of {len(use.latents)} latents, those that are used"),
        "num_latents": exactly(float(len(use.latents)), "", "latents of a datum"),
        "rate": of_one(use.rate, "KL(q(z|x) ‖ p(z)), mean over data", DRAWN_ANEW),
        "mutual_information": of_one(use.mutual_information, "I(x; z) under q", DRAWN_ANEW),
    }
    if not bool(use.active.all()):
        felt = float(use.sensitivity[~use.active].nan_to_num(0.0).max())
        numbers["sensitivity"] = exactly(
            felt, "nats", "change of log p(x|z) per prior sd of an inactive latent, largest"
        )
    if use.sigma:
        numbers["sigma"] = exactly(use.sigma["value"], "", "the likelihood's noise, σ (a parameter, not an estimate)")
        optimal, stderr = use.sigma["optimal"], use.sigma["optimal_stderr"]
        numbers["sigma_optimal"] = normal(optimal, stderr, "", "the σ that the residuals under q ask for", DRAWN_ANEW)
        numbers["sigma_gain"] = exactly(
            use.sigma["log_lik_gain"], "nats", "E log p(x|z) gained by that σ on these data"
        )
    if use.pruned is not None:
        numbers["pruned"] = of_one(use.pruned, "change of log p̂(x) when dead latents are drawn from the prior")
    return numbers


def missed(mass: Tensor, stderr: Tensor) -> Tensor:
    """Which data have modes that q misses, beyond noise, `[B]`."""
    return (mass - 2 * stderr).nan_to_num(-1.0) > MISSED
