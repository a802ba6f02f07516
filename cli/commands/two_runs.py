"""`elbowroom versus --run A --run B`: the first is the model a, the second one b; `--trust` is said of both."""

from collections.abc import Sequence

_PLACES = ("--a.run", "--b.run")


def two_runs(arguments: Sequence[str]) -> list[str]:
    """The arguments of `versus` with `--a.run` and `--b.run` in the place of two `--run`; others as they are.

    `--trust` stands for both `--a.trust` and `--b.trust`.
    """
    if not arguments or arguments[0] != "versus":
        return list(arguments)
    places, spelled, words = iter(_PLACES), [], list(arguments)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name == "--trust":
            value = value if equals or not words else words.pop(0)
            spelled += [f"--a.trust={value}", f"--b.trust={value}"]
            continue
        place = next(places, None) if name == "--run" else None
        spelled.append(f"{place or name}{equals}{value}")
    return spelled
