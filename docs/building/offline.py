"""No page asks for anything over the network: scripts, styles, pictures, fonts and frames are files beside it, or the
build fails. Links that a reader may follow are no such thing.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError

ASKS = re.compile(
    r"""<(?:script|img|iframe|source|embed|video|audio)\b[^>]*\bsrc=["'](?:https?:)?//[^"']*"""
    r"""|<link\b(?=[^>]*\brel=["'](?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["'](?:https?:)?//[^"']*"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')]*|url\(["']?(?:https?:)?//[^"')]*"""
)
"""What a browser fetches by itself."""


def setup(app: Any) -> None:
    """When the site is written."""
    app.connect("build-finished", _look)


def _look(app: Any, exception: Exception | None) -> None:
    found = [] if exception else requests(Path(app.outdir))
    if found:
        raise ExtensionError("pages ask for something over the network:\n" + "\n".join(found))


def requests(folder: Path) -> list[str]:
    """`page: what it asks for`, of all pages and styles in a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".html", ".css")]
    return [
        f"{file.relative_to(folder)}: {asked[0]}"
        for file in files
        for asked in ASKS.finditer(file.read_text(encoding="utf-8"))
    ]
