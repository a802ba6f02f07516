"""What each section of the page says: text, numbers as text, and drawings."""

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from elbowroom.entrances.visible import short_name
from elbowroom.inference.audit import Audit, Chains
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket.choice import EXPEDITION
from elbowroom.inference.weights import K_LIMIT
from elbowroom.report.page.chart_calibration import coverage_chart, rank_charts, tarp_chart
from elbowroom.report.page.chart_room import room_histogram, waterfall
from elbowroom.report.page.svg import bar
from elbowroom.report.records.audit_means import ROOM, Mean, means, representative, share
from elbowroom.report.records.audit_variables import data_of
from elbowroom.report.records.data_rows import DataRows
from elbowroom.report.records.words import amount, count, interval_text, seconds_text, share_text, short, value_text

MOST_LATENTS, MOST_FLAGS, MOST_CHECKS = 200, 30, 100
_USES = {
    "means": "report E[z | x], use it as a feature",
    "intervals": "say where z lies with 90 % probability",
    "tails": "speak of rare values, or propose for importance sampling",
    "model comparison": "estimate log p(x) from its draws and compare models",
}
_SIGMA = {
    "value": "σ as learned",
    "optimal": "σ that the residuals ask for",
    "optimal_stderr": "± its standard error",
    "explained": "share of the variance of x that the means explain",
    "num_values": "values of a datum",
    "log_lik_gain": "log-likelihood it would gain, nats",
}
_ERRORS = (
    ("mean_error", "size of the error of the mean, posterior sds", "0"),
    ("log_sd_ratio", "size of log(sd of q / posterior sd)", "0"),
    ("correlation_error", "error of the correlations", "0, up to noise"),
    ("tail_mass", "posterior mass outside q’s 90 % interval, distance from 0.1", "0, up to noise"),
    ("missed_mass", "posterior mass in modes that q misses", "0"),
    ("wasserstein", "Wasserstein distance, posterior sds", "0, up to noise"),
    ("c2st", "classifier that tells q from the posterior", "0.5"),
    ("pareto_k", "k̂ of the importance weights", f"below {K_LIMIT}"),
)


def room_section(audit: Audit) -> dict[str, Any]:
    """Means of log p(x), ELBO and room, the waterfall, the histogram and the terms."""
    decomposition = audit.decomposition
    if decomposition is None:
        return {"bracket": _bracket(audit), "seen": _seen(audit)}
    mean = means(audit)
    first = next(iter(decomposition.ladder))
    shown = (("log p(x)", "log p(x)"), (f"ELBO, {first}", "ELBO"), (ROOM, "room"))
    terms = (
        ("amortization", "the encoder", "the best member of the family for each datum, less what the encoder gives"),
        ("optimisation", "still to be found", "how far that fit may be from its optimum: to second order"),
        ("approximation", "the family", "log p(x) less the best member of the family"),
    )
    chosen = representative(audit, "decomposition")
    examined = audit.rows.get("decomposition", range(len(decomposition)))
    flagged = zip(examined, decomposition.flags, decomposition.exploded.tolist(), strict=True)
    rooms = known_rooms(audit) if _of_all(audit) else []
    examined_rooms = decomposition.room().value[chosen][decomposition.usable[chosen]].tolist()
    return {
        "seen": _seen(audit),
        "of_all": bool(_of_all(audit)),
        "headline": _of_all(audit)
        or [(label, amount(mean[key].value, mean[key].stderr), _over(mean[key])) for key, label in shown],
        "left_out": [(label, amount(mean[key].with_all), amount(mean[key].value)) for key, label in shown]
        if mean[ROOM].left_out
        else [],
        "usable": "all usable data" if _of_all(audit) else count(mean[ROOM].num_data),
        "out": count(mean[ROOM].left_out), "family": decomposition.family,
        "waterfall": waterfall(decomposition, mean),
        "histogram": room_histogram(rooms or examined_rooms, audit.numbers["gap"].value if rooms else mean[ROOM].value),
        "terms": [(name, about, amount(mean[k].value, mean[k].stderr), _over(mean[k])) for k, name, about in terms],
        "error": amount(mean[ROOM].stderr),
        "reasons": [(b, flag) for b, flag, is_exploded in flagged if is_exploded][:MOST_FLAGS],
        "examined": len(decomposition), "num_data": audit.num_data, "sample": len(chosen),
    }  # fmt: skip


def known_rooms(audit: Audit) -> list[float]:
    """The room of every usable datum: of the decomposition, else what the bracket leaves above the ELBO."""
    exploded = _exploded_data(audit)
    return [room for b, room in enumerate(DataRows(audit).room.tolist()) if b not in exploded]


def _of_all(audit: Audit) -> list[tuple[str, str, str]]:
    """Means over all data, as the verdict has them, where they are known of more data than were taken apart."""
    if "gap_examined" not in audit.numbers:
        return []
    shown = ((audit.numbers[name], label) for name, label in (("log_p", "log p(x)"), ("elbo", "ELBO"), ("gap", "room")))
    return [(label, value_text(n), interval_text(n)) for n, label in shown]


def uses_section(audit: Audit, agreement: Agreement) -> dict[str, Any]:
    """For what share of the data q may be used for what, the usual reason why not, and how large the errors are."""
    chosen = representative(audit, "agreement")
    exploded = _exploded(audit)
    sound = [b for b in chosen if not agreement.flags[b] and b not in exploded]
    uses = []
    for use in agreement.uses:
        fit = int(agreement.uses[use][sound].sum())
        fraction, fitting = share(agreement, use, sound), f"{fit} of {count(len(sound))}"
        uses.append({
            "name": use, "about": _USES.get(use, ""), "share": share_text(fraction), "count": fitting,
            "bar": bar(fraction, f"{share_text(fraction)} of the data"), "why": _usual(agreement.why_not[use], sound),
        })  # fmt: skip
    errors = []
    for name, label, right in _ERRORS:
        values = getattr(agreement, name)[sound]
        # The worst latent of a mass that should be a tenth is the one farthest from that, on either side.
        values = _worst_latent(values - 0.1) if name == "tail_mass" else _worst_latent(values)
        values = values[values.isfinite()]
        if len(values):
            ends = (float(values.median()), float(values.quantile(0.95)), float(values.max()))
            errors.append((label, *(short(end, 2) for end in ends), right))
    return {
        "uses": uses, "errors": errors, "examined": count(len(chosen)), "unsound": len(chosen) - len(sound),
        "reference": "quadrature" if agreement.reference == "quadrature" else "Markov chains",
        "reverse": amount(*_mean(agreement.kl_q_p, sound)), "forward": amount(*_mean(agreement.kl_p_q, sound)),
    }  # fmt: skip


def calibration_section(calibration: Calibration) -> dict[str, Any]:
    """Tests with their meaning, and the curves."""
    checks = sorted(calibration.checks, key=lambda check: (not check.rejected, check.p_value))
    return {
        "kind": calibration.kind, "simulations": calibration.num_simulations, "draws": calibration.num_draws,
        "level": f"{100 * calibration.level:g} %", "flags": calibration.flags, "rejected": len(calibration.rejected),
        "checks": [(c.name, short(c.p_value, 2), c.rejected, c.meaning) for c in checks[:MOST_CHECKS]],
        "ranks": rank_charts(calibration), "quantities": len(calibration.quantities),
        "coverage": coverage_chart(calibration) if bool(calibration.coverage.isfinite().any()) else "",
        "tarp": tarp_chart(calibration),
    }  # fmt: skip


def latents_section(use: LatentUse) -> dict[str, Any]:
    """Each latent's share of the information, collapse, σ."""
    largest = max([float(k) for k in use.kl if k == k], default=0.0) or 1.0
    order = use.kl.nan_to_num(-1.0).argsort(descending=True, stable=True).tolist()
    rows = []
    for n in order[:MOST_LATENTS]:
        kl = float(use.kl[n])
        rows.append({
            "name": short_name(use.latents[n]), "kl": amount(kl, float(use.kl_stderr[n])),
            "bar": bar(kl / largest, f"{short(100 * kl / largest, 3)} % of the largest"),
            "activity": amount(float(use.activity[n]), float(use.activity_stderr[n])),
            "sensitivity": short(float(use.sensitivity[n]), 2),
            "active": bool(use.active[n]), "mean": short(float(use.aggregate_mean[n]), 2),
            "sd": short(float(use.aggregate_sd[n]), 2), "distance": short(float(use.aggregate_distance[n]), 2),
        })  # fmt: skip
    limit = use.mutual_information.info.get("limit")
    return {
        "rows": rows, "active": int(use.active.sum()), "all": len(use.latents), "collapsed": use.collapsed,
        "rate": _one(use.rate), "information": _one(use.mutual_information), "marginal": _one(use.marginal_kl),
        "limit": None if limit is None else short(float(limit), 3),
        "warnings": [flag for flag in use.mutual_information.flags if flag],
        "pruned": None if use.pruned is None else _one(use.pruned),
        "sigma": [(_SIGMA.get(name, name), short(float(value), 3)) for name, value in use.sigma.items()],
        "sigma_told": use.sigma_told,
    }  # fmt: skip


def chains_section(chains: Chains) -> dict[str, Any]:
    """The worst of each diagnostic over data, and the reasons why chains are no reference."""
    convergence = chains.convergence
    rows = [
        ("R-hat, largest", _extreme(convergence.rhat, True, 4), f"at most {chains.gates.rhat:g}"),
        (
            "ESS of the bulk, smallest",
            _extreme(convergence.ess_bulk, False),
            f"at least {chains.gates.ess_per_chain * chains.num_chains:g}",
        ),
        (
            "ESS of the tails, smallest",
            _extreme(convergence.ess_tail, False),
            f"at least {chains.gates.ess_per_chain * chains.num_chains:g}",
        ),
        ("divergent transitions, most", _extreme(convergence.divergences, True), f"at most {chains.gates.divergences}"),
    ]
    if convergence.ebfmi is not None:
        rows.append(("E-BFMI, smallest", _extreme(convergence.ebfmi, False, 2), f"at least {chains.gates.ebfmi:g}"))
    flagged = [(datum, flag) for datum, flag in zip(chains.rows, convergence.flags, strict=True) if flag]
    sizes = {name: f"{getattr(chains, name):,}" for name in ("num_chains", "num_draws", "num_warmup")}
    return {
        "rows": rows, "flagged": flagged[:MOST_FLAGS], "num_flagged": len(flagged), "data": count(len(chains.rows)),
        "undefined": int(convergence.rhat.isnan().any(1).sum()), **sizes,
    }  # fmt: skip


def cost_section(cost: dict[str, float]) -> dict[str, Any]:
    """Seconds of each part and in all."""
    largest = max(cost.values(), default=0.0) or 1.0
    rows = [
        (part, seconds_text(s), bar(s / largest, f"{short(100 * s / largest, 2)} % of the longest"))
        for part, s in cost.items()
    ]
    return {"rows": rows, "total": seconds_text(sum(cost.values()))}


def _usual(reasons: Sequence[str], data: list[int]) -> str:
    """An example of the reason that is given most often, whatever its numbers."""
    kinds: dict[str, list[str]] = {}
    for b in data:
        if reasons[b]:
            kinds.setdefault(re.sub(r"\[?-?\d[\d.,]*(e-?\d+)?\]?", "#", reasons[b]), []).append(reasons[b])
    return max(kinds.values(), key=len)[0] if kinds else ""


def _bracket(audit: Audit) -> dict[str, Any]:
    sides: list[tuple[str, str, str]] = []
    for name, side in (("from below", audit.bracket.lower), ("from above", audit.bracket.upper)):
        finite = side.value.isfinite().nonzero().flatten().tolist()
        sides.append((name, amount(*_mean(side, finite)), f"mean of {count(len(finite))}" if finite else "not found"))
    return {"sides": sides}


def _seen(audit: Audit) -> str:
    """How far the bracket can be relied on to know all modes."""
    search = audit.bracket.ledger.columns.get(EXPEDITION)
    where = "from the guide and the prior" if search is None else "by guide and chains, and by a search from the prior"
    known = f"Both sides know the modes that were found {where}"
    weak = [flag for flag in search.flags if flag] if search is not None else []
    much = f"; for {count(len(weak))} that search had few effective points" if weak else ""
    return f"{known}{much}. A mode that none of them met is missing from both."


def _mean(estimate: Estimate, data: list[int]) -> tuple[float, float]:
    data = [b for b in data if bool(estimate.value[b].isfinite())]
    part = Estimate(estimate.value[data], estimate.stderr[data], "none")
    return part.mean() if data else (float("nan"), float("nan"))


def _over(mean: Mean) -> str:
    return f"± {short(mean.over_data, 2)} as a sample of data" if mean.over_data == mean.over_data else ""


def _one(estimate: Estimate) -> str:
    return amount(float(estimate.value[0]), float(estimate.stderr[0]))


def _exploded(audit: Audit) -> set[int]:
    """Positions in the agreement of data whose encoder output is not usable."""
    bad = _exploded_data(audit)
    return {place for place, b in enumerate(data_of(audit, "agreement")) if b in bad}


def _exploded_data(audit: Audit) -> set[int]:
    """Data whose encoder output is not usable, of those that were examined."""
    if audit.decomposition is None:
        return set()
    data = data_of(audit, "decomposition")
    return {data[i] for i in audit.decomposition.exploded.nonzero().flatten().tolist()}


def _worst_latent(values: Tensor) -> Tensor:
    """The largest size over latents, `[B]`; NaN of one is NaN of all."""
    return values.double() if values.dim() == 1 else values.double().abs().amax(1)


def _extreme(values: Tensor, largest: bool, digits: int = 0) -> str:
    finite = values[~values.isnan()].double()
    if not finite.numel():
        return "–"
    value = float(finite.max() if largest else finite.min())
    return f"{value:,.{digits}f}" if abs(value) != float("inf") else "∞"
