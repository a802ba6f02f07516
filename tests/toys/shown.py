"""What is asked of every result when it is printed, as text and as HTML."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, WIDTH

VOID = {"br", "hr"}


class Page(HTMLParser):
    """Reads HTML whose elements must be closed in order: cells by row, and all elements there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def check_shown(result: Shown) -> None:
    """A short table as text, the same rows as HTML, one line as `repr`; no dump of fields in any of them."""
    lines = str(result).splitlines()
    assert 1 <= len(lines) <= LINES and max(map(len, lines)) <= WIDTH + 10, str(result)
    assert "\n" not in repr(result) and repr(result).startswith(f"<{type(result).__name__}: ")
    page = Page(result._repr_html_())
    assert {tag for tag, _ in page.elements} <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert all(re.fullmatch("text-align: (left|right)", a["style"] or "") for _, a in page.elements if "style" in a)
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")
    assert len({len(row) for row in page.rows}) <= 1 and len(page.rows) <= LINES
    for text in (str(result), repr(result), page.text):
        assert "tensor(" not in text and "Estimate(value=" not in text and " object at 0x" not in text, text


def shown_parts(result: Any) -> Iterator[Shown]:
    """A result and all results within it; whatever holds tensors is one of them."""
    if isinstance(result, Shown):
        yield result
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        assert isinstance(result, Shown) or "tensor(" not in repr(result), type(result)
        parts = [getattr(result, field.name) for field in dataclasses.fields(result)]
    elif isinstance(result, Mapping):
        parts = list(result.values())
    else:
        parts = list(result) if isinstance(result, list | tuple) else []
    for part in parts:
        yield from shown_parts(part)
