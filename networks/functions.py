"""Functions of networks as modules: a method such as `vae.encode`, a lambda around it, a partial of either."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import nn

_DEEPEST = 4  # functions within functions, and objects within objects, that are looked into


class NetworkFunction(nn.Module):
    """A function as a module, whose children are the networks that it was found to use.

    So `parameters()`, `to`, `eval` and `requires_grad_` reach them.

    Args:
        function: what is called.
        networks: what it uses.
    """

    def __init__(self, function: Callable[..., Any], networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.training = any(network.training for network in networks)
        self.__dict__["function"] = function  # not a child: it may be a network's own method

    def forward(self, *inputs: Any) -> Any:
        """What the function returns."""
        return self.__dict__["function"](*inputs)


def as_network(name: str, value: Any) -> nn.Module:
    """`value` itself if it is a module; a function, method or other callable as a `NetworkFunction`.

    Args:
        name: of the argument, for errors.
        value: what was given.

    Raises:
        TypeError: for a class, or what cannot be called.
    """
    if isinstance(value, nn.Module):
        return value
    if isinstance(value, type):
        raise TypeError(f"{name}: got the class {value.__name__}, expected an instance of it; call it first")
    if not callable(value):
        raise TypeError(
            f"{name}: got {type(value).__name__}, expected a torch.nn.Module, or a function or method of networks such "
            "as vae.encode"
        )
    return NetworkFunction(value, networks_of(value))


def networks_of(function: Any) -> list[nn.Module]:
    """The modules that a callable uses: of the object it is a method of, its closure, defaults and globals.

    Modules inside of others that were found are left out; the order is that in which they are come upon.
    """
    found: dict[int, nn.Module] = {}
    for network in _within(function, _DEEPEST, set()):
        found.setdefault(id(network), network)
    inner = {id(child) for network in found.values() for child in network.modules() if child is not network}
    return [network for key, network in found.items() if key not in inner]


@contextmanager
def in_evaluation(*functions: Any) -> Iterator[None]:
    """The modules that callables use in evaluation mode; afterwards each is in its own again."""
    modules = [part for function in functions for root in networks_of(function) for part in root.modules()]
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _within(value: Any, depth: int, seen: set[int]) -> Iterator[nn.Module]:
    """Modules that a value is, holds or, being a function, uses."""
    if isinstance(value, nn.Module):
        yield value
        return
    if id(value) in seen or depth == 0 or isinstance(value, type | ModuleType):
        return
    seen.add(id(value))
    for part in _parts(value):
        yield from _within(part, depth - 1, seen)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        names = set(_names(value.__code__))
        used = [value.__globals__[name] for name in sorted(names & value.__globals__.keys())]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *used]
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    return list(vars(value).values()) if hasattr(value, "__dict__") else []


def _names(code: CodeType) -> Iterator[str]:
    """What a function's code, and functions inside of it, read by name."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that has no value yet
        return False
