"""Whether programs are functions of one datum and its latents: run again, run alone, run in another order."""

from collections.abc import Mapping

import torch
from torch import Tensor

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.densities import Layouts
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.programs.triple import Triple

AMONG = 64
"""How many data are company enough to show that one depends on the others."""

Terms = dict[str, Tensor]


def check_repeatable(triple: Triple, layouts: Layouts) -> None:
    """Two runs on the same values must agree.

    Raises:
        ProgramError: naming what differs.
    """
    first = _terms(triple, layouts)
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)  # what a program draws besides its sites comes from the global generator: move it on
        second = _terms(triple, layouts)
    for name, term in first.items():
        if not same(second[name], term):
            raise ProgramError(
                f"{name} differs between two runs on the same values: the program is random beyond its sample sites. "
                "Put modules with dropout in evaluation mode (.eval()); where pyro.param initialises a parameter at "
                "random, run the program once yourself first, so that it has a value."
            )


def check_alone(triple: Triple, layouts: Layouts) -> None:
    """The last datum must have the same terms by itself as among the others.

    Raises:
        ProgramError: naming what differs.
    """
    last = len(triple) - 1
    few, one = triple.select(range(max(0, last + 1 - AMONG), last + 1)), triple.select([last])
    whole = _terms(few, layouts)
    try:
        alone = _terms(one, layouts)
    except Exception as error:
        raise ProgramError(
            f"the programs run on {len(few)} data but not on datum {last} by itself: {error}.\n  Look for "
            "operations over the batch, such as batch normalisation in training mode."
        ) from error
    for name, term in whole.items():
        if not same(alone[name], term[:, -1:]):
            raise ProgramError(
                f"{name} of datum {last} is {_first(term[:, -1:])} among {len(few)} data but {_first(alone[name])}"
                " by itself: it depends on the other data, or on its place among them. Look for sums over the batch, "
                "batch normalisation in training mode, and arguments that have a row for each datum but are not cut "
                f"with the data, or the reverse (taken as per-datum here: {list(triple.per_datum)}; say which they are "
                "with per_datum=(...))."
            )


def check_permuted(triple: Triple, layouts: Layouts) -> None:
    """Data in another order must have the same terms.

    Raises:
        ProgramError: naming what differs, and for which datum most.
    """
    order = list(range(len(triple)))[::-1]
    whole, permuted = _terms(triple, layouts), _terms(triple.select(order), layouts)
    for name, term in whole.items():
        if not same(permuted[name], term[:, order]):
            apart = (permuted[name] - term[:, order]).abs().nan_to_num(torch.inf)
            worst = int(apart.movedim(1, 0).flatten(1).amax(1).argmax())
            raise ProgramError(
                f"{name} changes when the data are permuted (datum {order[worst]} most): an argument that has a row "
                f"for each datum is not permuted with them. Per-datum arguments here: {list(triple.per_datum)}; name "
                "them all with per_datum=(...), and do not index data by position inside the programs."
            )


def _terms(triple: Triple, layouts: Layouts) -> Terms:
    """The guide's draws and all log densities there, `[2, B, ...]`."""
    z, log_q = densities.propose(triple, layouts, 2)
    prior, likelihood = densities.log_joint(triple, layouts["model"], z)
    return {**_named(z), "log q(z|x)": log_q, "log p(z)": prior, "log p(x|z)": likelihood}


def _named(z: Mapping[str, Tensor]) -> Terms:
    return {f"the guide's draw of '{name}'": value for name, value in z.items()}


def _first(term: Tensor) -> str:
    return f"{term.flatten()[0].item():.6g}"
