"""Evaluate a target at a different number of points for each datum, in rectangles within a byte budget."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates

Evaluate = Callable[[Coordinates, Tensor], Tensor]
"""(coordinates of some data, u `[S, b, D]`) to values `[S, b, ...]`."""


def at_points(coordinates: Coordinates, evaluate: Evaluate, points: Tensor, datum: Tensor, cells: int) -> Tensor:
    """`evaluate` at `points` `[M, D]` of the data `datum` `[M]` (ascending), `[M, ...]`.

    Data with similar numbers of points share a rectangle [points, data] of at most `cells` cells, padded with
    repeats; so the encoder runs once for each datum of a rectangle.
    """
    counts = torch.bincount(datum, minlength=len(coordinates.target))
    starts = counts.cumsum(0) - counts
    result: Tensor | None = None
    with torch.no_grad():
        for data in _rectangles(counts, cells, coordinates.target.sliceable):
            part, height = coordinates.at(data), counts[data]
            step = max(1, cells // len(data))
            for begin in range(0, int(height.max()), step):
                place = torch.arange(begin, min(begin + step, int(height.max()))).unsqueeze(1)  # [s, 1]
                inside = place < height  # [s, b]
                where = starts[data] + torch.minimum(place, (height - 1).clamp_min(0))
                where = where.clamp_max(len(points) - 1)
                values = evaluate(part, points[where].to(part.target.device)).cpu().double()
                if result is None:
                    result = values.new_zeros(len(points), *values.shape[2:])
                result[where[inside]] = values[inside]
    return torch.empty(0) if result is None else result


def _rectangles(counts: Tensor, cells: int, sliceable: bool) -> Iterator[Tensor]:
    """Split the data into groups in which no datum has less than half of the group's largest number of points."""
    if not sliceable:
        yield torch.arange(len(counts))
        return
    order = counts.argsort(descending=True)
    order = order[counts[order] > 0]
    begin = 0
    while begin < len(order):
        tallest = int(counts[order[begin]])
        width = max(1, cells // tallest)
        group = order[begin : begin + width]
        group = group[counts[group] * 2 >= tallest]
        yield group.sort().values
        begin += len(group)
