"""Execute the notebooks: each percent file, as a Jupyter kernel runs it, into output/*.ipynb.

`python notebooks/execute.py` runs all of them, `python notebooks/execute.py 01_elbo_and_the_truth` some. A cell that
fails is printed with its traceback, and the exit code is 1; the notebook is written as far as it got. Beside them go
their figures, as PNG and SVG, and a page of these (`gallery.py`). What the notebooks measured of the claims is in
claims.yaml (`claims.py`): entries that changed are printed.
"""

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import zmq
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets.config import Config

import claims
import gallery

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
SECONDS_A_CELL = 600

Entries = dict[str, dict[str, Any]]

_FORMATS = "--InlineBackend.figure_formats={'png', 'svg'}"


def main(names: list[str]) -> int:
    """Execute the named notebooks (all without names) and return the exit code."""
    try:
        paths = find(names)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    before = claims.read()
    claims.keep_waiting()
    failed = [path.stem for path in paths if not execute(path)]
    print("\n".join(changes(before, claims.read())))
    print(f"their figures: {gallery.write_index(OUTPUT)}")
    if failed:
        print(f"{len(failed)} of {len(paths)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def find(names: list[str], folder: Path = HERE) -> list[Path]:
    """The percent files of these names, with or without .py; all whose name starts with a digit without names."""
    known = {path.stem: path for path in sorted(folder.glob("[0-9]*.py"))}
    missing = [name for name in names if Path(name).stem not in known]
    if missing or not known:
        raise FileNotFoundError(f"no notebook {', '.join(missing) or folder}; there are: {', '.join(known) or 'none'}")
    return [known[Path(name).stem] for name in names] if names else list(known.values())


def changes(before: Entries, after: Entries) -> list[str]:
    """A line for each claim of which something else is said than before."""
    lines = []
    for name, entry in after.items():
        if entry != before.get(name):
            was, now = _said(before.get(name)), _said(entry)
            lines.append(f"{name} ({entry['notebook']}) says now: {now}; before: {was}")
    return lines or ["every claim as it was"]


def _said(entry: dict[str, Any] | None) -> str:
    if not entry or entry["number"] is None:
        return entry["verdict"] if entry else "nothing"
    return f"{entry['verdict']}, {entry['number']} ± {entry['error']} {entry['unit']}"


def execute(path: Path, output: Path = OUTPUT, register: Path = claims.REGISTER) -> bool:
    """Run one notebook, write it and its figures, say how long it took; whether every cell ran."""
    notebook = jupytext.read(path)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        extra_arguments=["--InteractiveShellApp.matplotlib=inline", _FORMATS],
        resources={"metadata": {"path": str(path.parent)}},
        config=Config(KernelManager={"transport_encryption": "auto" if zmq.has("curve") else "disabled"}),
    )
    began, failure = time.perf_counter(), ""
    try:
        client.execute(env={**os.environ, "ELBOWROOM_CLAIMS": str(register)})
    except CellExecutionError as error:
        failure = str(error)
    except (CellTimeoutError, DeadKernelError) as error:
        failure = f"{type(error).__name__}: {error}"
    output.mkdir(parents=True, exist_ok=True)
    written = output / f"{path.stem}.ipynb"
    nbformat.write(notebook, written)
    gallery.save_figures(notebook, path.stem, output)
    seconds = time.perf_counter() - began
    if failure:
        print(f"{path.name}: failed after {seconds:.0f} s\n{_plain(failure)}", file=sys.stderr)
        return False
    print(f"{path.name}: {seconds:.0f} s, {written}")
    return True


def _plain(text: str) -> str:
    """Without the colours of IPython's tracebacks, unless a terminal shows them."""
    return text if sys.stderr.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
