"""The options of a command: name -> type, as dataclasses and their annotations say them."""

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints


@cache
def options_of(kind: type, prefix: str = "") -> dict[str, Any]:
    """`{"training.epochs": int, ...}`; groups of options, such as `training`, are there with their class."""
    hints = get_type_hints(kind)
    table: dict[str, Any] = {}
    for field in fields(kind):
        name, hint = prefix + field.name, hints[field.name]
        table[name] = hint
        if is_group(hint):
            table |= options_of(hint, f"{name}.")
    return table


def is_group(hint: Any) -> bool:
    """Whether this is the type of a group of options."""
    return isinstance(hint, type) and is_dataclass(hint)


def is_mapping(hint: Any) -> bool:
    """Whether values are mappings, of which `--name.key value` sets one key."""
    return any(get_origin(one) is dict for one in (hint, *get_args(hint)))
