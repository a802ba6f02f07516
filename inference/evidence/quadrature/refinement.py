"""Ever finer lattices until two agree on the integral, each datum on its own."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.at_points import Evaluate, at_points
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.quadrature.lattice import DEPTH, Lattice, flood
from elbowroom.inference.evidence.quadrature.modes import Modes, climb
from elbowroom.inference.evidence.quadrature.starts import pick

_COARSEST = 4.0  # first spacing, in scales of the finest mode: the flood is quick, refinement starts from its points
_REFINEMENTS = 8
_LARGE = 20_000
_SLOW = 16.0
"""A lattice of more points than `_LARGE` is refined while each level brings so many times smaller a change: a density
with kinks (a spline flow) gains a factor of four a level, and would be refined until no memory is left."""


class Accuracy(NamedTuple):
    """When a lattice is fine enough, and how large it may be."""

    tolerance: float  # two levels must agree on the log integral to this, in nats
    max_points: int  # of the lattice of one datum
    cells: int  # points that are evaluated at a time


@dataclass(frozen=True)
class Integral:
    """A converged lattice of some data and what it took."""

    lattice: Lattice
    origin: Tensor
    error: Tensor  # change from the level before, [B]
    evaluations: Tensor  # [B]
    modes: Modes


def refine(coordinates: Coordinates, density: Evaluate, starts: Tensor, widest: Tensor, accuracy: Accuracy) -> Integral:
    """Flood ever finer lattices until two agree, each datum on its own.

    Args:
        coordinates: of the data.
        density: the log density to integrate.
        starts: where Newton's method looks for modes from, `[K, B, D]`.
        widest: the largest spacing worth trying, `[B, D]`.
        accuracy: when a lattice is fine enough, and how large it may be.
    """
    num_data, dim = starts.shape[1:]
    modes = _climb(coordinates, density, starts, accuracy.cells)
    origin = pick(modes.u, modes.log_density.argmax(0, keepdim=True))[0]
    spacing = _first_spacing(modes, widest)
    record = _Record.empty(num_data)
    active, coarser = torch.arange(num_data), None
    for level in range(_REFINEMENTS):
        # 1. A lattice grows from the modes that count, and from the coarser lattice's points, which are points of it.
        seeds, owner = _seeds(modes, origin, spacing, active)
        if coarser is not None:
            seeds, owner = torch.cat([seeds, 2 * coarser.index]), torch.cat([owner, coarser.datum])
        evaluate = partial(_at, coordinates.at(active), density, accuracy.cells)
        lattice = flood(evaluate, origin[active], spacing[active], seeds, owner, accuracy.max_points)
        # 2. A datum is done where two levels agree, and where a finer lattice would not help or not fit.
        before = record.error[active]
        settled = record.compare(active, lattice, accuracy.tolerance, torch.finfo(coordinates.target.dtype).eps)
        too_large = lattice.counts() * 2**dim > accuracy.max_points
        slow = (lattice.counts() > _LARGE) & (record.error[active] * _SLOW > before)
        done = settled | ~lattice.complete | too_large | slow | (level == _REFINEMENTS - 1)
        record.keep(active[done], _restrict(lattice, done))
        # 3. The others are refined: half the spacing, 2^D times the points.
        active, coarser = active[~done], _restrict(lattice, ~done)
        if len(active) == 0:
            break
        spacing[active] = spacing[active] / 2
    return Integral(record.joined(), origin, record.error, record.evaluations, modes)


@dataclass
class _Record:
    """The integral of each datum so far, its error and cost, `[B]`, and the lattices of those that are done."""

    value: Tensor
    error: Tensor
    evaluations: Tensor
    lattices: list[Lattice]
    owners: list[Tensor]  # which data each of them is of

    @classmethod
    def empty(cls, num_data: int) -> "_Record":
        unknown = torch.full((num_data,), torch.nan, dtype=torch.float64)
        return cls(unknown, torch.full_like(unknown, torch.inf), torch.zeros(num_data, dtype=torch.long), [], [])

    def compare(self, data: Tensor, lattice: Lattice, tolerance: float, eps: float) -> Tensor:
        """Take in the next level of some data, and return whether each agrees with its level before.

        What is flat to its edge is refined as far as levels go.
        """
        change = (lattice.log_integral - self.value[data]).abs()
        rounding = eps * lattice.log_integral.abs()
        self.evaluations[data] += lattice.counts()
        self.value[data] = lattice.log_integral
        self.error[data] = torch.maximum(change, rounding).nan_to_num(torch.inf)
        return (change <= rounding.clamp_min(tolerance)) & ~lattice.flat()

    def keep(self, data: Tensor, lattice: Lattice) -> None:
        """Keep the lattice of data that are done."""
        self.lattices.append(lattice)
        self.owners.append(data)

    def joined(self) -> Lattice:
        """The lattices of all data as one."""
        return _joined(self.lattices, self.owners)


def _first_spacing(modes: Modes, widest: Tensor) -> Tensor:
    """Spacings of the first lattices, `[B, D]`: coarse, for the flood is quick then."""
    spacing = torch.minimum(modes.finest(DEPTH), widest)
    return torch.where(spacing.isfinite() & (spacing > 0), spacing, widest) * _COARSEST


def _at(coordinates: Coordinates, density: Evaluate, cells: int, points: Tensor, datum: Tensor) -> Tensor:
    return at_points(coordinates, density, points, datum, cells)


def _seeds(modes: Modes, origin: Tensor, spacing: Tensor, data: Tensor) -> tuple[Tensor, Tensor]:
    """Lattice points nearest to the modes that count of some data, `[M, D]`, and whose they are, `[M]`."""
    index = ((modes.u[:, data] - origin[data]) / spacing[data]).round().clamp(-1000, 1000).long()  # [K, B, D]
    counts = modes.log_density >= modes.log_density.amax(0) - 2 * DEPTH  # [K, B]
    owner = torch.arange(len(data)).expand(len(index), -1)
    return index[counts[:, data]], owner[counts[:, data]]


def _climb(coordinates: Coordinates, density: Evaluate, starts: Tensor, cells: int) -> Modes:
    """Climb to modes from all starts, in pieces of data whose second derivatives fit the budget."""
    num_data = starts.shape[1]
    width = max(1, cells // (8 * len(starts))) if coordinates.target.sliceable else num_data
    pieces = []
    for begin in range(0, num_data, width):
        data = torch.arange(begin, min(begin + width, num_data))
        pieces.append(climb(partial(density, coordinates.at(data)), starts[:, data]))
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


def _joined(parts: list[Lattice], owners: list[Tensor]) -> Lattice:
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
