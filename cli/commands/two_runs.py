"""`elbowroom versus --run A --run B`: the first is the model a, the second one b."""

from collections.abc import Sequence

_PLACES = ("--a.run", "--b.run")


def two_runs(arguments: Sequence[str]) -> list[str]:
    """The arguments of `versus` with `--a.run` and `--b.run` in the place of two `--run`; others as they are."""
    if not arguments or arguments[0] != "versus":
        return list(arguments)
    places, spelled = iter(_PLACES), []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        place = next(places, None) if name == "--run" else None
        spelled.append(f"{place}{equals}{value}" if place else argument)
    return spelled
