"""The reference problems by name."""

from collections.abc import Callable

from elbowroom.entrances import checked
from elbowroom.entrances.said import said
from elbowroom.reference import (
    banana,
    conjugate,
    correlated,
    eight_schools,
    funnel,
    label_switching,
    mixtures,
    modes,
    normal,
    offsets,
    posteriordb,
    ppca,
    products,
    ragged,
    regression,
    shells,
    student,
)
from elbowroom.reference.reference import Reference

FAMILIES = (
    normal,
    ppca,
    mixtures,
    correlated,
    banana,
    funnel,
    shells,
    modes,
    eight_schools,
    regression,
    offsets,
    products,
    label_switching,
    student,
    conjugate,
    ragged,
    posteriordb,
)

PROBLEMS: dict[str, Callable[[], Reference]] = {
    name: make for family in FAMILIES for name, make in family.PROBLEMS.items()
}
"""name -> constructor, by family."""


@checked
def problem(name: str) -> Reference:
    """Build a reference problem.

    Raises:
        ValueError: for a name that is not in `PROBLEMS`.
    """
    if name not in PROBLEMS:
        raise ValueError(f"name: no reference problem {said(name)}; known are {', '.join(PROBLEMS)}")
    return PROBLEMS[name]()
