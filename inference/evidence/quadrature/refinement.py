"""Ever finer lattices until two agree on the integral, each datum on its own."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.rectangles import Evaluate, at_points
from elbowroom.inference.evidence.quadrature.lattice import DEPTH, Lattice, flood
from elbowroom.inference.evidence.quadrature.modes import Modes, climb
from elbowroom.inference.evidence.quadrature.starts import pick

_COARSEST = 4.0  # first spacing, in scales of the finest mode: the flood is quick, refinement starts from its points
_REFINEMENTS = 8


@dataclass(frozen=True)
class Integral:
    """A converged lattice of some data and what it took."""

    lattice: Lattice
    origin: Tensor
    error: Tensor  # change from the level before, [B]
    evaluations: Tensor  # [B]
    modes: Modes


def refine(
    coordinates: Coordinates,
    density: Evaluate,
    starts: Tensor,
    widest: Tensor,
    cells: int,
    tolerance: float,
    max_points: int,
) -> Integral:
    """Flood ever finer lattices until two agree, each datum on its own."""
    num_data, dim = starts.shape[1:]
    modes = _climb(coordinates, density, starts, cells)
    best = modes.log_density.argmax(0, keepdim=True)
    origin = pick(modes.u, best)[0]
    spacing = torch.minimum(modes.finest(DEPTH), widest)
    spacing = torch.where(spacing.isfinite() & (spacing > 0), spacing, widest) * _COARSEST
    within = modes.log_density >= modes.log_density.amax(0) - 2 * DEPTH  # [K, B]
    active = torch.arange(num_data)
    kept: list[Lattice] = []
    owners: list[Tensor] = []
    value = torch.full((num_data,), torch.nan, dtype=torch.float64)
    error = torch.full((num_data,), torch.inf, dtype=torch.float64)
    evaluations = torch.zeros(num_data, dtype=torch.long)
    rounding = torch.finfo(coordinates.target.dtype).eps
    before: Lattice | None = None
    for level in range(_REFINEMENTS):
        part = coordinates.at(active)
        seeds, owner = _seeds(modes.u[:, active], within[:, active], origin[active], spacing[active])
        if before is not None:  # every point of the coarser lattice is a point of this one
            seeds, owner = torch.cat([seeds, 2 * before.index]), torch.cat([owner, before.datum])
        lattice = flood(
            partial(_at, part, density, cells),
            origin[active],
            spacing[active],
            seeds,
            owner,
            max_points,
        )
        evaluations[active] += lattice.counts()
        change = (lattice.log_integral - value[active]).abs()
        floor = rounding * lattice.log_integral.abs()
        value[active] = lattice.log_integral
        error[active] = torch.maximum(change, floor).nan_to_num(torch.inf)
        settled = (change <= torch.maximum(floor, torch.tensor(tolerance))) | ~lattice.complete
        last = level == _REFINEMENTS - 1
        grown = lattice.counts() * 2**dim > max_points
        done = settled | grown | last
        kept.append(_restrict(lattice, done))
        owners.append(active[done])
        active, before = active[~done], _restrict(lattice, ~done)
        if len(active) == 0:
            break
        spacing[active] = spacing[active] / 2
    return Integral(_joined(kept, owners, num_data), origin, error, evaluations, modes)


def _at(coordinates: Coordinates, density: Evaluate, cells: int, points: Tensor, datum: Tensor) -> Tensor:
    return at_points(coordinates, density, points, datum, cells)


def _seeds(modes: Tensor, within: Tensor, origin: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
    """Lattice points nearest to the modes that count, `[M, D]`, and whose they are, `[M]`."""
    index = ((modes - origin) / spacing).round().clamp(-1000, 1000).long()  # [K, B, D]
    owner = torch.arange(len(origin)).expand(len(modes), -1)
    return index[within], owner[within]


def _climb(coordinates: Coordinates, density: Evaluate, starts: Tensor, cells: int) -> Modes:
    """`climb` from all starts, in pieces of data whose second derivatives fit the budget."""
    num_data = starts.shape[1]
    width = max(1, cells // (8 * len(starts))) if coordinates.target.sliceable else num_data
    pieces = []
    for begin in range(0, num_data, width):
        rows = torch.arange(begin, min(begin + width, num_data))
        pieces.append(climb(partial(density, coordinates.at(rows)), starts[:, rows]))
    return Modes(*(torch.cat([getattr(p, name) for p in pieces], 1) for name in ("u", "log_density", "scale")))


def _restrict(lattice: Lattice, chosen: Tensor) -> Lattice:
    """The lattice of some of its data, renumbered."""
    mine = chosen[lattice.datum]
    number = chosen.cumsum(0) - 1
    return Lattice(
        number[lattice.datum[mine]],
        lattice.index[mine],
        lattice.u[mine],
        lattice.log_density[mine],
        lattice.spacing[chosen],
        lattice.log_integral[chosen],
        lattice.complete[chosen],
    )


def _joined(parts: list[Lattice], owners: list[Tensor], num_data: int) -> Lattice:
    """Lattices of disjoint data back into one, points in order of their data."""
    owner = torch.cat(owners)
    datum = torch.cat([o[p.datum] for p, o in zip(parts, owners, strict=True)])
    order = datum.argsort(stable=True)

    def points(name: str) -> Tensor:
        return torch.cat([getattr(p, name) for p in parts])[order]

    def data(name: str) -> Tensor:
        values = torch.cat([getattr(p, name) for p in parts])
        return torch.empty_like(values).index_copy_(0, owner, values)

    return Lattice(
        datum[order],
        points("index"),
        points("u"),
        points("log_density"),
        data("spacing"),
        data("log_integral"),
        data("complete"),
    )
