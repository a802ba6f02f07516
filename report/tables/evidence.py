"""log p(x) of each datum from below and exactly, as a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from elbowroom.entrances import checked
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import with_contradictions
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo
from elbowroom.inference.showing.numbers import in_short
from elbowroom.inference.weights import K_LIMIT
from elbowroom.report.records.evidence import evidence_row
from elbowroom.report.records.number_format import compact, with_error
from elbowroom.report.tables.render import Part, Sheet, note, render, warning

_COLUMNS = (("datum", "right"), ("ELBO", "right"), ("importance log\u00a0p̂(x)", "right"), ("k̂", "right"))
_DIVERGENCES = (("KL(q‖p)", "right"), ("KL(p‖q)", "right"))


@checked
def evidence_table(
    sampled: Estimate[ImportanceInfo],
    exact: Estimate[QuadratureInfo] | None = None,
    *,
    data: Sequence[int] | None = None,
    width: int | None = None,
    color: bool | None = None,
) -> str:
    """A row for each datum: ELBO, importance-sampled and exact log\u00a0p(x), and the divergences between q and p(z|x).

    Args:
        sampled: from `importance`.
        exact: from `quadrature` of the same data, if there is one; without it KL(q‖p) is log p̂ − ELBO, too small where
            log p̂ is too low.
        data: what the rows are called (default: 0, 1, …).
        width, color: see `render`.

    Raises:
        ValueError: if the estimates or `data` are not of the same number of data.
    """
    for name, size in (("exact", None if exact is None else len(exact)), ("data", None if data is None else len(data))):
        if size is not None and size != len(sampled):
            raise ValueError(f"{name} has {size} entries and sampled has {len(sampled)}: give both for the same data")
    if exact is not None:
        checked = with_contradictions({"importance": sampled, "exact": exact})
        sampled, exact = checked["importance"], checked["exact"]
    rows = [evidence_row(sampled, exact, b, b if data is None else data[b]) for b in range(len(sampled))]
    renamed = [warning(f"! {text}") for text in in_short(sampled.unnormalised)]
    return render([*renamed, *evidence_parts(rows)], width=width, color=color)


def evidence_parts(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """The table of `Comparison.evidence_rows`, its legend and the reasons not to trust a row."""
    exact = any("exact" in row for row in rows)
    forward = any(row.get("kl_p_q") is not None for row in rows)
    middle = (("exact log\u00a0p(x)", "right"), ("modes", "right")) if exact else ()
    sheet = Sheet(
        "Evidence of each datum, nats", [*_COLUMNS, *middle, *(_DIVERGENCES if forward else _DIVERGENCES[:1])]
    )
    for row in rows:
        _add(sheet, row, exact, forward)
    legend = (
        "ELBO and log p̂ ± Monte Carlo standard error: lower bounds of log p(x) in expectation. KL(q‖p) is the room. "
        f"k̂: Pareto tail index of the weights, not to be above {K_LIMIT} (const.: constant weights)."
    )
    if exact:
        legend += " Exact: by quadrature, (numerical error in the last digit)."
    return [sheet, note(legend), *reasons(rows)]


def reasons(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """One line for each flagged estimate."""
    parts = []
    for row in rows:
        for key, method in (("flag", "importance"), ("exact_flag", "quadrature")):
            if row.get(key):
                parts.append(warning(f"! datum {row['datum']}, {method}: {row[key]}"))
    return [*parts]


def _add(sheet: Sheet, row: Mapping[str, Any], exact: bool, forward: bool) -> None:
    mark = " !" if row["flag"] else ""
    cells = [
        str(row["datum"]),
        with_error(row["elbo"], row["elbo_stderr"]),
        with_error(row["importance"], row["importance_stderr"]) + mark,
        _tail_index(row["pareto_k"]),
    ]
    if exact:
        cells += [compact(row["exact"], row["exact_error"]), str(row["num_modes"] or "–")]
    cells += [compact(row["kl_q_p"], row["kl_q_p_stderr"], max_decimals=4)]
    if forward:
        cells += [compact(row["kl_p_q"], row["kl_p_q_stderr"], max_decimals=4)]
    sheet.add(*cells, style="red" if mark else "")


def _tail_index(k: float) -> str:
    if math.isnan(k):
        return "–"
    return f"{k:.2f}" if math.isfinite(k) else "const."
