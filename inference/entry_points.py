"""Functions of the floors above, by the names that the installed package gives them: inference/ imports none."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

REPORTS = "elbowroom.reports"
"""The group of entry points that names what draws a result, writes its files and hands it to other libraries."""


def report_function(name: str, instead: str) -> Callable[..., Any]:
    """The function that is called `name` in the group `REPORTS`.

    Args:
        name: as in pyproject.toml.
        instead: the call that does the same where there is none.

    Raises:
        RuntimeError: if elbowroom was installed before it had the entry point.
    """
    found = entry_points(group=REPORTS, name=name)
    if not found:
        raise RuntimeError(
            f"no entry point {name!r} in the group {REPORTS!r}: this elbowroom was installed before it had one. "
            f"Install it again, in a checkout with `pip install -e .`; until then {instead} does the same"
        )
    function: Callable[..., Any] = found[name].load()
    return function
