"""All checks."""

from collections.abc import Sequence

from checks import alt_texts, code_runs, commands_exist, links_lead, names_exist
from checks.pages import Page, pages

CHECKS = (code_runs, names_exist, commands_exist, links_lead, alt_texts)


def faults(of: Sequence[Page] | None = None) -> list[str]:
    """The faults of pages, by default of all."""
    read = pages() if of is None else of
    return [fault for check in CHECKS for fault in check.faults(read)]
