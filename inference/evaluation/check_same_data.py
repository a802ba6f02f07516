"""Whether what is given beside a target is of the target's data."""

from collections.abc import Sized

from elbowroom.inference.target import Target


def check_same_data(target: Target, **given: Sized | None) -> None:
    """Refuse arguments, given by their names, that have another number of data than the target; None is not given.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in given.items():
        if value is not None and len(value) != len(target):
            raise ValueError(
                f"{name} has {len(value)} data, the target has {len(target)}: select the same data for both"
            )
