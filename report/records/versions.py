"""The libraries that a file was made with."""

from importlib.metadata import version

_LIBRARIES = ("elbowroom", "torch", "pyro-ppl", "numpy", "arviz")


def versions() -> dict[str, str]:
    """The libraries whose versions may matter."""
    return {name: version(name) for name in _LIBRARIES}
