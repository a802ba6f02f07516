"""Tables and prose as text: coloured and fitted to the terminal there, plain and never cut everywhere else."""

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from elbowroom.entrances.visible import one_line, visible
from elbowroom.inference.showing.printed import Printed

LEAST_WIDTH = 100
_UNBOUNDED = 10_000


@dataclass
class Sheet:
    """A table before its width is known.

    Attributes:
        title: printed bold above it.
        columns: headers and whether they are "left" (words) or "right" (numbers).
        rows: cells and the style of each row; None is a line between groups.
    """

    title: str
    columns: Sequence[tuple[str, str]]
    rows: list[tuple[tuple[str, ...], str] | None] = field(default_factory=list)

    def add(self, *cells: str, style: str = "") -> None:
        """Add a row; names in its cells stay on their lines, with what hides in them visible."""
        self.rows.append((tuple(map(one_line, cells)), style))

    def add_line(self) -> None:
        """Set the rows that follow apart."""
        self.rows.append(None)

    def table(self, stacked: bool) -> Table:
        """As a rich table; `stacked` puts each error on a line below its value, to need fewer columns."""
        table = Table(
            title=Text(one_line(self.title), style="bold"),
            title_justify="left",
            box=SIMPLE_HEAD,
            header_style="bold",
            pad_edge=False,
            collapse_padding=True,
            padding=(0, 0 if stacked else 1),
        )
        for header, justify in self.columns:
            number = justify == "right"
            shown = header.replace(" ", "\n") if stacked and number else header  # a no-break space stays
            table.add_column(shown, justify=justify, overflow="fold", no_wrap=number)  # type: ignore[arg-type]
        for row in self.rows:
            if row is None:
                table.add_section()
            else:
                table.add_row(*(_stacked(cell) if stacked else cell for cell in row[0]), style=row[1])
        return table

    def as_list(self, width: int) -> Text:
        """Row by row, for narrow places: its first cell, and below it the others, each after its header."""
        said = Text("\n".join(textwrap.wrap(one_line(self.title), width)), style="bold")
        for row in self.rows:
            if row is None:
                continue
            cells, style = row
            said.append("\n" + "\n".join(textwrap.wrap(cells[0], width)), style=style)
            for (header, _), cell in zip(self.columns[1:], cells[1:], strict=True):
                if cell.strip():
                    line = f"{header}: {cell}" if header else cell
                    shown = textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ")
                    said.append("\n" + "\n".join(shown), style=style)
        return said


Part = Sheet | Text


def render(parts: Sequence[Part], *, width: int | None = None, color: bool | None = None) -> Printed:
    """Parts one below the other as a string, which a notebook shows as it is laid out.

    Args:
        parts: sheets and texts. A sheet too wide for `width` is stacked; one still too wide becomes a list of its rows.
        width: columns; by default those of the terminal, or of the environment variable `COLUMNS`, and where there is
            neither (a log, a file, a notebook) as many as the sheets need, at least 100.
        color: whether to use ANSI codes; by default in a terminal only, and not where `NO_COLOR` is set.
    """
    terminal = sys.stdout.isatty()
    if color is None:
        color = terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    if width is None and (terminal or os.environ.get("COLUMNS", "").isdigit()):
        width = shutil.get_terminal_size((LEAST_WIDTH, 24)).columns
    if width is None:
        width = max([LEAST_WIDTH, *(_measure(part.table(False)).maximum for part in parts if isinstance(part, Sheet))])
    console = _console(width, color)
    for part in parts:
        if isinstance(part, Text):
            console.print(part)
            continue
        table = part.table(stacked=_measure(part.table(False)).maximum > width)
        if _measure(table).minimum <= width:
            console.print(table, width=width, crop=False)
        else:
            console.print(part.as_list(width), soft_wrap=True)
    text = console.file.getvalue().replace("\u00a0", " ")  # type: ignore[attr-defined]
    return Printed("\n".join(line.rstrip() for line in text.splitlines()).strip("\n"))


def note(text: str, style: str = "dim") -> Text:
    """A line of prose."""
    return Text(visible(text), style=style)


def warning(text: str) -> Text:
    """A reason not to trust a number."""
    return Text(one_line(text), style="bold red")


def _stacked(cell: str) -> str:
    """`1.25 ± 0.02` and `1.25(2)` with their errors on a second line; words stay as they are."""
    if not cell[:1].isdigit() and cell[:1] not in ("-", "+"):
        return cell
    return cell.replace(" ± ", "\n± ").replace("(", "\n(")


def _measure(table: Table) -> Measurement:
    console = _console(_UNBOUNDED, False)
    return Measurement.get(console, console.options, table)


def _console(width: int, color: bool) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,  # names may have brackets
        legacy_windows=False,
    )
