"""Rich tables as text: coloured and as wide as the terminal there, plain and never cut everywhere else."""

import io
import os
import shutil
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

LEAST_WIDTH = 100
_UNBOUNDED = 10_000


def render(parts: Sequence[RenderableType], *, width: int | None = None, color: bool | None = None) -> str:
    """Parts one below the other as a string.

    Args:
        parts: tables and texts.
        width: columns; by default those of the terminal, and where there is none (a log, a file, a notebook) as many as
            the parts need, at least 100.
        color: whether to use ANSI codes; by default in a terminal only, and not where `NO_COLOR` is set.
    """
    terminal = sys.stdout.isatty()
    if color is None:
        color = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    if width is None:
        width = shutil.get_terminal_size((LEAST_WIDTH, 24)).columns if terminal else _natural_width(parts)
    console = _console(width, color)
    for part in parts:
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def new_table(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    """A table with a bold title and columns (header, "left" or "right"); cells are folded, never cut."""
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        header_style="bold",
        pad_edge=False,
        collapse_padding=True,
    )
    for header, justify in columns:
        table.add_column(header, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def note(text: str, style: str = "dim") -> Text:
    """A line of prose below a table."""
    return Text(text, style=style)


def warning(text: str) -> Text:
    """A reason not to trust a number."""
    return Text(text, style="bold red")


def _natural_width(parts: Sequence[RenderableType]) -> int:
    """What the widest table needs; prose is wrapped to that."""
    console = _console(_UNBOUNDED, False)
    tables = [part for part in parts if isinstance(part, Table)]
    return max([LEAST_WIDTH, *(Measurement.get(console, console.options, table).maximum for table in tables)])


def _console(width: int, color: bool) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )
