"""Parameters with a row for each datum: they stay whole when the data are cut, so the data must not be."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.private_torch import tree_iter, tree_map_only
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.programs.triple import Triple

Move = Callable[[], AbstractContextManager[Any]]
"""Makes a context inside which all rows of some parameter but the first are changed."""


def local_parameters(triple: Triple) -> tuple[str, ...]:
    """The parameters of which each datum reads a row of its own, by its place among the data.

    Each that has as many rows as there are data is tried: its rows but the first are changed, and the terms of the
    first datum must stay while others move. So are statements of one name and as many numbers (`loc_0`, `loc_1`, …),
    and the parameters of modules, an embedding's too. What the store does not hold yet counts: it is made anew in each
    run.
    """
    if triple.plate is None or len(triple) < 2:
        return ()
    moves = _of_statements(triple) | _of_modules(triple)
    if not moves:
        return ()
    with torch.no_grad():
        before = _terms(triple)
        return tuple(name for name, move in moves.items() if _is_local(before, _terms(_moved(triple, move))))


def _is_local(before: Tensor, after: Tensor) -> bool:
    return torch.equal(before[:, 0], after[:, 0]) and not torch.equal(before, after)


def _terms(triple: Triple) -> Tensor:
    """The guide's log density and the joint at its own draws, one below the other, `[3, B]`."""
    z, log_q = densities.propose(triple, {"model": "loop", "guide": "loop"}, 1)
    return torch.cat([log_q, *densities.log_joint(triple, "loop", z)]).nan_to_num()


def _moved(triple: Triple, move: Move) -> Triple:
    """The programs with all rows but the first of a parameter changed."""

    def under(program: Program) -> Program:
        def moved(*args: Any, **kwargs: Any) -> Any:
            with move():
                return program(*args, **kwargs)

        return moved

    return triple.replaced(model=under(triple.model), guide=under(triple.guide))


def _of_statements(triple: Triple) -> dict[str, Move]:
    """Moves of `pyro.param` statements with a row for each datum, and of families of as many statements."""
    shapes, count = triple.structure.parameters, len(triple)
    moves: dict[str, Move] = {
        name: lambda name=name: _MoveRows(name, count)  # type: ignore[misc]
        for name, shape in shapes.items()
        if count in shape
    }
    families: dict[str, list[str]] = {}
    for name in shapes:
        families.setdefault(re.sub(r"\d+", "*", name), []).append(name)
    for family, names in families.items():
        if len(names) == count:
            moves[family] = lambda names=names: _MoveAll(names[1:])  # type: ignore[misc]
    return moves


def _of_modules(triple: Triple) -> dict[str, Move]:
    """Moves of the parameters of modules, whether Pyro knows these or not."""
    used = _Used()
    for what in ("guide", "model"):
        densities.watched_run(triple, what, used)
    owners = [getattr(program, "__self__", program) for program in (triple.model, triple.guide)]
    names = {id(p): name for owner in owners if isinstance(owner, nn.Module) for name, p in owner.named_parameters()}
    moves: dict[str, Move] = {}
    for p in used.parameters.values():
        if len(triple) in p.shape:
            name = names.get(id(p), f"nn.Parameter of shape {tuple(p.shape)}")
            moves[name] = lambda p=p: _Swap(p, _shifted(p, len(triple)))  # type: ignore[misc]
    return moves


def _shifted(value: Tensor, num_rows: int) -> Tensor:
    """A value changed in all rows but the first, within most constraints."""
    dim = value.shape.index(num_rows)
    return torch.cat([value.narrow(dim, 0, 1), _elsewhere(value.narrow(dim, 1, num_rows - 1))], dim)


def _elsewhere(value: Tensor) -> Tensor:
    return value * 1.07 + 0.01


class _MoveRows(Messenger):
    """Changes a parameter in all rows but the first."""

    def __init__(self, name: str, num_rows: int) -> None:
        super().__init__()
        self.name, self.num_rows = name, num_rows

    def _pyro_post_param(self, msg: Any) -> None:
        value = msg["value"]
        if msg["name"] == self.name and isinstance(value, Tensor) and self.num_rows in value.shape:
            msg["value"] = _shifted(value, self.num_rows)


class _MoveAll(Messenger):
    """Changes some parameters as a whole."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = frozenset(names)

    def _pyro_post_param(self, msg: Any) -> None:
        if msg["name"] in self.names and isinstance(msg["value"], Tensor):
            msg["value"] = _elsewhere(msg["value"])


class _Used(TorchFunctionMode):
    """Inside, the parameters of modules that torch's functions are given are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters: dict[int, nn.Parameter] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.parameters |= {id(p): p for p in tree_iter((args, kwargs)) if isinstance(p, nn.Parameter)}
        return func(*args, **kwargs)


class _Swap(TorchFunctionMode):
    """Inside, torch's functions are given another tensor for a parameter."""

    def __init__(self, parameter: nn.Parameter, other: Tensor) -> None:
        super().__init__()
        self.parameter, self.other = parameter, nn.Parameter(other.detach(), requires_grad=parameter.requires_grad)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map_only(
            nn.Parameter, lambda p: self.other if p is self.parameter else p, (args, kwargs or {})
        )
        return func(*args, **kwargs)
