"""The examined data of an audit, as rows of text."""

from collections.abc import Sequence

import torch

from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.estimate import reasons
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.text_table import aligned

_HEADER = ("datum", "ELBO", "amortization", "optimisation", "approximation", "log p(x)", "± error", "k-hat", "good for")
_SHORT = {"means": "means", "intervals": "intervals", "tails": "tails", "model comparison": "comparison"}


def table_rows(
    decomposition: Decomposition | None,
    agreement: Agreement | None,
    examined: Sequence[int],
    data: Sequence[int] | None,
    most: int,
) -> list[str]:
    """One line a datum under a header; nothing if no datum was examined.

    Args:
        decomposition, agreement: of the examined data.
        examined: their indices.
        data: the data to show; None for those with the largest room.
        most: how many of them then.

    Raises:
        ValueError: for data that were not examined.
    """
    if decomposition is None or agreement is None:
        return []
    place = {datum: i for i, datum in enumerate(examined)}
    if absent := [b for b in data or () if b not in place]:
        raise ValueError(f"data {absent} were not examined; examined: {sorted(place)}")
    room = decomposition.room().value.masked_fill(~decomposition.usable, torch.inf)
    order = room.argsort(descending=True, stable=True).tolist()
    chosen = order[:most] if data is None else [place[b] for b in data]
    table = [_HEADER, *(_row(decomposition, agreement, examined[i], i) for i in chosen)]
    return aligned(table, ">" * len(_HEADER))


def _row(decomposition: Decomposition, agreement: Agreement, datum: int, i: int) -> tuple[str, ...]:
    """The cells of the i-th examined datum."""
    log_p = decomposition.log_p
    room = (decomposition.amortization, decomposition.optimisation, decomposition.approximation)
    good = ", ".join(_SHORT.get(use, use) for use, marks in agreement.uses.items() if bool(marks[i]))
    flags = reasons(decomposition.flags[i], agreement.flags[i])
    return (
        str(datum),
        *(f"{float(term.value[i]):.3f}" for term in (decomposition.elbo, *room, log_p)),
        f"{float(log_p.stderr[i]):.3f}",
        f"{float(agreement.pareto_k[i]):.2f}",
        (good or "nothing") + (f" ! {flags}" if flags else ""),
    )
