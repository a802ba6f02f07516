"""zuko, the library of normalizing flows: the one place that imports it."""

from types import ModuleType

from torch.distributions import Distribution, transforms


def import_zuko() -> ModuleType:
    """zuko, without what its import changes for the whole process.

    It switches off the checks of all distributions' arguments and renames a class of torch. One thing it needs is left:
    a distribution that names no constraints has none.

    Raises:
        ImportError: with what to install.
    """
    checks, inverse = Distribution._validate_args, transforms._InverseTransform
    name = inverse.__name__
    try:
        import zuko
    except ImportError as error:
        raise ImportError(
            "flows are made of zuko, which is not installed; try pip install 'elbowroom[flows]'"
        ) from error
    finally:
        Distribution.set_default_validate_args(checks)
        inverse.__name__ = name
    return zuko
