"""A run directory is data: code that its config.json names is imported only if the user says so, and never from it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from elbowroom.commands.options import Programs
from elbowroom.commands.registered import is_own


def check_trusted(config: Path, programs: Programs, trust: Sequence[str]) -> None:
    """Refuse programs that a file names and the user has not.

    Args:
        config: the file.
        programs: what it names.
        trust: what the user has said: modules, or `module:name`.

    Raises:
        ValueError: naming the file, what would be imported, and what to type.
    """
    own = dict.fromkeys(str(place) for place in (programs.model, programs.guide) if is_own(place))
    unknown = [place for place in own if place not in trust and place.partition(":")[0] not in trust]
    if unknown:
        raise ValueError(
            f"run: {config} names programs that are not elbowroom's: {' and '.join(unknown)} would be imported, and "
            f"run with your rights. If you know that code, say so: --trust {','.join(unknown)}"
        )


@contextmanager
def importable(run: Path | None) -> Iterator[None]:
    """Programs beside the user are found, as by python -m; of a run that is opened nothing in its directory is.

    Args:
        run: its directory; None for what the user has named.
    """
    here = os.getcwd()
    if here not in sys.path and not _lies_in(here, run):
        sys.path.insert(0, here)
    hidden = [entry for entry in sys.path if _lies_in(entry, run)]
    sys.path[:] = [entry for entry in sys.path if entry not in hidden]
    try:
        yield
    finally:
        sys.path[:0] = hidden


def _lies_in(entry: str, run: Path | None) -> bool:
    return run is not None and Path(entry).resolve().is_relative_to(run.resolve())
