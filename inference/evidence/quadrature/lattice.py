"""Integrals over up to three coordinates by the trapezoidal rule on a lattice that floods the mass of each datum."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

DEPTH = 20.0
"""A lattice covers all points within this many nats of a datum's highest one: e⁻²⁰ ≈ 2e-9."""

_BITS = {1: 40, 2: 21, 3: 14}  # bits of each integer coordinate in a 64-bit key, 21 bits left for the datum

AtPoints = Callable[[Tensor, Tensor], Tensor]
"""(points `[M, D]`, datum of each `[M]`, ascending) to log density `[M]`."""


@dataclass(frozen=True)
class Lattice:
    """Points of B data, one after the other, with the log density at each.

    Attributes:
        datum: whose point it is, `[M]`, ascending.
        index: integer coordinates, `[M, D]`.
        u: the points, origin + spacing · index, `[M, D]`.
        log_density: `[M]`.
        spacing: `[B, D]`.
        log_integral: log Σ density · Π spacing, `[B]`, nats.
        complete: whether a datum's mass was covered before its points ran out, `[B]`.
    """

    datum: Tensor
    index: Tensor
    u: Tensor
    log_density: Tensor
    spacing: Tensor
    log_integral: Tensor
    complete: Tensor

    def weights(self) -> Tensor:
        """Each point's share of its datum's integral, `[M]`: they sum to one for each datum."""
        return (self.log_density - (self.log_integral - self.spacing.log().sum(-1))[self.datum]).exp()

    def average(self, values: Tensor) -> Tensor:
        """Σ weights · values for each datum; values `[M, ...]` to `[B, ...]`."""
        weights = self.weights()
        weighted = values * weights.reshape(-1, *(1,) * (values.dim() - 1))
        # A point of no mass may carry an infinite value; it adds nothing.
        weighted = torch.where(weights.reshape(-1, *(1,) * (values.dim() - 1)) == 0, 0.0, weighted)
        total = weighted.new_zeros(len(self.spacing), *values.shape[1:])
        return total.index_add_(0, self.datum, weighted)

    def counts(self) -> Tensor:
        """Number of points of each datum, `[B]`."""
        return torch.bincount(self.datum, minlength=len(self.spacing))

    def flat(self) -> Tensor:
        """Data whose density ends everywhere before it has fallen by `DEPTH`, as a uniform one does, `[B]`.

        Two lattices of such a density may agree by chance to the last digit and be far off.
        """
        ends = torch.full((2, len(self.spacing)), -torch.inf, dtype=self.log_density.dtype)
        both = torch.stack([self.log_density, -self.log_density])
        highest, lowest = ends.scatter_reduce(1, self.datum.expand(2, -1), both, "amax")
        return highest + lowest < DEPTH


def flood(
    at_points: AtPoints, origin: Tensor, spacing: Tensor, seeds: Tensor, datum: Tensor, max_points: int
) -> Lattice:
    """Grow a lattice from seed points over everything within `DEPTH` nats of the highest point of each datum.

    The trapezoidal rule on such a lattice converges faster than any power of the spacing for a smooth integrand that
    vanishes at the edge (Trefethen & Weideman 2014): for a Gaussian the error is exp(−2π²sd²/spacing²). Growing
    from every mode follows any shape (several modes, curved ridges) and spends nothing where there is no mass.

    Args:
        at_points: log density at points.
        origin, spacing: of each datum's lattice, `[B, D]`.
        seeds: integer coordinates of the first points, `[M, D]`, of the data `datum` `[M]`.
        max_points: stop growing a datum's lattice at this many points.
    """
    num_data, dim = origin.shape
    keys = np.unique(_encode(seeds.numpy(), datum.numpy()))
    known_keys, known_values = np.empty(0, np.int64), np.empty(0)
    highest = np.full(num_data, -np.inf)
    count = np.zeros(num_data, np.int64)
    overflow = np.zeros(num_data, bool)
    steps = np.concatenate([np.eye(dim, dtype=np.int64), -np.eye(dim, dtype=np.int64)])
    while len(keys):
        index, owner = _decode(keys, dim)
        values = at_points(_place(index, owner, origin, spacing), torch.from_numpy(owner)).double().numpy()
        values = np.where(np.isnan(values), -np.inf, values)
        np.maximum.at(highest, owner, values)
        count += np.bincount(owner, minlength=num_data)
        known_keys, known_values = _merge(known_keys, known_values, keys, values)
        alive = (values > highest[owner] - DEPTH) & (count[owner] < max_points)
        overflow |= np.bincount(owner, (values > highest[owner] - DEPTH) & ~alive, num_data) > 0
        neighbours = (index[alive, None, :] + steps).reshape(-1, dim)
        owners = np.repeat(owner[alive], len(steps))
        inside = (np.abs(neighbours) < 1 << (_BITS[dim] - 1)).all(1)
        overflow |= np.bincount(owners[~inside], minlength=num_data) > 0
        fresh = np.unique(_encode(neighbours[inside], owners[inside]))
        keys = fresh[~_contains(known_keys, fresh)]
    return _finish(known_keys, known_values, highest, origin, spacing, ~overflow)


def _finish(
    keys: np.ndarray, values: np.ndarray, highest: np.ndarray, origin: Tensor, spacing: Tensor, complete: np.ndarray
) -> Lattice:
    """The lattice of the points that were evaluated."""
    index, owner = _decode(keys, origin.shape[1])
    counts = values > highest[owner] - DEPTH - 15  # the rim counts too; what lies deeper was only stepped over
    index, owner, values = index[counts], owner[counts], values[counts]
    log_density, datum = torch.from_numpy(values), torch.from_numpy(owner)
    top = torch.from_numpy(highest)
    total = torch.zeros(len(origin), dtype=torch.float64).index_add_(0, datum, (log_density - top[datum]).exp())
    return Lattice(
        datum=datum,
        index=torch.from_numpy(index),
        u=_place(index, owner, origin, spacing),
        log_density=log_density,
        spacing=spacing,
        log_integral=total.log() + top + spacing.log().sum(-1),
        complete=torch.from_numpy(complete) & total.isfinite() & (total > 0),
    )


def _place(index: np.ndarray, owner: np.ndarray, origin: Tensor, spacing: Tensor) -> Tensor:
    datum = torch.from_numpy(owner)
    return origin[datum] + spacing[datum] * torch.from_numpy(index)


def _encode(index: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Datum and integer coordinates in one sortable 64-bit key."""
    dim = index.shape[1]
    bits = _BITS[dim]
    key = owner.astype(np.int64)
    for i in range(dim):
        key = (key << bits) | (index[:, i] + (1 << (bits - 1)))
    return key


def _decode(keys: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    bits = _BITS[dim]
    columns, rest = [], keys
    for _ in range(dim):
        columns.append((rest & ((1 << bits) - 1)) - (1 << (bits - 1)))
        rest = rest >> bits
    return np.stack(columns[::-1], 1), rest


def _merge(keys: np.ndarray, values: np.ndarray, new_keys: np.ndarray, new_values: np.ndarray):  # type: ignore[no-untyped-def]
    places = np.searchsorted(keys, new_keys)
    return np.insert(keys, places, new_keys), np.insert(values, places, new_values)


def _contains(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    places = np.searchsorted(keys, wanted)
    places[places == len(keys)] = 0
    return keys[places] == wanted if len(keys) else np.zeros(len(wanted), bool)
