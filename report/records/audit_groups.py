"""What an audit found as named arrays with dimensions: the one source of its JSON and its netCDF file."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from torch import Tensor

from elbowroom.inference import Estimate
from elbowroom.inference.audit import Audit
from elbowroom.inference.weights import K_LIMIT
from elbowroom.report.records.audit_fields import (
    CHAINS,
    CURVES,
    LATENTS,
    NATS,
    PER_DATUM,
    PER_LATENT,
    SIDES,
    TERMS,
    Group,
    Variable,
)
from elbowroom.report.records.audit_means import Mean, means


def audit_groups(audit: Audit) -> dict[str, Group]:
    """Groups by name. Those of data have a row for each of the B data: NaN (or "") where a part did not look at one.

    A part that is None gives no group. The variables are listed in `audit_record`.
    """
    makers = {
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


def rows_of(audit: Audit, part: str) -> tuple[int, ...]:
    """The data that a part looked at; all of them where `audit.rows` does not say."""
    return tuple(audit.rows.get(part, range(audit.num_data)))


def chain_rows(audit: Audit) -> tuple[int, ...]:
    """The data whose chains were run."""
    return () if audit.chains is None else tuple(audit.chains.rows)


def spread(values: Tensor, rows: Sequence[int], num_data: int) -> np.ndarray:
    """Values of some data `[R, ...]` as float64 `[B, ...]`, NaN for the others."""
    found = np.full((num_data, *values.shape[1:]), np.nan)
    found[list(rows)] = values.detach().cpu().double().numpy()
    return found


def spread_words(words: Sequence[str], rows: Sequence[int], num_data: int) -> np.ndarray:
    """Strings of some data, "" for the others."""
    found = np.full(num_data, "", dtype=object)
    found[list(rows)] = list(words)
    return found


class _Rows:
    """Variables over all data, made of values of some."""

    def __init__(self, audit: Audit, rows: Sequence[int], latents: Sequence[str] = ()) -> None:
        self.rows, self.num_data = rows, audit.num_data
        self.coords: dict[str, Sequence[Any]] = {"datum": list(range(audit.num_data))}
        if latents:
            self.coords["latent"] = list(latents)

    def numbers(self, values: Tensor, unit: str = "", about: str = "", dims: tuple[str, ...] = ()) -> Variable:
        return Variable(("datum", *dims), spread(values, self.rows, self.num_data), unit, about)

    def estimate(self, name: str, found: Estimate, about: str = "") -> dict[str, Variable]:
        error = f"standard error of {name}"
        return {
            name: self.numbers(found.value, NATS, about),
            f"{name}_stderr": self.numbers(found.stderr, NATS, error),
        }

    def words(self, values: Sequence[str], about: str) -> Variable:
        return Variable(("datum",), spread_words(values, self.rows, self.num_data), "", about)

    def examined(self) -> dict[str, Variable]:
        marks = np.isin(np.arange(self.num_data), self.rows)
        return {"examined": Variable(("datum",), marks, "", "whether this part looked at the datum")}


def _log_evidence(audit: Audit, bracket: Any) -> Group:
    rows = _Rows(audit, range(audit.num_data))
    variables = rows.estimate("lower", bracket.lower, "lower side of log p(x)")
    variables |= rows.estimate("upper", bracket.upper, "upper side of log p(x)")
    variables["width"] = rows.numbers(bracket.width, NATS, "length of the 95 % interval around both sides")
    for side in SIDES:
        method = getattr(bracket, side).info.get("method", ("",) * audit.num_data)
        variables[f"{side}_method"] = rows.words(method, "what gave it; empty if nothing did")
    variables["flag"] = rows.words(bracket.flags, "why not to rely on it")
    variables["note"] = rows.words(bracket.notes, "what is worth knowing though it stands")
    return Group(variables, rows.coords, {"tolerance": bracket.tolerance, "seconds": bracket.seconds})


def _importance(audit: Audit, found: Any) -> Group:
    rows = _Rows(audit, range(audit.num_data))
    variables = rows.estimate("importance", found, "importance sampling from q, a lower bound on log p(x)")
    elbo = Estimate(found.info["elbo"], found.info["elbo_stderr"], "lower")
    variables |= rows.estimate("elbo", elbo, "ELBO of the guide on the same draws")
    variables["pareto_k"] = rows.numbers(
        found.info["pareto_k"], "", f"tail index of the weights, above {K_LIMIT} is bad"
    )
    variables["ess"] = rows.numbers(found.info["ess"], "", "effective number of draws")
    variables["flag"] = rows.words(found.flags, "why not to rely on importance sampling")
    return Group(variables, rows.coords, {"num_samples": found.info["num_samples"]})


def _decomposition(audit: Audit, found: Any) -> Group:
    rows, rungs = _Rows(audit, rows_of(audit, "decomposition")), list(found.ladder)
    variables = rows.examined()
    for name, about in TERMS.items():
        variables |= rows.estimate(name, found.room() if name == "room" else getattr(found, name), about)
    variables |= _by_rung(rows, "ladder", found.ladder, rungs, "ELBO of each rung")
    variables |= _by_rung(rows, "gain", found.gains, rungs, "ELBO over that of the rung before")
    variables["exploded"] = rows.numbers(found.exploded, "", "the encoder's output is not usable: left out of means")
    variables["evaluations"] = rows.numbers(found.num_evaluations, "", "of log p(x, z) or its gradient")
    variables["flag"] = rows.words(found.flags, "why not to rely on its terms")
    variables["note"] = rows.words(found.notes, "what is worth knowing though its terms stand")
    return Group(variables, rows.coords | {"rung": rungs}, {"family": found.family, "seconds": found.seconds})


def _by_rung(
    rows: _Rows, name: str, part: Mapping[str, Estimate], rungs: Sequence[str], about: str
) -> dict[str, Variable]:
    """An estimate of each rung side by side; NaN for rungs that have none."""
    nothing = np.full(rows.num_data, np.nan)

    def side_by_side(attribute: str) -> np.ndarray:
        columns = [
            spread(getattr(part[rung], attribute), rows.rows, rows.num_data) if rung in part else nothing
            for rung in rungs
        ]
        return np.stack(columns, 1)

    dims, error = ("datum", "rung"), f"standard error of {name}"
    return {
        name: Variable(dims, side_by_side("value"), NATS, about),
        f"{name}_stderr": Variable(dims, side_by_side("stderr"), NATS, error),
    }


def _agreement(audit: Audit, found: Any) -> Group:
    rows = _Rows(audit, rows_of(audit, "agreement"), found.latents)
    variables, latent = rows.examined(), ("latent",)
    for name, about in PER_LATENT.items():
        variables[name] = rows.numbers(getattr(found, name), "", about, latent)
        variables[f"{name}_stderr"] = rows.numbers(getattr(found, f"{name}_stderr"), "", "", latent)
    variables["wasserstein"] = rows.numbers(found.wasserstein, "posterior sd", "W₁ of the marginals", latent)
    variables["wasserstein_floor"] = rows.numbers(found.wasserstein_floor, "posterior sd", "W₁ of noise alone", latent)
    for name, about in PER_DATUM.items():
        variables[name] = rows.numbers(getattr(found, name), "", about)
    variables |= rows.estimate("kl_q_p", found.kl_q_p, "KL(q(z|x) ‖ p(z|x))")
    variables |= rows.estimate("kl_p_q", found.kl_p_q, "KL(p(z|x) ‖ q(z|x))")
    uses = list(found.uses)
    fit = np.stack([spread(found.uses[use], rows.rows, audit.num_data) for use in uses], 1)
    why = np.stack([spread_words(found.why_not[use], rows.rows, audit.num_data) for use in uses], 1)
    variables["fit_for"] = Variable(("datum", "use"), fit, "", "1 where q is good enough for the use, 0 where not")
    variables["why_not"] = Variable(("datum", "use"), why, "", "the reason why not")
    variables["flag"] = rows.words(found.flags, "why the reference should not be trusted")
    attrs = {"reference": found.reference, "seconds": found.seconds}
    return Group(variables, rows.coords | {"use": uses}, attrs)


def _convergence(audit: Audit, chains: Any) -> Group:
    found = chains.convergence
    latents = _latent_names(audit, found.rhat.shape[1])
    rows = _Rows(audit, chain_rows(audit), latents)
    variables = rows.examined()
    for name, about in CHAINS.items():
        variables[name] = rows.numbers(getattr(found, name), "", about, ("latent",))
    variables["divergences"] = rows.numbers(found.divergences, "", "divergent transitions")
    if found.ebfmi is not None:
        variables["ebfmi"] = rows.numbers(found.ebfmi, "", "energy Bayesian fraction of missing information")
    variables["flag"] = rows.words(found.flags, "why the draws are no reference")
    sizes = {name: getattr(chains, name) for name in ("num_chains", "num_draws", "num_warmup")}
    return Group(variables, rows.coords, sizes)


def _calibration(audit: Audit, found: Any) -> Group:
    curve = {name: Variable(("level",), _array(getattr(found, name)), "", about) for name, about in CURVES.items()}
    about = "ECDF of the ranks less the uniform one"
    checks = found.checks
    variables = {
        "ranks": Variable(("simulation", "quantity"), _array(found.ranks), "", "of the truth among the guide's draws"),
        "ecdf_difference": Variable(("level", "quantity"), _array(found.ecdf_difference), "", about),
        **curve,
        "p_value": Variable(("check",), np.array([c.p_value for c in checks]), "p", "of each test"),
        "rejected": Variable(("check",), np.array([c.rejected for c in checks], bool), "", "at the level of the tests"),
        "meaning": Variable(("check",), np.array([c.meaning for c in checks], object), "", "what the deviation says"),
    }
    coords = {
        "level": found.grid.tolist(), "quantity": list(found.quantities), "check": [c.name for c in checks],
        "simulation": list(range(found.num_simulations)),
    }  # fmt: skip
    attrs = {"kind": found.kind, "num_draws": found.num_draws, "test_level": found.level, "seconds": found.seconds}
    return Group(variables, coords, attrs | {"flags": "; ".join(found.flags)})


def _latent_use(audit: Audit, found: Any) -> Group:
    variables = {n: Variable(("latent",), _array(getattr(found, n)), "", about) for n, about in LATENTS.items()}
    for name in ("rate", "mutual_information", "marginal_kl", "pruned"):
        part = getattr(found, name)
        for suffix, attribute in (("", "value"), ("_stderr", "stderr")):
            value = float("nan") if part is None else float(getattr(part, attribute)[0])
            variables[name + suffix] = Variable((), np.array(value), NATS)
    attrs = {f"sigma_{name}": value for name, value in found.sigma.items()}
    attrs |= {"collapsed": "\n".join(found.collapsed), "sigma_told": found.sigma_told, "seconds": found.seconds}
    attrs["mutual_information_limit"] = float(found.mutual_information.info.get("limit", float("nan")))
    return Group(variables, {"latent": list(found.latents)}, attrs)


def _means(found: Mapping[str, Mean]) -> Group:
    columns = {f.name: np.array([getattr(mean, f.name) for mean in found.values()]) for f in fields(Mean)}
    about = {
        "value": "mean over usable data that speak for all", "stderr": "its Monte Carlo error, data held fixed",
        "over_data": "its standard error as a sample of data", "num_data": "usable data",
        "with_all": "mean with the data that were left out", "num_all": "all data looked at",
    }  # fmt: skip
    unit = {name: "" if name.startswith("num") else NATS for name in columns}
    variables = {name: Variable(("term",), values, unit[name], about[name]) for name, values in columns.items()}
    return Group(variables, {"term": list(found)})


def _latent_names(audit: Audit, size: int) -> Sequence[str]:
    for part in (audit.agreement, audit.portrait, audit.latent_use):
        if part is not None and len(part.latents) == size:
            return part.latents
    return [str(n) for n in range(size)]


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy()
