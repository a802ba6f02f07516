"""What was likely meant by a name that is none."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is most like `name`, whatever its case; None if none is.

    Nearly the same comes first, then the first that begins with it, or has it inside, then what is merely alike.
    """
    low, by_lower = name.lower(), {one.lower(): one for one in reversed(tuple(names))}
    inside = [one for one in reversed(by_lower) if len(low) > 2 and low in one]
    found = (
        get_close_matches(low, by_lower, n=1, cutoff=0.8)
        or [one for one in inside if one.startswith(low)]
        or inside
        or [
            one
            for one in get_close_matches(low, by_lower, n=1, cutoff=0.6)
            if len(low) > 3 or sorted(one) == sorted(low)
        ]
    )
    return by_lower[found[0]] if found else None


def meant(near: str | None) -> str:
    """As the end of a message: `; did you mean vae?`, or nothing."""
    return "" if near is None else f"; did you mean {near}?"


def nearest_option(name: str, options: Iterable[str]) -> str | None:
    """The option most like `name`, such as `training.epochs` for `training.epoch`, `epochs` or `epcohs`."""
    options = tuple(options)
    group, _, leaf = name.rpartition(".")
    near_group = nearest(group, {option.partition(".")[0] for option in options if "." in option}) if group else None
    of_group = {option.rpartition(".")[2]: option for option in options if option.startswith(f"{near_group}.")}
    leaves = {option.rpartition(".")[2]: option for option in sorted(options, key=len, reverse=True)}
    if leaf in of_group:
        return of_group[leaf]
    if leaf in leaves:
        return leaves[leaf]
    if (near := nearest(leaf, of_group)) is not None:
        return of_group[near]
    near = nearest(name, options)
    if near is None and (of_leaf := nearest(leaf, leaves)) is not None:
        near = leaves[of_leaf]
    return near
