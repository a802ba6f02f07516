"""Numbers that no command can do with, known before anything heavy is imported: by the library's own ranges."""

from typing import Any

from elbowroom.commands.arguments.table import options_of
from elbowroom.entrances.ranges import is_in, range_of

CALLED = {
    "encoder_hidden": "hidden",
    "epochs": "num_epochs",
    "indices": "data",
    "labels_per_class": "per_class",
    "memory_mib": "limit",
    "num_compared": "num_samples",
}
"""Last word of an option -> the library's name of such an argument, where that is another."""


def check_ranges(options: Any) -> None:
    """Refuse numbers that are out of range.

    Raises:
        ValueError: naming the option.
    """
    for option in options_of(options.__class__):
        value, name = value_of(options, option), option.rpartition(".")[2]
        within = range_of(CALLED.get(name, name))
        if name == "budget" and isinstance(value, str):
            value = _seconds(value)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not isinstance(number, bool) and not is_in(number, within):
                words = within.words or "that is finite"
                told = f": {within.remedy}" if within.remedy else ""
                raise ValueError(f"--{option} must be a number {words}, got {number}{told}")


def _seconds(text: str) -> float | None:
    """A budget without a unit; None for one of evaluations."""
    try:
        return float(text)
    except ValueError:
        return None


def value_of(options: Any, option: str) -> Any:
    """What an option is told, by its dotted name; None where there is no such option."""
    for part in option.split("."):
        options = getattr(options, part, None)
    return options
