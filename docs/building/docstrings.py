"""A docstring as this house writes it, as the reStructuredText that Sphinx's autodoc wants.

Here paragraphs, lists, `code` and *emphasis* are those of Markdown; what is indented by four is code, or a formula in
plain letters; and sections such as `Args:` hold entries `name: what it is`. Everything else is text, also where
reStructuredText would read a mark in it.
"""

import inspect
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

HEADS = {"Args": "Arguments"}
"""Sections that the site calls by another name."""

SECTION = re.compile(r"(?m)^([A-Z][^\n]*):\n((?:[ ]{4}[^\n]*(?:\n|\Z))(?:(?:[ ]{4}[^\n]*)?(?:\n|\Z))*)")
"""A line that ends in a colon, and what is indented below it without a blank line between."""

ENTRY = re.compile(r"(\*{0,2}\w[\w.]*(?:,\s+\*{0,2}\w[\w.]*)*): (.*)", re.DOTALL)
"""`name: text`, or `name, name: text`."""


def setup(app: Any) -> None:
    """Every docstring that autodoc reads is converted."""
    app.connect("autodoc-process-docstring", _convert)


def _convert(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rest("\n".join(lines))


def as_rest(docstring: str) -> list[str]:
    """The lines of reStructuredText that say what the docstring says, as `inspect.getdoc` gives it."""
    written: list[str] = []
    for name, text in sections(docstring):
        if not name:
            written += body(text)
            continue
        written += [f":{inline(HEADS.get(name, name))}:", *_indented(entries(text)), ""]
    return written


def sections(docstring: str) -> Iterator[tuple[str, str]]:
    """(name of the section, empty between sections; its text without its indentation) in their order."""
    parts = SECTION.split(docstring.strip("\n"))
    for i in range(0, len(parts), 3):
        if parts[i].strip():
            yield "", parts[i]
        if i + 2 < len(parts):
            yield parts[i + 1], inspect.cleandoc("\n" + parts[i + 2])


def entries(text: str) -> list[str]:
    """A section's entries as a list of definitions; what is none of them is text."""
    parts = [part.strip("\n") for part in re.split(r"\n(?=\S)", text)]
    if not any(ENTRY.fullmatch(part) for part in parts):
        return body(text)
    written: list[str] = []
    for part in parts:
        if found := ENTRY.fullmatch(part):
            names = ", ".join(f"``{name}``" for name in re.split(r",\s+", found[1]))
            written += [names, *_indented(body(inspect.cleandoc(found[2]))), ""]
        else:
            written += [*body(part), ""]
    return written


def body(text: str) -> list[str]:
    """Paragraphs and lists with their marks as those of reStructuredText, and what is indented as code."""
    written: list[str] = []
    in_list = False
    for block in _blocks(text):
        if block.startswith("    ") and not in_list:
            written += [f".. code-block:: {language(block)}", "", *_indented(dedent(block).splitlines()), ""]
            continue
        in_list = bool(re.match(r"[-*] |\d+\. ", block)) or (in_list and block.startswith(" "))
        told, _, below = block.partition("\n    ") if not in_list else (block, "", "")
        written += [*inline(told).splitlines(), ""]
        if below:
            written += entries(inspect.cleandoc(f"\n    {below}"))
    return written


def _blocks(text: str) -> list[str]:
    """What stands between blank lines; code goes on over them, and so does a formula."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if blocks and _go_together(blocks[-1], block):
            blocks[-1] += f"\n\n{block}"
        else:
            blocks.append(block)
    return blocks


def _go_together(one: str, other: str) -> bool:
    if not (one.startswith("    ") and other.startswith("    ")):
        return False
    return language(f"{one}\n\n{other}") == "python" or language(one) == language(other) == "text"


def language(block: str) -> str:
    """`python` of what is code, `text` of formulas in plain letters."""
    try:
        compile(dedent(block), "", "exec")
    except SyntaxError:
        return "text"
    return "python"


def inline(text: str) -> str:
    """Code and emphasis with the marks of reStructuredText; other characters that it would read are escaped."""
    parts = re.split(r"`([^`]+)`", text)
    for i in range(0, len(parts), 2):
        parts[i] = _plain(parts[i])
    for i in range(1, len(parts), 2):
        before, after = parts[i - 1][-1:], parts[i + 1][:1]
        code = " ".join(parts[i].split())
        parts[i] = ("\\ " if before.strip() else "") + f"``{code}``" + ("\\ " if after.strip() else "")
    return "".join(parts)


def _plain(text: str) -> str:
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return "\0"

    text = re.sub(r"(?m)^\* ", "- ", text)
    text = re.sub(r"(?<![\w*])(\*{1,2})(?=[^\s*])[^*]*[^\s*]\1(?![\w*])", keep, text)
    text = re.sub(r"([\\*|`])", r"\\\1", text)
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    return re.sub("\0", lambda _: kept.pop(0), text)


def _indented(lines: list[str]) -> list[str]:
    return [f"   {line}" if line else "" for line in lines]
