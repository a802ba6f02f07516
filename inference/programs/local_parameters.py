"""Parameters with a row for each datum: they stay whole when the data are cut, so the data must not be."""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.programs.triple import Triple


def local_parameters(triple: Triple) -> tuple[str, ...]:
    """The parameters of which each datum reads a row of its own, by its place among the data.

    Each that has as many rows as there are data is tried: its rows but the first are changed, and the terms of the
    first datum must stay while others move. What the store does not hold yet counts too: it is made anew in each run.
    """
    if triple.plate is None or len(triple) < 2:
        return ()
    candidates = [name for name, shape in triple.structure.parameters.items() if len(triple) in shape]
    if not candidates:
        return ()
    with torch.no_grad():
        before = _terms(triple)
        return tuple(name for name in candidates if _is_local(before, _terms(_moved(triple, name))))


def _is_local(before: Tensor, after: Tensor) -> bool:
    return torch.equal(before[:, 0], after[:, 0]) and not torch.equal(before, after)


def _terms(triple: Triple) -> Tensor:
    """The guide's log density and the joint at its own draws, one below the other, `[3, B]`."""
    z, log_q = densities.propose(triple, {"model": "loop", "guide": "loop"}, 1)
    return torch.cat([log_q, *densities.log_joint(triple, "loop", z)]).nan_to_num()


def _moved(triple: Triple, name: str) -> Triple:
    """The programs with all rows but the first of a parameter changed."""

    def under(program: Program) -> Program:
        def moved(*args: Any, **kwargs: Any) -> Any:
            with _MoveRows(name, len(triple)):
                return program(*args, **kwargs)

        return moved

    return triple.replaced(model=under(triple.model), guide=under(triple.guide))


class _MoveRows(Messenger):
    """Changes a parameter in all rows but the first, within most constraints."""

    def __init__(self, name: str, num_rows: int) -> None:
        super().__init__()
        self.name, self.num_rows = name, num_rows

    def _pyro_post_param(self, msg: Any) -> None:
        value = msg["value"]
        if msg["name"] != self.name or not isinstance(value, Tensor) or self.num_rows not in value.shape:
            return
        dim = value.shape.index(self.num_rows)
        first = value.narrow(dim, 0, 1)
        msg["value"] = torch.cat([first, value.narrow(dim, 1, self.num_rows - 1) * 1.07 + 0.01], dim)
