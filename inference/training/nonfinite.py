"""A loss or gradient that is not finite: which data it comes from."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SECONDS = 20.0
"""How long the search for the rows may take; groups not narrowed down by then are reported whole."""


class NonFiniteStep(ArithmeticError):
    """A step met a loss or gradient that is not finite and changed nothing; `what` is "loss" or "gradient"."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} is not finite")
        self.what = what


class NonFiniteError(ArithmeticError):
    """Training stopped before a step whose loss or gradient was NaN or infinite; no parameter was changed by it.

    Attributes:
        what: "loss" or "gradient".
        rows: indices into the training data of the rows that make it so; empty if no row does so by itself.
        epoch, step: where; `step` counts from the start of training.
        path: nonfinite.json, where the same is written; None without a run directory.
    """

    def __init__(
        self, what: str, rows: list[int], epoch: int, step: int, num_rows: int, parameters: list[str], path: Path | None
    ) -> None:
        if parameters:
            cause = f"parameters are not finite: {parameters[:4]}. Lower learning_rate or set clip_norm"
        elif not rows:
            cause = "no row makes it so by itself: look for what couples the rows of a minibatch (batch normalisation)"
        elif len(rows) == num_rows:
            cause = (
                "every row of the minibatch makes it so. Lower learning_rate, set clip_norm, bound scales from below, "
                "or look for values whose sum overflows"
            )
        else:
            some = f"{rows[:8]}{' …' if len(rows) > 8 else ''}"
            cause = f"rows {some} of the training data make it so. Look at these data"
        super().__init__(
            f"the {what} is not finite at epoch {epoch}, step {step}: {cause}. No parameter was changed by this step"
            + (f"; the last checkpoint is intact and the rows are in {path}." if path else ".")
        )
        self.what, self.rows, self.epoch, self.step, self.path = what, rows, epoch, step, path


def report(
    what: str,
    rows: list[int],
    minibatch: list[int],
    epoch: int,
    step: int,
    parameters: list[str],
    write: Callable[[str, Any], Path] | None,
) -> NonFiniteError:
    """The error to raise; nonfinite.json says the same, if somebody writes it."""
    path = None
    if write is not None:
        said = {"what": what, "epoch": epoch, "step": step, "rows": rows, "minibatch": minibatch}
        path = write("nonfinite.json", said | {"parameters": parameters})
    return NonFiniteError(what, rows, epoch, step, len(minibatch), parameters, path)


def find_rows(
    batch: tuple[Tensor, ...], is_finite: Callable[[tuple[Tensor, ...], Tensor], bool], seconds: float = SECONDS
) -> list[int]:
    """Positions in a minibatch of the rows that make its loss or gradient non-finite, by bisection.

    A group of rows is tried in its own places, so that each row meets the noise it met. Every other place is masked,
    and filled by rows of the group too: a masked term is 0, but 0 times an infinite derivative is not. A group that is
    finite is cleared, another is halved.

    Args:
        batch: the minibatch, each tensor `[b, ...]`.
        is_finite: given a minibatch and a mask `[b]`, whether the step's loss (or gradient, if only that was bad) is
            finite with the step's own noise.
        seconds: after them groups are reported whole.
    """
    num_rows = len(batch[0]) if batch else 0
    positions: list[int] = []
    deadline = time.monotonic() + seconds
    groups = [range(num_rows)] if num_rows else []
    while groups:
        group = groups.pop()
        if is_finite(*_trial(batch, group)):
            continue
        if len(group) == 1 or time.monotonic() > deadline:
            positions += group
            continue
        middle = len(group) // 2
        groups += [group[middle:], group[:middle]]
    return sorted(positions)


def _trial(batch: tuple[Tensor, ...], group: range) -> tuple[tuple[Tensor, ...], Tensor]:
    num_rows = len(batch[0])
    index = [i if i in group else group[i % len(group)] for i in range(num_rows)]
    mask = torch.tensor([i in group for i in range(num_rows)], device=batch[0].device)
    return tuple(t[index] for t in batch), mask
