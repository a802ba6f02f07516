"""Weighted draws of the guide by one recorded program: noise goes in, log weights come out, a tile at a time."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from elbowroom.inference.chunks import Plan
from elbowroom.inference.coordinates import Coordinates
from elbowroom.inference.noise import Noise
from elbowroom.inference.streams import Drawn, Sampler, from_guide
from elbowroom.inference.target import Target
from elbowroom.inference.terms import draw
from elbowroom.inference.traced import Traced

TILE = 1024
"""Points (samples times data) evaluated at once: few enough for the processor's cache, enough for its threads."""

_ROWS = 16  # data at most: each needs its encoder once a tile, and each tile of new data is checked once


class Asked(NamedTuple):
    """Random numbers that a guide asks for: what kind, where, how many for each sample of each datum."""

    kind: str
    site: str
    operation: int
    width: int
    dtype: torch.dtype


@dataclass(frozen=True)
class Weights:
    """log w and log p(x | z), `[S, B]`, as a function of the noise `[S, B, width]` that the guide draws with."""

    asked: tuple[Asked, ...]

    def __call__(self, coordinates: Coordinates, *noise: Tensor) -> tuple[Tensor, Tensor]:
        target = coordinates.target
        given = _Given(target, self.asked, noise)
        with _Rewrite():
            z, terms = target._run("guide", partial(draw, noise=given), {}, given.num_samples, given)
            prior, likelihood = target.log_joint(z)
        return prior + likelihood - terms["log_q"], likelihood


def compiled_draws(target: Target, cut: Plan) -> Sampler:
    """A sampler like `streams.from_guide`, of the same draws, which compiles one tile and runs it over and over.

    Programs that cannot be recorded are run plainly, tile by tile; a guide that draws nothing has nothing to record.
    """
    asked = _asked(target)
    if not asked:
        return from_guide
    rows, samples = _tile(target, cut)
    traced = Traced(Weights(asked), Coordinates(target, 0), compile=True)
    last: Target | None = None
    tiles: list[Traced] = []

    def sampler(part: Target, count: int, seed: int, start: int) -> Drawn:
        nonlocal last, tiles
        if part is not last:
            last, tiles = part, [traced.on(Coordinates(tile, 0)) for tile in _cut(part, rows)]
        noise = Noise(seed, part.keys, count, start)
        numbers = [noise.draw(*each).to(part.device) for each in asked]  # [count, B, width]
        return _evaluate(tiles, numbers, len(part), samples)

    return sampler


def _evaluate(tiles: list[Traced], numbers: list[Tensor], num_data: int, samples: int) -> Drawn:
    """All tiles of one chunk; what stands over the edge of samples or data is made up by the first ones."""
    count, columns = len(numbers[0]), []
    for i, traced in enumerate(tiles):
        width = len(traced.coordinates.target)
        mine = [_made_up(n[:, i * width : (i + 1) * width], 1, width) for n in numbers]
        pieces = [
            traced(*(_made_up(n[first : first + samples], 0, samples) for n in mine))
            for first in range(0, count, samples)
        ]
        columns.append([torch.cat(piece)[:count] for piece in zip(*pieces, strict=True)])
    log_w, likelihood = (torch.cat(column, 1)[:, :num_data] for column in zip(*columns, strict=True))
    return Drawn(log_w, likelihood)


def _made_up(values: Tensor, dim: int, size: int) -> Tensor:
    """`size` entries along a dimension: the first one is repeated for those that lack."""
    lack = size - values.shape[dim]
    if lack == 0:
        return values
    return torch.cat([values, values.narrow(dim, 0, 1).repeat_interleave(lack, dim)], dim)


def _tile(target: Target, cut: Plan) -> tuple[int, int]:
    """Data and samples of one tile: some of the data of a piece, in equal parts, so that few are made up."""
    rows = min(len(target), cut.rows)
    if target.sliceable:
        rows = math.ceil(rows / math.ceil(rows / min(TILE, _ROWS)))
    return rows, min(cut.samples, max(1, TILE // rows))


def _cut(part: Target, rows: int) -> list[Target]:
    """Data `rows` at a time; the last ones are made up to as many."""
    if rows == len(part):
        return [part]
    pieces = torch.arange(len(part)).split(rows)
    return [part.select(_made_up(piece, 0, rows)) for piece in pieces]


class _Rewrite(TorchDispatchMode):
    """tanh as 2 σ(2x) − 1, the same to a unit in the last place of 1: compiled, it takes 0.4 of the time."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.tanh.default:
            return 2 * torch.sigmoid(2 * args[0]) - 1
        return func(*args, **(kwargs or {}))


class _Asking(Noise):
    """Notes what is asked for."""

    def __init__(self, target: Target) -> None:
        super().__init__(0, target.keys, 1)
        self.asked: list[Asked] = []

    def draw(self, kind: str, site: str, operation: int, width: int, dtype: torch.dtype) -> Tensor:
        self.asked.append(Asked(kind, site, operation, width, dtype))
        return super().draw(kind, site, operation, width, dtype)


class _Given(Noise):
    """Numbers that were drawn before."""

    def __init__(self, target: Target, asked: tuple[Asked, ...], values: tuple[Tensor, ...]) -> None:
        super().__init__(0, target.keys, len(values[0]))
        self.values = {(each.site, each.operation): value for each, value in zip(asked, values, strict=True)}

    def draw(self, kind: str, site: str, operation: int, width: int, dtype: torch.dtype) -> Tensor:
        return self.values[site, operation]


def _asked(target: Target) -> tuple[Asked, ...]:
    noise = _Asking(target)
    with torch.no_grad():
        target._run("guide", partial(draw, noise=noise), {}, 1, noise)
    return tuple(dict.fromkeys(noise.asked))
