"""The results of an audit as named arrays with dimensions: the one source of its JSON and its netCDF file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from torch import Tensor

from elbowroom.inference import Bracket, Estimate
from elbowroom.inference.audit import Audit, Chains
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.weights import K_LIMIT
from elbowroom.report.records.audit_fields import CURVES, LATENTS, PER_DATUM, PER_LATENT, SIDES, TERMS
from elbowroom.report.records.audit_means import Mean, means
from elbowroom.report.records.draws_groups import CONVERGENCE
from elbowroom.report.records.estimate_groups import unnormalised_variable
from elbowroom.report.records.groups import NATS, Group, Variable, array, words


def audit_groups(audit: Audit) -> dict[str, Group]:
    """Groups by name. Those of data have an entry for each of the B data: NaN (or "") where a part did not look at one.

    A part that is None gives no group. The variables are listed in `audit_record`.
    """
    makers: dict[str, tuple[Any, Callable[[Audit, Any], Group]]] = {
        "importance": (audit.sampled, _importance),
        "log_evidence": (audit.bracket, _log_evidence),
        "decomposition": (audit.decomposition, _decomposition),
        "agreement": (audit.agreement, _agreement),
        "convergence": (audit.chains, _convergence),
        "calibration": (audit.calibration, _calibration),
        "latent_use": (audit.latent_use, _latent_use),
    }
    groups = {name: make(audit, part) for name, (part, make) in makers.items() if part is not None}
    if audit.decomposition is not None:
        groups["means"] = _means(means(audit))
    return groups


def data_of(audit: Audit, part: str) -> tuple[int, ...]:
    """Indices of the data that a part examined; all of them where `audit.rows` does not say."""
    return tuple(audit.rows.get(part, range(audit.num_data)))


def chain_data(audit: Audit) -> tuple[int, ...]:
    """Indices of the data whose chains were run."""
    return () if audit.chains is None else tuple(audit.chains.rows)


def spread(values: Tensor, data: Sequence[int], num_data: int) -> np.ndarray:
    """Values of some data `[R, ...]` as float64 `[B, ...]`, NaN for the others."""
    result = np.full((num_data, *values.shape[1:]), np.nan)
    result[list(data)] = values.detach().cpu().double().numpy()
    return result


def spread_words(words: Sequence[str], data: Sequence[int], num_data: int) -> np.ndarray:
    """Strings of some data, "" for the others."""
    result = np.full(num_data, "", dtype=object)
    result[list(data)] = list(words)
    return result


class _OverData:
    """Variables over all data, made of values of some."""

    def __init__(self, audit: Audit, data: Sequence[int], latents: Sequence[str] = ()) -> None:
        self.data, self.num_data = data, audit.num_data
        self.coords: dict[str, Sequence[Any]] = {"datum": list(range(audit.num_data))}
        if latents:
            self.coords["latent"] = list(latents)

    def numbers(self, values: Tensor, unit: str = "", about: str = "", dims: tuple[str, ...] = ()) -> Variable:
        return Variable(("datum", *dims), spread(values, self.data, self.num_data), unit, about)

    def estimate(self, name: str, estimate: Estimate, about: str = "") -> dict[str, Variable]:
        error = f"standard error of {name}"
        return {
            name: self.numbers(estimate.value, NATS, about),
            f"{name}_stderr": self.numbers(estimate.stderr, NATS, error),
        }

    def words(self, values: Sequence[str], about: str) -> Variable:
        return Variable(("datum",), spread_words(values, self.data, self.num_data), "", about)

    def examined(self) -> dict[str, Variable]:
        marks = np.isin(np.arange(self.num_data), self.data)
        return {"examined": Variable(("datum",), marks, "", "whether this part looked at the datum")}


def _log_evidence(audit: Audit, bracket: Bracket) -> Group:
    over = _OverData(audit, range(audit.num_data))
    variables = over.estimate("lower", bracket.lower, "lower side of log p(x)")
    variables |= over.estimate("upper", bracket.upper, "upper side of log p(x)")
    variables["width"] = over.numbers(bracket.width, NATS, "length of the 95 % interval around both sides")
    for side in SIDES:
        method = getattr(bracket, side).info.get("method", ("",) * audit.num_data)
        variables[f"{side}_method"] = over.words(method, "what gave it; empty if nothing did")
    variables["flag"] = over.words(bracket.flags, "why not to rely on it")
    variables["note"] = over.words(bracket.notes, "what is worth knowing though it stands")
    variables |= unnormalised_variable(bracket.lower)
    return Group(variables, over.coords, {"tolerance": bracket.tolerance, "seconds": bracket.seconds})


def _importance(audit: Audit, sampled: Estimate[ImportanceInfo]) -> Group:
    over = _OverData(audit, range(audit.num_data))
    variables = over.estimate("importance", sampled, "importance sampling from q, a lower bound on log p(x)")
    elbo = Estimate(sampled.info["elbo"], sampled.info["elbo_stderr"], "lower")
    variables |= over.estimate("elbo", elbo, "ELBO of the guide on the same draws")
    variables["pareto_k"] = over.numbers(
        sampled.info["pareto_k"], "", f"tail index of the weights, above {K_LIMIT} is bad"
    )
    variables["ess"] = over.numbers(sampled.info["ess"], "", "effective number of draws")
    variables["flag"] = over.words(sampled.flags, "why not to rely on importance sampling")
    variables |= unnormalised_variable(sampled)
    return Group(variables, over.coords, {"num_samples": sampled.info["num_samples"]})


def _decomposition(audit: Audit, decomposition: Decomposition) -> Group:
    over, rungs = _OverData(audit, data_of(audit, "decomposition")), list(decomposition.ladder)
    variables = over.examined()
    for name, about in TERMS.items():
        variables |= over.estimate(
            name, decomposition.room() if name == "room" else getattr(decomposition, name), about
        )
    variables |= _by_rung(over, "ladder", decomposition.ladder, rungs, "ELBO of each rung")
    variables |= _by_rung(over, "gain", decomposition.gains, rungs, "ELBO over that of the rung before")
    variables["exploded"] = over.numbers(
        decomposition.exploded, "", "the encoder's output is not usable: left out of means"
    )
    variables["evaluations"] = over.numbers(decomposition.num_evaluations, "", "of log p(x, z) or its gradient")
    variables["flag"] = over.words(decomposition.flags, "why not to rely on its terms")
    variables["note"] = over.words(decomposition.notes, "what is worth knowing though its terms stand")
    return Group(
        variables, over.coords | {"rung": rungs}, {"family": decomposition.family, "seconds": decomposition.seconds}
    )


def _by_rung(
    over: _OverData, name: str, part: Mapping[str, Estimate], rungs: Sequence[str], about: str
) -> dict[str, Variable]:
    """An estimate of each rung side by side; NaN for rungs that have none."""
    nothing = np.full(over.num_data, np.nan)

    def side_by_side(attribute: str) -> np.ndarray:
        columns = [
            spread(getattr(part[rung], attribute), over.data, over.num_data) if rung in part else nothing
            for rung in rungs
        ]
        return np.stack(columns, 1)

    dims, error = ("datum", "rung"), f"standard error of {name}"
    return {
        name: Variable(dims, side_by_side("value"), NATS, about),
        f"{name}_stderr": Variable(dims, side_by_side("stderr"), NATS, error),
    }


def _agreement(audit: Audit, agreement: Agreement) -> Group:
    over = _OverData(audit, data_of(audit, "agreement"), agreement.latents)
    variables, latent = over.examined(), ("latent",)
    for name, about in PER_LATENT.items():
        variables[name] = over.numbers(getattr(agreement, name), "", about, latent)
        variables[f"{name}_stderr"] = over.numbers(getattr(agreement, f"{name}_stderr"), "", "", latent)
    variables["wasserstein"] = over.numbers(agreement.wasserstein, "posterior sd", "W₁ of the marginals", latent)
    variables["wasserstein_floor"] = over.numbers(
        agreement.wasserstein_floor, "posterior sd", "W₁ of noise alone", latent
    )
    for name, about in PER_DATUM.items():
        variables[name] = over.numbers(getattr(agreement, name), "", about)
    variables |= over.estimate("kl_q_p", agreement.kl_q_p, "KL(q(z|x) ‖ p(z|x))")
    variables |= over.estimate("kl_p_q", agreement.kl_p_q, "KL(p(z|x) ‖ q(z|x))")
    uses = list(agreement.uses)
    fit = np.stack([spread(agreement.uses[use], over.data, audit.num_data) for use in uses], 1)
    why = np.stack([spread_words(agreement.why_not[use], over.data, audit.num_data) for use in uses], 1)
    variables["fit_for"] = Variable(("datum", "use"), fit, "", "1 where q is good enough for the use, 0 where not")
    variables["why_not"] = Variable(("datum", "use"), why, "", "the reason why not")
    variables["flag"] = over.words(agreement.flags, "why the reference should not be trusted")
    attrs = {"reference": agreement.reference, "seconds": agreement.seconds}
    return Group(variables, over.coords | {"use": uses}, attrs)


def _convergence(audit: Audit, chains: Chains) -> Group:
    convergence = chains.convergence
    latents = _latent_names(audit, convergence.rhat.shape[1])
    over = _OverData(audit, chain_data(audit), latents)
    variables = over.examined()
    for name, about in CONVERGENCE.items():
        variables[name] = over.numbers(getattr(convergence, name), "", about, ("latent",))
    variables["divergences"] = over.numbers(convergence.divergences, "", "divergent transitions")
    if convergence.ebfmi is not None:
        variables["ebfmi"] = over.numbers(convergence.ebfmi, "", "energy Bayesian fraction of missing information")
    variables["flag"] = over.words(convergence.flags, "why the draws are no reference")
    sizes = {name: getattr(chains, name) for name in ("num_chains", "num_draws", "num_warmup")}
    return Group(variables, over.coords, sizes)


def _calibration(audit: Audit, calibration: Calibration) -> Group:
    curve = {name: Variable(("level",), array(getattr(calibration, name)), "", about) for name, about in CURVES.items()}
    about = "ECDF of the ranks less the uniform one"
    checks = calibration.checks
    variables = {
        "ranks": Variable(
            ("simulation", "quantity"), array(calibration.ranks), "", "of the truth among the guide's draws"
        ),
        "ecdf_difference": Variable(("level", "quantity"), array(calibration.ecdf_difference), "", about),
        **curve,
        "p_value": Variable(("check",), np.array([c.p_value for c in checks]), "p", "of each test"),
        "rejected": Variable(("check",), np.array([c.rejected for c in checks], bool), "", "at the level of the tests"),
        "meaning": Variable(("check",), words([c.meaning for c in checks]), "", "what the deviation says"),
    }
    coords: dict[str, Sequence[Any]] = {
        "level": calibration.grid.tolist(), "quantity": list(calibration.quantities), "check": [c.name for c in checks],
        "simulation": list(range(calibration.num_simulations)),
    }  # fmt: skip
    attrs = {
        "kind": calibration.kind,
        "num_draws": calibration.num_draws,
        "test_level": calibration.level,
        "seconds": calibration.seconds,
    }
    return Group(variables, coords, attrs | {"flags": "; ".join(calibration.flags)})


def _latent_use(audit: Audit, use: LatentUse) -> Group:
    variables = {n: Variable(("latent",), array(getattr(use, n)), "", about) for n, about in LATENTS.items()}
    for name in ("rate", "mutual_information", "marginal_kl", "pruned"):
        part = getattr(use, name)
        for suffix, attribute in (("", "value"), ("_stderr", "stderr")):
            value = float("nan") if part is None else float(getattr(part, attribute)[0])
            variables[name + suffix] = Variable((), np.array(value), NATS)
    attrs: dict[str, Any] = {f"sigma_{name}": value for name, value in use.sigma.items()}
    attrs |= {"collapsed": "\n".join(use.collapsed), "sigma_told": use.sigma_told, "seconds": use.seconds}
    attrs["mutual_information_limit"] = float(use.mutual_information.info.get("limit", float("nan")))
    return Group(variables, {"latent": list(use.latents)}, attrs)


def _means(by_term: Mapping[str, Mean]) -> Group:
    columns = {f.name: np.array([getattr(mean, f.name) for mean in by_term.values()]) for f in fields(Mean)}
    about = {
        "value": "mean over usable data that speak for all", "stderr": "its Monte Carlo error, data held fixed",
        "over_data": "its standard error as a sample of data", "num_data": "usable data",
        "with_all": "mean with the data that were left out", "num_all": "all data looked at",
    }  # fmt: skip
    unit = {name: "" if name.startswith("num") else NATS for name in columns}
    variables = {name: Variable(("term",), values, unit[name], about[name]) for name, values in columns.items()}
    return Group(variables, {"term": list(by_term)})


def _latent_names(audit: Audit, size: int) -> Sequence[str]:
    for part in (audit.agreement, audit.portrait, audit.latent_use):
        if part is not None and len(part.latents) == size:
            return part.latents
    return [str(n) for n in range(size)]
