"""The examined data of an audit, as rows of text."""

from collections.abc import Mapping, Sequence

import torch

from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.estimate import reasons
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.text_table import aligned

_HEADER = ("datum", "ELBO", "amortization", "optimisation", "approximation", "log p(x)", "± error", "k-hat", "good for")
_SHORT = {"means": "means", "intervals": "intervals", "tails": "tails", "model comparison": "comparison"}


def table_rows(
    found: Decomposition | None,
    seen: Agreement | None,
    rows: Mapping[str, Sequence[int]],
    data: Sequence[int] | None,
    most: int,
) -> list[str]:
    """One line a datum under a header; nothing if no datum was examined.

    Raises:
        ValueError: for data that were not examined.
    """
    if found is None or seen is None:
        return []
    place = {row: i for i, row in enumerate(rows["decomposition"])}
    if absent := [b for b in data or () if b not in place]:
        raise ValueError(f"data {absent} were not examined; examined: {sorted(place)}")
    order = found.room().value.masked_fill(~found.usable, torch.inf).argsort(descending=True, stable=True).tolist()
    chosen = order[:most] if data is None else [place[b] for b in data]
    table = [_HEADER, *(_row(found, seen, rows["decomposition"][i], i) for i in chosen)]
    return aligned(table, ">" * len(_HEADER))


def _row(found: Decomposition, seen: Agreement, datum: int, i: int) -> tuple[str, ...]:
    terms = (found.elbo, found.amortization, found.optimisation, found.approximation, found.log_p)
    good = ", ".join(_SHORT.get(use, use) for use, marks in seen.uses.items() if bool(marks[i]))
    flags = reasons(found.flags[i], seen.flags[i])
    return (
        str(datum),
        *(f"{float(term.value[i]):.3f}" for term in terms),
        f"{float(found.log_p.stderr[i]):.3f}",
        f"{float(seen.pareto_k[i]):.2f}",
        (good or "nothing") + (f" ! {flags}" if flags else ""),
    )
