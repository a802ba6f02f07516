"""Pages that are executed, spread evenly over the pieces in which Sphinx's processes read them.

Sphinx cuts the sorted list of pages into pieces of ten, so that those of a folder are one process's, while the others
wait for it.
"""

from typing import Any

PIECE = 10
"""Pages of a piece, at most: `make_chunks` of `sphinx.util.parallel`."""


def setup(app: Any) -> None:
    """Before they are read."""
    app.connect("env-before-read-docs", lambda app, env, names: spread(names))


def spread(names: list[str]) -> None:
    """Reorder the names in place: neighbours are no longer in one piece."""
    pieces = -(-len(names) // PIECE)
    names[:] = [name for first in range(pieces) for name in names[first::pieces]]
