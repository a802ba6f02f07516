"""The sidebar opens where the reader is: all names of the reference on each page made the site twice as large."""

from typing import Any


def setup(app: Any) -> None:
    """Before the theme asks for the tree of pages."""
    app.connect("html-page-context", _collapse, priority=100)


def _collapse(app: Any, page: str, template: str, context: dict[str, Any], document: Any) -> None:
    whole = context.get("toctree")
    if whole is not None:
        context["toctree"] = lambda **options: whole(**options | {"collapse": True})
