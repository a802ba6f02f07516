"""Whether programs are functions of one datum and its latents: run again, run alone, run in another order."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.densities import Layouts
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.programs.triple import Triple
from elbowroom.inference.programs.varied import alike, varied

AMONG = 64
"""How many data are company enough to show that one depends on the others."""

_COMPANY = 8  # data whose latents are changed

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


def check_company(triple: Triple, layouts: Layouts) -> None:
    """A datum whose latents stay must keep its terms when the latents of the others change.

    Tried at points like draws of the prior: all data at one of them, then half of the data at another. So what a
    program does with the sum, the mean, or the signs of all is met from both sides.

    Raises:
        ProgramError: naming what differs, and for which datum.
    """
    few = _company(triple)
    if few is None:
        return
    z = varied(few)
    first = torch.arange(len(few)) < len(few) // 2
    mixed = {name: torch.where(_along(first, v), v, v.roll(-1, 0)) for name, v in z.items()}
    for name, evaluate in _EVALUATED.items():
        try:
            alone, among = (torch.stack(list(evaluate(few, layouts, v))) for v in (z, mixed))
        except Exception:  # no density, or a program that fails at far-out points: nothing to compare
            continue
        kept = torch.where(first.to(alone.device), alone, alone.roll(-1, 1))
        if not alike(among, kept):
            apart = (among - kept).abs().nan_to_num()
            worst = int(apart.flatten(0, 1).amax(0).argmax())
            raise ProgramError(
                f"{name} of datum {worst} changes when the latents of the other data do and its own stay: the program "
                "branches on values of the whole batch (`if z.sum() > 0`, `.all()`), or centres or normalises them "
                "(z - z.mean(0)). Write conditions datum by datum (torch.where), and statistics over a datum's own "
                "dims; where all data are one problem, use plate=None."
            )


def _company(triple: Triple) -> Triple | None:
    """A few of the data, or copies of the only one; None where there can be no company."""
    if not triple.sliceable:
        return triple if len(triple) > 1 else None
    return triple.at(torch.arange(max(2, min(_COMPANY, len(triple)))) % len(triple))


def _along(first: Tensor, value: Tensor) -> Tensor:
    return first.to(value.device).reshape(1, -1, *(1,) * (value.dim() - 2))


_EVALUATED: dict[str, Callable[[Triple, Layouts, Terms], Iterable[Tensor]]] = {
    "the model's density": lambda triple, layouts, z: densities.log_joint(triple, layouts["model"], z),
    "log q(z|x)": lambda triple, layouts, z: [densities.log_guide(triple, layouts, z)],
}


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
