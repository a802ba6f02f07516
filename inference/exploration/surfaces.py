"""Log densities at the lattices of planes, one plane for each datum, all data at once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.exploration.draws import samples_within
from elbowroom.inference.exploration.frame import Frame


class Surfaces(NamedTuple):
    """Densities of u at points of some data, nats.

    Attributes:
        log_joint: log p(x, u), `[S, B]`, −∞ where there is none.
        log_prior: log p(u), the same.
        log_q: log q(u | x), the same; None if the guide's density at a point is unknown.
    """

    log_joint: Tensor
    log_prior: Tensor
    log_q: Tensor | None


def on_lattices(
    coordinates: Coordinates, frames: Sequence[Frame], size: int, memory_bytes: int | None = None
) -> Surfaces:
    """Densities at `frame.lattice(size)` of each datum's own plane, `[size, …, B]` each."""
    shape = (size,) * len(frames[0].axes)
    u = torch.stack([f.points(f.lattice(size)).reshape(-1, coordinates.dim) for f in frames], 1)
    found = at(coordinates, u, memory_bytes)
    log_q = None if found.log_q is None else found.log_q.reshape(*shape, -1)
    return Surfaces(found.log_joint.reshape(*shape, -1), found.log_prior.reshape(*shape, -1), log_q)


def at(coordinates: Coordinates, u: Tensor, memory_bytes: int | None = None) -> Surfaces:
    """Densities at u `[S, B, D]`, `[S, B]` each."""
    pieces = [_at(coordinates, part) for part in u.split(samples_within(coordinates.target, memory_bytes, 3))]
    joint, prior = torch.cat([piece.log_joint for piece in pieces]), torch.cat([piece.log_prior for piece in pieces])
    known = [piece.log_q for piece in pieces if piece.log_q is not None]
    return Surfaces(joint, prior, torch.cat(known) if len(known) == len(pieces) else None)


def _at(coordinates: Coordinates, u: Tensor) -> Surfaces:
    target = coordinates.target
    with torch.no_grad():
        values = coordinates.unpack(u.to(target.device, target.dtype))
        z, log_jacobian = values, u.new_zeros(())
        if not coordinates.real:
            _, log_jacobian, z = target.log_joint_unconstrained(values)
        prior, likelihood = target.log_joint(z)
        prior = prior + log_jacobian
        try:
            log_q = _plain(target.log_guide(z) + log_jacobian)
        except NotImplementedError:  # a guide that draws by way of auxiliary sites
            log_q = None
    return Surfaces(_plain(prior + likelihood), _plain(prior), log_q)


def _plain(log_density: Tensor) -> Tensor:
    """In float64 on the processor; what is not a number has no density."""
    return log_density.double().cpu().nan_to_num(nan=-torch.inf, neginf=-torch.inf, posinf=torch.inf)
