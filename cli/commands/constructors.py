"""Options for a constructor of the registries: checked against its signature before anything is built."""

import inspect
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def checked(option: str, constructor: Any, given: Mapping[str, Any], *, fixed: Collection[str] = ()) -> dict[str, Any]:
    """The options as the constructor takes them, lists as tuples.

    Args:
        option: how the user gives them, such as `programs.options`.
        constructor: of a model or a guide.
        given: name -> value.
        fixed: arguments that are not the user's to choose.

    Raises:
        ValueError: if one of them is none of the constructor's; it lists those that are, with their defaults.
    """
    accepted = [name for name in arguments_of(constructor) if name not in fixed]
    for name in given:
        if name not in accepted:
            raise ValueError(
                f"{option}: {constructor.__name__} has no option {name!r}{did_you_mean(name, accepted)}; "
                f"it takes {described(constructor, fixed) or 'none'}"
            )
    return {name: _as_tuple(value) for name, value in given.items()}


def check_complete(option: str, constructor: Any, given: Collection[str]) -> None:
    """Raise ValueError naming what the constructor needs and nobody has given."""
    missing = [n for n, p in arguments_of(constructor).items() if p.default is p.empty and n not in given]
    if missing:
        values = ", ".join(f"{name}: …" for name in missing)
        raise ValueError(
            f"{option}: {constructor.__name__} needs {', '.join(missing)}: give --{option} '{{{values}}}'; "
            f"it takes {described(constructor)}"
        )


def arguments_of(constructor: Any) -> dict[str, inspect.Parameter]:
    """The arguments that can be given by name."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {n: p for n, p in inspect.signature(constructor).parameters.items() if p.kind in by_name}


def described(constructor: Any, without: Collection[str] = ()) -> str:
    """`data_dim, hidden=(64, 64)`: the arguments with their defaults, but for some."""
    arguments = {n: p for n, p in arguments_of(constructor).items() if n not in without}
    return ", ".join(n if p.default is p.empty else f"{n}={p.default!r}" for n, p in arguments.items())


def known(option: str, name: str, names: Iterable[str], *, or_else: str = "") -> str:
    """`name`, one of the `names`.

    Raises:
        ValueError: listing them, with the one that was likely meant.
    """
    names = tuple(names)
    if name not in names:
        raise ValueError(
            f"{option}: got {name!r}, expected one of {', '.join(map(repr, names))}{or_else}{did_you_mean(name, names)}"
        )
    return name


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The first name that begins like it, or the one that is most like it, as a question, if there is one."""
    begun = [one for one in names if len(name) > 2 and one.startswith(name)]
    alike = begun or get_close_matches(str(name), tuple(names), n=1)
    return f" (did you mean {alike[0]!r}?)" if alike else ""


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
