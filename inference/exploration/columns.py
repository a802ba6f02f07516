"""What an audit knows of each datum: columns for the map, and the ladder from its ELBO upwards."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from elbowroom.inference.audit.result import Audit
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.exploration.result import Column, Rung


def columns_of(audit: Audit) -> dict[str, Column]:
    """Room, ELBO, log p(x), how far its sides are apart, k̂, and the parts of the room of examined data; those known."""
    lower, upper = audit.bracket.lower.value, audit.bracket.upper.value
    found: dict[str, Column] = {}
    if audit.sampled is not None:
        elbo = audit.sampled.info["elbo"]
        found["room"] = Column(lower - elbo, "log p(x) from below, less the ELBO", "nats", "high")
        found["ELBO"] = Column(elbo, "mean log w of draws of q: a lower bound of log p(x)", "nats", "low")
    found["log p(x)"] = Column(lower, "from below, by whatever method reached highest", "nats", "low")
    found["width"] = Column(upper - lower, "how far the two sides of log p(x) are apart", "nats", "high")
    if audit.sampled is not None:
        found["k-hat"] = Column(
            audit.sampled.info["pareto_k"], "tail index of the weights; above 0.7 is bad", "", "high"
        )
    for name, says in (("amortization", "the encoder's part of the room"), ("approximation", "the family's part")):
        if audit.decomposition is not None:
            values = _spread(getattr(audit.decomposition, name).value, audit)
            found[name] = Column(values, says, "nats", "high")
    known = {name: column for name, column in found.items() if bool(column.values.isfinite().any())}
    return {name: _finite(column) for name, column in known.items()}


def flags_of(audit: Audit) -> tuple[str, ...]:
    """Of each datum why its numbers should not be trusted: of log p(x), and of the terms of its room."""
    examined = _places(audit)
    flags = []
    for b, flag in enumerate(audit.bracket.flags):
        more = ""
        if audit.decomposition is not None and b in examined:
            more = audit.decomposition.flags[examined[b]]
        flags.append(flag if more in flag else reasons(flag, more))
    return tuple(flags)


def ladder_of(audit: Audit, b: int) -> tuple[Rung, ...]:
    """ELBO, the best member of each family where the room was taken apart, and log p(x) from both sides."""
    rungs: list[Rung] = []
    examined = _places(audit)
    if audit.decomposition is not None and b in examined:
        place = examined[b]
        rungs += [_rung(_NAMES.get(n, f"best {n}"), e, place, "lower") for n, e in audit.decomposition.ladder.items()]
    elif audit.sampled is not None:
        info = audit.sampled.info
        rungs.append(Rung("ELBO", float(info["elbo"][b]), float(info["elbo_stderr"][b]), "lower"))
    sides = (("log p(x), from below", audit.bracket.lower), ("log p(x), from above", audit.bracket.upper))
    rungs += [_rung(name, side, b, side.bound) for name, side in sides]
    return tuple(rung for rung in rungs if math.isfinite(rung.value))


_NAMES: Mapping[str, str] = {"encoder": "ELBO", "own-family": "best of q's own family"}
"""Rung -> what it is called beside others."""


def _rung(name: str, estimate: Estimate, b: int, bound: str) -> Rung:
    return Rung(name, float(estimate.value[b]), float(estimate.stderr[b]), bound)  # type: ignore[arg-type]


def _places(audit: Audit) -> dict[int, int]:
    """Examined datum -> its place in the decomposition."""
    return {b: i for i, b in enumerate(audit.rows.get("decomposition", ()))}


def _spread(values: Tensor, audit: Audit) -> Tensor:
    """Values of the examined data among all, NaN elsewhere."""
    every = torch.full((audit.num_data,), torch.nan, dtype=torch.float64)
    every[list(audit.rows["decomposition"])] = values.double().cpu()
    return every


def _finite(column: Column) -> Column:
    """NaN in the place of what is infinite."""
    values = column.values.double().cpu()
    return Column(values.masked_fill(~values.isfinite(), torch.nan), column.says, column.unit, column.worst)


def own_columns(labels: Tensor | None, columns: Mapping[str, Tensor] | None, num_data: int) -> dict[str, Column]:
    """Labels and columns of the caller's.

    Raises:
        ValueError: for one of another length.
    """
    given = {**({} if labels is None else {"label": labels}), **(columns or {})}
    for name, values in given.items():
        if tuple(values.shape) != (num_data,):
            what = "labels" if name == "label" and labels is not None else f"columns[{name!r}]"
            raise ValueError(
                f"{what}: got the shape {tuple(values.shape)}, expected a number for each datum, ({num_data},)"
            )
    return {
        name: Column(values.double().cpu(), "of the data", is_label=labels is not None and name == "label")
        for name, values in given.items()
    }
