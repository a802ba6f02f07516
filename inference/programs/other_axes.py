"""Data that do not lie on the first axis of the arguments: found by trying, where only one axis can be theirs."""

import torch

from elbowroom.inference.programs.arguments import Axes, named, only_axes
from elbowroom.inference.programs.independence import check_alone, check_permuted
from elbowroom.inference.programs.layouts import Layout
from elbowroom.inference.programs.triple import Triple

_PLAIN: dict[str, Layout] = {"model": "loop", "guide": "loop"}


def other_axes(triple: Triple) -> Axes | None:
    """The axes along which the programs can be cut, though they cannot along the first ones; None if there are none.

    Of each argument the first axis is tried where it has B entries, else the only one that has. They are believed if
    the programs follow when they are cut there, and every term of a datum is the same alone, among the others and
    in another order.
    """
    axes = only_axes(named(triple.args, triple.kwargs), len(triple))
    if triple.plate is None or triple.sliceable or axes == triple.per_datum:
        return None
    cut = triple.along(axes)
    if not cut.sliceable:
        return None
    try:
        with torch.no_grad():
            if len(cut) > 1:
                check_alone(cut, _PLAIN)
            check_permuted(cut, _PLAIN)
    except Exception:  # they follow, but are not the same: what the matter is, is said of the whole
        return None
    return axes
