"""A table as it is shown: sentences above, then as many of its rows as fit; as text and as HTML."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from elbowroom.entrances.visible import visible
from elbowroom.inference.showing.text_table import aligned

LINES = 40
"""Lines that a table takes at most, however many data there are."""
WIDTH = 110
"""Columns that its lines are wrapped to, if the numbers leave room for words at all."""
HEAD_LINES = 24
"""Lines of which sentences take at most so many, that there is room for rows."""
_LEAST_WORDS = 30  # columns that the last, wordy column keeps however wide the others are
_MOST_LINES = 4  # lines that the words of a row may take, unless few rows leave room for more
_AGAIN = ["as above"]  # in place of more than a line of the same words
_MOST_CELL = 36  # characters that a cell of another column keeps: sites may have long names


@dataclass(frozen=True)
class Table:
    """What a result says of itself.

    Attributes:
        head: sentences; the first is its title, and all there is in a `repr`.
        columns: headers; the last column holds words (a flag), which are wrapped.
        sides: `<` (left) or `>` (right) for each column.
        rows: the cells of some rows, those that matter most first.
        num_rows: how many rows there are in all; None: those given.
        noun: what a row is, in the plural.
    """

    head: tuple[str, ...]
    columns: tuple[str, ...] = ()
    sides: str = ""
    rows: Sequence[tuple[str, ...]] = ()
    num_rows: int | None = None
    noun: str = "data"

    @property
    def title(self) -> str:
        """The first sentence, on one line."""
        return _one_line(self.head[0])

    def text(self) -> str:
        """At most `LINES` lines: the sentences, wrapped, and the rows that fit, with how many more there are."""
        return "\n".join([*self._head(), *self._body()[0]])

    def html(self) -> str:
        """The same rows as an HTML table, words uncut and escaped; it brings no colours."""
        shown = self.rows[: self._body()[1]]
        parts = [f"<p>{html.escape(line)}</p>" for line in map(_one_line, self.head)]
        if shown:
            aligns = ["right" if side == ">" else "left" for side in self.sides]
            head = "".join(
                f'<th scope="col" style="text-align: {a}">{html.escape(visible(c))}</th>'
                for c, a in zip(self.columns, aligns, strict=True)
            )
            body = "".join(f"<tr>{_html_cells(row, aligns)}</tr>" for row in shown)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        if more := self._more(len(shown)):
            parts.append(f"<p>{html.escape(more)}</p>")
        return f"<div>{''.join(parts)}</div>"

    def _head(self) -> list[str]:
        """The sentences, a wrapped one's further lines indented; the last ones left out where they are too long."""
        room = HEAD_LINES if self.rows else LINES
        lines = [line for sentence in self.head for line in _wrapped(sentence, WIDTH) or [""]]
        return lines if len(lines) <= room else [*lines[: room - 1], f"… and {len(lines) - room + 1} more lines"]

    def _body(self) -> tuple[list[str], int]:
        """The lines below the sentences, and how many rows they show."""
        if not self.rows:
            more = self._more(0)
            return ([more] if more else []), 0
        cells = [tuple(_one_line(c) for c in row) for row in (self.columns, *self.rows[:LINES])]
        numbers = aligned([[_cut(c, _MOST_CELL) for c in row[:-1]] for row in cells], self.sides[:-1])
        place = max(map(len, numbers)) + 2
        room = max(WIDTH - place, _LEAST_WORDS)
        left = LINES - len(self._head()) - 2  # the header and the line that counts the rest
        told = [_wrapped(row[-1], room) or [""] for row in cells[1:]]
        told = [told[0], *(_after(above, words) for above, words in pairwise(told))]
        again = told.count(_AGAIN)
        most = max(_MOST_LINES, (left - again) // (len(self.rows) - again))
        lines, shown = [f"{numbers[0]:<{place}}{cells[0][-1]}".rstrip()], 0
        for number, whole in zip(numbers[1:], told, strict=True):
            if left < 1:
                break
            words = _shortened(whole, min(most, left), room)
            lines += [f"{start:<{place}}{line}".rstrip() for start, line in zip(_column(number), words, strict=False)]
            left, shown = left - len(words), shown + 1
        more = self._more(shown)
        return [*lines, *([more] if more else [])], shown

    def _more(self, shown: int) -> str:
        more = (len(self.rows) if self.num_rows is None else self.num_rows) - shown
        return f"… and {more} more {self.noun}" if more > 0 else ""


def _after(above: list[str], words: list[str]) -> list[str]:
    """The words of a row below another one: long ones are not said again."""
    return _AGAIN if words == above and len(words) > 1 else words


def _column(first: str) -> Sequence[str]:
    """What stands before each line of words: the numbers, then nothing."""
    return [first, *[""] * LINES]


def _one_line(text: str) -> str:
    """The text without line breaks, which would be lines that nobody counted, and with what hides in it visible."""
    return visible(" ".join(text.split()))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most so many columns; blanks at the beginning stay, as the sentences of a list have them."""
    indent = "  " if text.startswith("  ") else ""
    return textwrap.wrap(_one_line(text), width, initial_indent=indent, subsequent_indent=indent + "  ")


def _shortened(lines: list[str], most: int, width: int) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], lines[most - 1][: width - 2] + " …"]


def _cut(cell: str, most: int) -> str:
    return cell if len(cell) <= most else cell[: most - 1] + "…"


def _html_cells(row: Sequence[str], aligns: Sequence[str]) -> str:
    texts = [html.escape(visible(cell)) for cell in row]
    first = f'<th scope="row" style="text-align: {aligns[0]}">{texts[0]}</th>'
    rest = (f'<td style="text-align: {a}">{t}</td>' for a, t in zip(aligns[1:], texts[1:], strict=True))
    return first + "".join(rest)
