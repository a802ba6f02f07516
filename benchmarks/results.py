"""Benchmark results: printed side by side, and kept in RESULTS.md with the machine's description."""

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import torch

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = (
    "# Benchmark results\n\nThe last figures of each script in this folder; ratios of one run on one machine matter.\n"
)


def machine() -> str:
    """The machine in a line: processor count and kind, threads, library versions."""
    cores = os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{platform.machine()}, {cores} cores ({torch.backends.cpu.get_cpu_capability()}), "
        f"{torch.get_num_threads()} threads{gpu}; Python {platform.python_version()}, torch {torch.__version__}"
    )


def report(key: str, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a table and put it in the place of the script's earlier one in RESULTS.md."""
    width = max(len(name) for name, _ in rows)
    print(f"\n{title}\n" + "\n".join(f"  {name.ljust(width)}  {value}" for name, value in rows), flush=True)
    lines = [f"<!-- {key} -->", f"## {title}", "", machine(), "", "| what | result |", "|---|---|"]
    section = "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows), f"<!-- /{key} -->"])
    text = RESULTS.read_text() if RESULTS.exists() else _HEAD
    pattern = re.compile(rf"<!-- {key} -->.*?<!-- /{key} -->", re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    try:
        RESULTS.write_text(text)
    except OSError as error:
        print(f"(not kept in {RESULTS.name}: {error})")
