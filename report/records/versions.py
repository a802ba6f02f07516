"""The libraries that a file was made with."""

from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("elbowroom", "torch", "pyro-ppl", "numpy", "arviz")


def versions() -> dict[str, str]:
    """The libraries whose versions may matter, as far as they are installed: files are written without ArviZ too."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
