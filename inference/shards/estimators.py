"""Which estimators can be asked of shards, by name: each answers a batch of data with named estimates.

What is asked for is a function of (programs, data, seed, options): an estimator that goes by the clock would give other
numbers each time, so a bracket's budget is one of evaluations, for each batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.clock import read_budget
from elbowroom.inference.evidence.annealing import anneal, smc
from elbowroom.inference.evidence.bracket.bracket import bracket
from elbowroom.inference.evidence.importance.bounds import bounds
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.quadrature.quadrature import quadrature
from elbowroom.inference.target import Target

Answer = Mapping[str, Estimate[Any]]
"""Name -> estimate of the data of one batch."""

_OURS = ("target", "seed", "progress", "state", "draws")  # what shards give by themselves, or not at all


def _bracketed(target: Target, **options: Any) -> Answer:
    """Both sides of a bracket; its flags are those of both, its notes stand beside the lower one."""
    found = bracket(target, **options)
    info: dict[str, Any] = {**found.lower.info, "note": found.notes}
    lower = Estimate[Any](found.lower.value, found.lower.stderr, "lower", info, found.flags, found.lower.unnormalised)
    return {"lower": lower, "upper": replace(found.upper, flags=found.flags)}


ESTIMATORS: Mapping[str, Callable[..., Answer]] = {
    "importance": lambda target, **options: {"importance": importance(target, **options)},
    "bounds": lambda target, **options: dict(bounds(target, **options)),
    "anneal": lambda target, **options: {"anneal": anneal(target, **options)},
    "smc": lambda target, **options: {"smc": smc(target, **options)},
    "quadrature": lambda target, **options: {"quadrature": quadrature(target, **options)},
    "bracket": _bracketed,
}
"""Name -> what answers a batch."""

_CALLS: Mapping[str, Callable[..., Any]] = {
    "importance": importance, "bounds": bounds, "anneal": anneal, "smc": smc, "quadrature": quadrature,
    "bracket": bracket,
}  # fmt: skip


def check_estimator(name: str, options: Mapping[str, Any]) -> None:
    """Refuse what is no estimator, or no option of it.

    Raises:
        ValueError: naming what there is.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"estimator: got {name!r}, expected one of {sorted(ESTIMATORS)}")
    known = [option for option in signature(_CALLS[name]).parameters if option not in _OURS]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"options: {name} takes {known} here, got {unknown}")
    if name == "bracket" and not isinstance(options.get("budget"), str):
        raise ValueError(
            "options: a bracket of shards needs a budget of evaluations for each batch, such as "
            "{'budget': '1e7 evaluations'}: by seconds it would give other numbers each time"
        )
    if "budget" in options and name == "bracket":
        read_budget(options["budget"])


def takes_seed(name: str) -> bool:
    """Whether an estimator is random."""
    return "seed" in signature(_CALLS[name]).parameters
