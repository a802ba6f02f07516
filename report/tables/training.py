"""The course of a training run, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from elbowroom.entrances import checked
from elbowroom.report.records.number_format import with_error
from elbowroom.report.tables.render import Sheet, note, render

_COLUMNS = ("epoch", "β", "training loss", "held-out ELBO", "reconstruction", "KL", "learning rate", "seconds", "")


@checked
def training_table(
    history: Sequence[Mapping[str, Any]], *, num_rows: int = 10, width: int | None = None, color: bool | None = None
) -> str:
    """Some epochs of `Fit.history` (or of metrics.jsonl), evenly spaced, the last and the best among them.

    Args:
        history: a mapping for each epoch; missing entries stay empty.
        num_rows: how many to show, at least 2.
        width, color: see `render`.

    Raises:
        ValueError: if the history is empty or `num_rows` is below 2.
    """
    if not history:
        raise ValueError("history is empty: train for at least one epoch")
    if odd := [i for i, row in enumerate(history) if "epoch" not in row]:
        raise ValueError(f"history must be that of Fit.history: no 'epoch' in the entries {odd[:8]}")
    if num_rows < 2:
        raise ValueError(f"num_rows must be at least 2, got {num_rows}")
    elbos = {i: row["elbo"] for i, row in enumerate(history) if row.get("elbo") is not None}
    best = max(elbos, key=elbos.__getitem__) if elbos else None
    candidates = sorted(elbos) or list(range(len(history)))
    last = len(candidates) - 1
    shown = {candidates[round(i * last / (num_rows - 1))] for i in range(num_rows)} | {len(history) - 1}
    sheet = Sheet("Training, nats per datum", [(name, "right") for name in _COLUMNS])
    for i in sorted(shown if best is None else shown | {best}):
        sheet.add(*_cells(history[i]), "best" if i == best else "")
    legend = "Training loss: minus the ELBO of minibatches while parameters moved, its KL times β. Held-out: β = 1."
    return render([sheet, note(legend)], width=width, color=color)


def _cells(row: Mapping[str, Any]) -> list[str]:
    elbo, stderr = row.get("elbo"), row.get("elbo_stderr")
    return [
        str(row.get("epoch", "")),
        _number(row.get("beta"), ".3g"),
        _number(row.get("train_loss"), ".3f"),
        "" if elbo is None else with_error(elbo, float("nan") if stderr is None else stderr),
        _number(row.get("reconstruction"), ".3f"),
        _number(row.get("kl"), ".3f"),
        _number(row.get("learning_rate"), ".2g"),
        _number(row.get("seconds"), ".1f"),
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
