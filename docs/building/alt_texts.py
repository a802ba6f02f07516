"""Every picture of the site says in words what is to be seen in it, or the build fails."""

from typing import Any

from docutils import nodes
from sphinx.util import logging

log = logging.getLogger(__name__)


def setup(app: Any) -> None:
    """When a page has been read, pictures of executed cells among it."""
    app.connect("doctree-read", _look)


def _look(app: Any, document: nodes.document) -> None:
    for picture in untold(document):
        log.warning("a picture without an alt text: %s", picture["uri"], location=picture)


def untold(document: nodes.document) -> list[nodes.image]:
    """Pictures without words, or with a file's name for them."""
    pictures = document.findall(nodes.image)
    return [picture for picture in pictures if len(picture.get("alt", "").split()) < MOST_CARELESS]


MOST_CARELESS = 3
"""A word or two do not say what is to be seen."""
