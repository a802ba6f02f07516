"""Numbers that no command can do with, known before anything heavy is imported."""

from typing import Any

from elbowroom.commands.arguments.table import options_of

LEAST = {
    **dict.fromkeys(("epochs", "batch_size", "latent_dim", "num_particles", "num_cycles", "num_compared"), 1),
    **dict.fromkeys(("num_samples", "num_chains", "num_draws", "limit", "labels_per_class", "memory_mib"), 1),
    **dict.fromkeys(("seed", "num_warmup", "warmup_epochs"), 0),
}
"""Last word of an option -> the least that it may be."""

ABOVE_ZERO = ("learning_rate", "tolerance", "budget")
"""Last words of options that are above zero."""


def check_ranges(options: Any) -> None:
    """Refuse numbers that are too small.

    Raises:
        ValueError: naming the option.
    """
    for option in options_of(options.__class__):
        value, name = value_of(options, option), option.rpartition(".")[2]
        numbers = value if isinstance(value, list) else [value]
        for number in numbers:
            if not isinstance(number, int | float):
                continue
            if number < LEAST.get(name, number):
                raise ValueError(f"--{option} must be at least {LEAST[name]}, got {number}")
            if name in ABOVE_ZERO and not number > 0:
                raise ValueError(f"--{option} must be positive, got {number:g}")


def value_of(options: Any, option: str) -> Any:
    """What an option is told, by its dotted name; None where there is no such option."""
    for part in option.split("."):
        options = getattr(options, part, None)
    return options
