"""What the model makes of the points of a plane: lattices of E[x | z], and of draws of x."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.exploration.draws import samples_within
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.overview import Overview
from elbowroom.inference.exploration.result import Decoded, Scale
from elbowroom.inference.programs.decoded import Observation, decoded, observation_of
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.target import Target

_ALIKE = 16
"""Data of which it is asked whether the model makes the same of a point for all of them."""


@dataclass(frozen=True)
class Decoder:
    """A model that can be asked what it makes of a point.

    Attributes:
        observation: the observed site, with the data.
        scale: of the bytes.
        seed: of draws.
        memory_bytes: of one evaluation.
    """

    observation: Observation
    scale: Scale
    seed: int
    memory_bytes: int | None

    def at(self, coordinates: Coordinates, u: Tensor, *, draw: bool = False) -> Tensor:
        """E[x | z] (or a draw) at u `[S, B, D]`, bytes `[S, B, *event]`."""
        size = samples_within(coordinates.target, self.memory_bytes, 3)
        return torch.cat([self.scale.bytes_of(self._values(coordinates, part, draw)) for part in u.split(size)])

    def lattice(self, coordinates: Coordinates, frames: Sequence[Frame], size: int) -> list[Decoded]:
        """A lattice of `size` points along each axis of each datum's plane."""
        shape = (size,) * len(frames[0].axes)
        u = torch.stack([f.points(f.lattice(size)).reshape(-1, coordinates.dim) for f in frames], 1)
        mean, sample = self.at(coordinates, u), self.at(coordinates, u, draw=True)
        return [
            Decoded(
                f.window, mean[:, b].reshape(*shape, *mean.shape[2:]), sample[:, b].reshape(*shape, *mean.shape[2:])
            )
            for b, f in enumerate(frames)
        ]

    def _values(self, coordinates: Coordinates, u: Tensor, draw: bool) -> Tensor:
        target = coordinates.target
        values = decoded(
            target, target.layouts, self.observation.site, constrained(coordinates, u), draw=draw, seed=self.seed
        )
        return values.double().cpu()


def decoder_of(
    coordinates: Coordinates, overview: Overview, seed: int, memory_bytes: int | None
) -> tuple[Decoder | None, tuple[str, ...]]:
    """The model as a decoder; or why it cannot be one, a sentence. Its bytes are for codes that are not far out."""
    target = coordinates.target
    try:
        observation = observation_of(target, target.layouts, target.propose(1, seed=seed)[0])
        rows = (~overview.far).nonzero().flatten()[:64]
        few = coordinates.at(rows)
        z = constrained(few, overview.means[rows].unsqueeze(0))
        again = decoded(few.target, few.target.layouts, observation.site, z)
        decoded(few.target, few.target.layouts, observation.site, z, draw=True)
    except (ProgramError, ValueError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return None, (f"What the model makes of a point is not shown: {reason}",)
    return Decoder(observation, scale_of(observation.x, again), seed, memory_bytes), ()


def constrained(coordinates: Coordinates, u: Tensor) -> dict[str, Tensor]:
    """Site values at u `[S, B, D]`."""
    target = coordinates.target
    values = coordinates.unpack(u.to(target.device, target.dtype))
    if coordinates.real:
        return values
    with torch.no_grad():
        return target.log_joint_unconstrained(values)[2]


def is_shared(target: Target, observation: Observation, u: Tensor) -> bool:
    """Whether the model makes the same of a point whatever the datum: nothing but z tells it what x may be.

    Args:
        target: programs and data.
        observation: the observed site.
        u: a few points, `[S, 1, D]`.
    """
    few = target.select(range(min(_ALIKE, len(target))))
    coordinates = Coordinates.of(few, gradients=False)
    values = decoded(few, few.layouts, observation.site, constrained(coordinates, u.expand(-1, len(few), -1)), seed=0)
    return torch.allclose(values, values[:, :1].expand_as(values), rtol=1e-4, atol=1e-5, equal_nan=True)


def scale_of(x: Tensor, again: Tensor | None) -> Scale:
    """From the lowest to the highest of the data and what the model makes of them; 0 and 1 where these hold all."""
    finite = torch.cat([values[values.isfinite()].double().flatten() for values in (x, again) if values is not None])
    if not len(finite):
        return Scale(0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    return Scale(0.0, 1.0) if low >= 0 and high <= 1 else Scale(low, high)
