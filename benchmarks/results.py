"""Benchmark results: printed side by side, and kept in RESULTS.md with the machine's description.

A section is a script's, of a form (`benchmarks/options.py`) and a kind of device; a run puts its figures in the place
of those of the last such run. Nothing else writes figures there.
"""

import argparse
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import torch

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """# Benchmark results

The last figures of each script in this folder, which writes them itself; ratios of one run on one machine matter. What
a script has to be told to take longer is its long form, of which figures are kept beside those of the default one.
`python -m benchmarks --list` says what there is.
"""


def machine(device: torch.device) -> str:
    """The machine in a line: processor count and kind, the card if that is what runs, library versions."""
    card = f", {torch.cuda.get_device_name(device)} (CUDA {torch.version.cuda})" if device.type == "cuda" else ""
    kind = f"{os.cpu_count()} cores ({torch.backends.cpu.get_cpu_capability()})"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.machine()}, {kind}{card}; {versions}"


def report(
    key: str, title: str, rows: Sequence[tuple[str, str]], options: argparse.Namespace, *, whole: bool = True
) -> None:
    """Print a table, and put it in the place of the script's earlier one of that form in RESULTS.md.

    Args:
        key: name of the section, by default form on the processor; others get a name of their own.
        title, rows: the table.
        options: of `parsed`. Of the quick form nothing is kept.
        whole: whether this is all that the script shows; of a part nothing is kept.
    """
    rows = [*rows, *([("device", options.aside)] if options.aside else [])]
    where = "on the card" if options.device.type == "cuda" else "on the processor"
    how = f"{options.form} form{f', {options.own}' if options.own else ''}; threads: {options.threads}; {where}"
    width = max(len(name) for name, _ in rows)
    lines = "\n".join(f"  {name.ljust(width)}  {value}" for name, value in rows)
    print(f"\n{title}\n{machine(options.device)}\n{how}\n{lines}", flush=True)
    if options.form != "quick" and whole:
        suffix = "_long" * (options.form == "long") + "_cuda" * (options.device.type == "cuda")
        keep(key + suffix, title, f"{machine(options.device)}; {how}", ("what", "result"), rows)


def keep(key: str, title: str, said: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Write a section into RESULTS.md, in the place of the one of that key."""
    table = [" | ".join(("", *cells, "")).strip() for cells in (head, *rows)]
    table.insert(1, "|---" * len(head) + "|")
    section = "\n".join([f"<!-- {key} -->", f"## {title}", "", said, "", *table, f"<!-- /{key} -->"])
    text = RESULTS.read_text() if RESULTS.exists() else _HEAD
    pattern = _pattern(key)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    try:
        RESULTS.write_text(text)
    except OSError as error:
        print(f"(not kept in {RESULTS.name}: {error})")


def kept(key: str) -> list[tuple[str, ...]]:
    """The rows of a section of RESULTS.md; none if it is not there."""
    found = _pattern(key).search(RESULTS.read_text()) if RESULTS.exists() else None
    lines = [line for line in found.group().splitlines() if line.startswith("| ")] if found else []
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[1:]]


def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {re.escape(key)} -->.*?<!-- /{re.escape(key)} -->", re.DOTALL)
