"""The checks of `docs/checks/`, as warnings of the build, which end it."""

from typing import Any

from sphinx.util import logging

from checks.every import faults

log = logging.getLogger(__name__)


def setup(app: Any) -> None:
    """Before any page is read."""
    app.connect("builder-inited", _check)


def _check(app: Any) -> None:
    for fault in faults():
        log.warning("%s", fault)
