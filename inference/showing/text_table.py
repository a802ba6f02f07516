"""Tables in plain text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """One line a row: each column as wide as its widest cell, two blanks between, none at the end.

    Args:
        rows: cells, a header's first.
        sides: `<` (left) or `>` (right) for each column.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    formats = [f"{side}{width}" for side, width in zip(sides, widths, strict=True)]
    return ["  ".join(map(format, row, formats)).rstrip() for row in rows]
