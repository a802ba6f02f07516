"""The examined data of an audit, as rows of text."""

from collections.abc import Mapping, Sequence

import torch

from elbowroom.entrances.said import said
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.estimate import reasons
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.showing.text_table import aligned

HEADER = ("datum", "ELBO", "amortization", "optimisation", "approximation", "log p(x)", "± error", "k-hat", "good for")
_SHORT = {"means": "means", "intervals": "intervals", "tails": "tails", "model comparison": "comparison"}

Rows = Mapping[str, Sequence[int]]
"""Part of an audit -> the data that it covers."""


def table_rows(
    decomposition: Decomposition | None,
    agreement: Agreement | None,
    rows: Rows,
    data: Sequence[int] | None,
    most: int,
) -> list[str]:
    """One line a datum under a header; nothing if no datum was examined.

    Args:
        decomposition, agreement: of the examined data.
        rows: which data either covers.
        data: the data to show; None for those with the largest room.
        most: how many of them then.

    Raises:
        ValueError: for data that were not examined.
    """
    if decomposition is None or agreement is None:
        return []
    examined = rows["decomposition"]
    if absent := [b for b in data or () if b not in examined]:
        raise ValueError(f"data: {said(absent)} were not examined; choose among {sorted(examined)}")
    chosen = data if data is not None else [examined[i] for i in largest_room(decomposition)[:most]]
    return aligned([HEADER, *cells(decomposition, agreement, rows, chosen)], ">" * len(HEADER))


def largest_room(decomposition: Decomposition) -> list[int]:
    """Places of the examined data by their room, those that are not usable first."""
    room = decomposition.room().value.masked_fill(~decomposition.usable, torch.inf)
    return room.argsort(descending=True, stable=True).tolist()


def cells(decomposition: Decomposition, agreement: Agreement, rows: Rows, data: Sequence[int]) -> list[tuple[str, ...]]:
    """The cells of examined data under `HEADER`; empty ones where q was not held against the posterior."""
    decomposed, compared = ({b: i for i, b in enumerate(rows[part])} for part in ("decomposition", "agreement"))
    log_p = decomposition.log_p
    terms = (
        decomposition.elbo,
        decomposition.amortization,
        decomposition.optimisation,
        decomposition.approximation,
        log_p,
    )
    return [
        (
            str(b),
            *(plain(float(term.value[decomposed[b]])) for term in terms),
            plain(float(log_p.stderr[decomposed[b]])),
            *_use(agreement, compared.get(b), decomposition.flags[decomposed[b]]),
        )
        for b in data
    ]


def _use(agreement: Agreement, i: int | None, flag: str) -> tuple[str, str]:
    """k̂ and what q is good for, of the i-th datum that was compared, and why not to rely on any of it."""
    if i is None:
        return "", f"! {flag}" if flag else ""
    good = ", ".join(_SHORT.get(use, use) for use, marks in agreement.uses.items() if bool(marks[i]))
    flags = reasons(flag, agreement.flags[i])
    return f"{float(agreement.pareto_k[i]):.2f}", (good or "nothing") + (f" ! {flags}" if flags else "")
