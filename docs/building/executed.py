"""The notebooks, executed: each kept under a name that changes with its text and with the package's code.

Pages with `{code-cell}` are executed by MyST-NB, which keeps them by their code; where it keeps them changes with the
package's code, too.
"""

import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from building import DOCS
from building.code_hash import code_hash, text_hash

NOTEBOOKS = DOCS.parent / "notebooks"
KEPT = DOCS / "_build" / "executed" / "notebooks"
BESIDE = ("figures.py", "claims.py", "gallery.py", "execute.py")
"""What notebooks are run with."""


QUICK = bool(os.environ.get("QUICK"))
"""`make docs QUICK=1`: what is not kept is shown without outputs, and not run."""


def executed(names: list[str] | None = None) -> dict[str, Path]:
    """Name of each notebook -> the folder with it as it ran and its figures; those that are not kept are run.

    As many run at once as there are processors, the last ones first: those take longest. What they measure of claims
    goes nowhere: `make notebooks` is for that.

    Raises:
        RuntimeError: a cell failed; its traceback has been printed.
    """
    paths = sorted(path for path in NOTEBOOKS.glob("[0-9]*.py") if not names or path.stem in names)
    folders = {path.stem: KEPT / f"{path.stem}-{key_of(path)}" for path in paths}
    missing = [path for path in reversed(paths) if not (folders[path.stem] / f"{path.stem}.ipynb").exists()]
    if QUICK or not missing:
        return folders
    with ProcessPoolExecutor(processors(), mp_context=get_context("spawn")) as pool:
        done = dict(zip(missing, pool.map(_run, missing, [folders[path.stem] for path in missing]), strict=True))
    for old in KEPT.glob("*-*"):
        if not names and old not in folders.values():
            shutil.rmtree(old)
    if failed := [path.stem for path in missing if not done[path]]:
        raise RuntimeError(f"notebooks that failed: {', '.join(failed)}")
    return folders


def pages_kept() -> Path:
    """Where MyST-NB keeps the pages that it has executed; those of other code are removed."""
    place = KEPT.parent / f"pages-{code_hash()}"
    for old in KEPT.parent.glob("pages-*"):
        if old != place:
            shutil.rmtree(old)
    return place


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def key_of(notebook: Path) -> str:
    """Changes with all that the outputs depend on."""
    return text_hash(*(path.read_text(encoding="utf-8") for path in (notebook, *(NOTEBOOKS / name for name in BESIDE))))


def _run(notebook: Path, folder: Path) -> bool:
    sys.path.insert(0, str(NOTEBOOKS))
    from execute import execute

    with tempfile.TemporaryDirectory() as place:
        output, register = Path(place) / "output", Path(place) / "claims.yaml"
        shutil.copy(NOTEBOOKS / "claims.yaml", register)
        if not execute(notebook, output, register):
            return False
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(output, folder)
    return True


if __name__ == "__main__":
    executed(sys.argv[1:])
