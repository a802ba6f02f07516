"""The geometric path from a density that can be drawn from to the joint, and one transition along it."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.differentiated import Differentiated, Forward
from elbowroom.inference.evaluation.recorded import Traced
from elbowroom.inference.mcmc.leapfrog import Point
from elbowroom.inference.mcmc.transition import Kernel, Move, transition
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.programs.terms import joint_density_unconstrained
from elbowroom.inference.target import Target


@dataclass(frozen=True)
class Ends:
    """Positions, and both ends of the path there, so that a change of temperature costs no evaluation.

    Attributes:
        u: positions, `[C, B, D]`.
        log_start, log_joint: log densities in u of the start and of the joint, `[C, B]`, nats.
        start_gradient, joint_gradient: their gradients in u, `[C, B, D]`.
    """

    u: Tensor
    log_start: Tensor
    log_joint: Tensor
    start_gradient: Tensor
    joint_gradient: Tensor

    @property
    def difference(self) -> Tensor:
        """log joint − log start, the derivative of the path in β, `[C, B]`, nats, float64."""
        return self.log_joint.double() - self.log_start.double()

    def at(self, beta: Tensor) -> Point:
        """The point under log f_β = (1 − β) log start + β log joint, β `[B]`; a NaN density counts as zero."""
        # Of the dtype of u, as a chain is: data or a prior may have densities of a wider one.
        log_p = _mix(beta.to(self.log_start), self.log_start, self.log_joint).to(self.u.dtype)
        gradient = _mix(beta.to(self.u).unsqueeze(-1), self.start_gradient, self.joint_gradient)
        return Point(self.u, log_p.nan_to_num(-torch.inf, -torch.inf, -torch.inf), gradient.nan_to_num(0.0, 0.0, 0.0))

    def where(self, chosen: Tensor, other: "Ends") -> "Ends":
        """These ends where `chosen` `[C, B]` says so, the other ones elsewhere."""
        return _each(lambda mine, theirs: torch.where(_wide(chosen, mine), mine, theirs), self, other)

    def gather(self, index: Tensor) -> "Ends":
        """The chains that `index` `[C, B]` names for each datum."""
        return _each(lambda mine: mine.gather(0, _wide(index, mine).expand_as(mine)), self)


class Path:
    """Densities f_β ∝ start^(1−β) joint^β of each datum, in unconstrained coordinates.

    Args:
        coordinates: of the target.
        start: `"guide"` or `"prior"`, where the path begins.
        compile, record: compile the densities, or do not even record them (see `Traced`).
        cells: how many positions are evaluated at once; None: all of them.

    Raises:
        ValueError: if the path is to start at a guide whose density at a given point is unknown.
    """

    def __init__(
        self,
        coordinates: Coordinates,
        start: str,
        *,
        compile: bool = False,
        record: bool = True,
        cells: int | None = None,
    ) -> None:
        self.coordinates, self.start, self.cells = coordinates, start, cells
        if start == "guide":
            _check_guide(coordinates.target)
        weight = GRADIENT * (2 if start == "guide" else 1)  # the guide is a program of its own
        self._ends = Traced(_ENDS[start], coordinates, compile=compile, record=record, weight=weight)

    @property
    def target(self) -> Target:
        """The programs and data."""
        return self.coordinates.target

    def on(self, target: Target) -> "Path":
        """The same path for other data of the same programs."""
        other = copy.copy(self)
        other.coordinates = Coordinates(target, self.coordinates.dim)
        other._ends = self._ends.on(other.coordinates)
        return other

    def draw(self, num_chains: int, seed: int, first: int) -> Ends:
        """Independent draws of the start for chains `first … first + num_chains − 1`."""
        with torch.no_grad():
            if self.start == "guide":
                z, _ = self.target.propose(num_chains, seed=seed, start=first)
            else:
                z = self.target.sample_prior(num_chains, seed=seed, start=first)
            if self.coordinates.real:
                return self.evaluate(self.coordinates.pack(z))
            return self._of_zero_weight(z, self.coordinates.unconstrain(z))

    def _of_zero_weight(self, z: Mapping[str, Tensor], u: Tensor) -> Ends:
        """Draws outside the support that the model gives a latent have no u: they weigh nothing, wherever they go."""
        finite = [v.isfinite().flatten(2).all(-1) if v.dim() > 2 else v.isfinite() for v in z.values()]
        outside = torch.stack(finite).all(0) & ~u.isfinite().all(-1)
        ends = self.evaluate(torch.where(outside.unsqueeze(-1), 0.0, u))
        return replace(
            ends,
            log_start=torch.where(outside, 0.0, ends.log_start),
            log_joint=torch.where(outside, -torch.inf, ends.log_joint),
        )

    def evaluate(self, u: Tensor) -> Ends:
        """Both ends of the path at u `[C, B, D]`."""
        u = u.detach().contiguous()
        size = len(u) if self.cells is None else min(len(u), 2 ** max(0, (self.cells // u.shape[1]).bit_length() - 1))
        pieces = [self._ends(piece) for piece in u.split(size)]
        return Ends(u, *(pieces[0] if len(pieces) == 1 else map(torch.cat, zip(*pieces, strict=True))))

    def step(self, ends: Ends, beta: Tensor, kernel: Kernel, momentum: Tensor, uniform: Tensor) -> tuple[Ends, Move]:
        """One HMC transition that leaves f_β invariant, reversible with respect to it; β `[B]`.

        The kernel must take the same number of leapfrog steps in every chain, as those of `Tuning` do: then the last
        evaluation is that of the proposals.
        """
        last: list[Ends] = []

        def density(u: Tensor) -> tuple[Tensor, Tensor]:
            last[:] = [self.evaluate(u)]
            point = last[0].at(beta)
            return point.log_p, point.gradient

        _, move = transition(density, ends.at(beta), kernel, momentum, uniform)
        return last[0].where(move.accepted, ends), move


def _from_guide(coordinates: Coordinates, u: Tensor) -> tuple[Tensor, Tensor]:
    """log q and log joint in u, `[C, B]`."""
    joint, log_jacobian, z = coordinates.target.log_joint_unconstrained(coordinates.unpack(u))
    return coordinates.target.log_guide(z) + log_jacobian, joint


def _with_slopes(forward: Forward, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log q and log joint in u, `[C, B]`, and their gradients `[C, B, D]`."""
    log_q, joint = forward(u)
    return log_q.detach(), joint.detach(), _gradient(log_q, u), _gradient(joint, u)


def _from_prior(coordinates: Coordinates, u: Tensor) -> tuple[Tensor, Tensor]:
    """log prior in u, and log likelihood, `[C, B]`."""
    terms = coordinates.target.run("model", joint_density_unconstrained, coordinates.unpack(u), len(u))[1]
    return terms["prior"] + terms["log_jacobian"], terms["likelihood"]


def _with_summed_slopes(forward: Forward, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log prior and log joint in u, `[C, B]`, and their gradients `[C, B, D]`."""
    prior, likelihood = forward(u)
    slope = _gradient(prior, u)
    return prior.detach(), (prior + likelihood).detach(), slope, slope + _gradient(likelihood, u)


_ENDS = {
    "guide": Differentiated(_from_guide, _with_slopes),
    "prior": Differentiated(_from_prior, _with_summed_slopes),
}
STARTS = tuple(_ENDS)


def _gradient(value: Tensor, u: Tensor) -> Tensor:
    if not value.requires_grad:  # a density that is flat in u
        return torch.zeros_like(u)
    return torch.autograd.grad(value.sum(), u, retain_graph=True, materialize_grads=True)[0]


def _mix(beta: Tensor, start: Tensor, joint: Tensor) -> Tensor:
    """(1 − β) start + β joint, with 0 · ∞ = 0 at both ends."""
    return torch.where(beta == 0, start, torch.where(beta == 1, joint, (1 - beta) * start + beta * joint))


def _wide(chosen: Tensor, like: Tensor) -> Tensor:
    return chosen.unsqueeze(-1) if like.dim() > chosen.dim() else chosen


def _each(function: Callable[..., Tensor], *ends: Ends) -> Ends:
    return Ends(*(function(*(getattr(e, name) for e in ends)) for name in Ends.__dataclass_fields__))


def _check_guide(target: Target) -> None:
    if reason := target.why_no_density():
        raise ValueError(
            f"start='guide' needs the guide's density at any point, which this guide does not tell ({reason}). Use "
            "start='prior'."
        )
