"""The guide's own family: each Normal of the guide moved and widened, its networks frozen.

    z = G(η),    η ~ N(δ, diag e^2γ),    a δ and a γ for each latent of each datum; δ = γ = 0 is the encoder's output

with G the guide as a map of noise (`programs/guide_noise.py`). What a site is given, x and the sites before it, it is
given still. So in the coordinates η the family is mean-field, whatever G is, and log p(x, G(η)) + log |det dG/dη| is
the density that is approximated there. Of a guide that is one diagonal Normal it is mean-field in every coordinate.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.families.expectation import Density
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap.refined_target import MemberTarget
from elbowroom.inference.programs.guide_noise import from_noise, to_noise, why_no_noise
from elbowroom.inference.target import Target

OWN_FAMILY = "own-family"
"""The rung's name."""

_AFFINE = 1e-5  # of a coordinate's change: more shows that it is no affine function of its own site's noise alone
_FARTHEST = 100.0  # units of noise: points beyond say nothing of where to begin


@dataclass(frozen=True)
class NoiseDensities:
    """log p(x, G(η)) + log |det dG/dη| and its gradient, in place of `Densities`.

    Attributes:
        coordinates: of the data; η are as many, in the same order.
        cells: how many points may be evaluated at once.
    """

    coordinates: Coordinates
    cells: int

    def gradient(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The log density at η `[S, B, D]`, `[S, B]`, and its gradient, `[S, B, D]`."""
        pieces = [self._gradient(piece) for piece in noise.split(max(1, self.cells // noise.shape[1]))]
        value, gradient = (torch.cat(part) for part in zip(*pieces, strict=True))
        return value, gradient

    def on(self, data: Tensor) -> Density:
        """The density of some of the data."""
        return NoiseDensities(self.coordinates.at(data), self.cells).gradient

    def points(self, u: Tensor) -> Tensor | None:
        """η of points in unconstrained coordinates `[M, B, D]`, those far out cut short; None without an inverse."""
        target = self.coordinates.target
        with torch.no_grad():
            z = target.log_joint_unconstrained(self.coordinates.unpack(u.to(target.dtype)))[2]
            try:
                noise = self.coordinates.pack(target.run("guide", to_noise, z, len(u))[0])
            except (NotImplementedError, KeyError):  # a map whose inverse is not known
                return None
        return noise.double().nan_to_num(_FARTHEST).clamp(-_FARTHEST, _FARTHEST)

    def _gradient(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        target = self.coordinates.target
        with torch.enable_grad():
            noise = noise.detach().requires_grad_(True)
            z, terms = target.run("guide", from_noise, self.coordinates.unpack(noise), len(noise))
            prior, likelihood = target.log_joint(z)
            value = prior + likelihood + terms["log_jacobian"]
            (gradient,) = torch.autograd.grad(value.sum(), noise)
        return value.detach(), gradient


def in_noise(coordinates: Coordinates) -> Family:
    """The encoder's output in these coordinates: η ~ N(0, I)."""
    shape, device = (len(coordinates.target), coordinates.dim), coordinates.target.device
    zeros = torch.zeros(shape, dtype=torch.float64, device=device)
    return Family.gaussian(zeros, torch.ones_like(zeros))


def why_no_own_family(target: Target, memory_bytes: int | None = None) -> str:
    """Why a guide has no rung of its own: it is no map of noise, or a Gaussian that has its rung; empty if it has."""
    if isinstance(target, MemberTarget):
        return "the guide is a member of a family for each datum already"
    if why := why_no_noise(target):
        return f"the guide is no map of standard-normal noise: {why}"
    num_points = len(target.structure.latents) + 2
    pieces = plan(target, num_points, memory_bytes).data(target)
    if not any(_is_structured(Coordinates.of(part)) for _, part in pieces):
        return "the guide is a Gaussian of independent sites: its own family is mean-field or full covariance"
    return ""


def _is_structured(coordinates: Coordinates) -> bool:
    """Whether, of any datum, a site is no affine function of its own noise, or depends on another site's.

    With η at a point, the noise of each site in turn moved by a vector, and that of all by twice the vector.
    """
    target, dim = coordinates.target, coordinates.dim
    where = torch.linspace(-0.9, 1.1, dim, dtype=target.dtype, device=target.device).expand(len(target), dim)
    sites = [latent.name for latent in target.structure.latents.values()]
    moved = [coordinates.unpack(where.unsqueeze(0)) for _ in range(len(sites) + 2)]
    step = coordinates.unpack(torch.linspace(0.8, 0.5, dim).to(where).expand(1, len(target), dim))
    for i, name in enumerate(sites, start=1):
        moved[i][name] = moved[i][name] + step[name]
        moved[-1][name] = moved[-1][name] + 2 * step[name]
    noise = torch.cat([coordinates.pack(values) for values in moved])
    with torch.no_grad():
        z, _ = target.run("guide", from_noise, coordinates.unpack(noise), len(noise))
        u = coordinates.unpack(coordinates.unconstrain(z))
    rounding = 100 * torch.finfo(target.dtype).eps
    for i, name in enumerate(sites, start=1):
        change = u[name] - u[name][:1]  # [L + 2, B, *event]
        bound = _AFFINE * change[i].abs() + rounding * (1 + u[name].abs().amax(0))
        others = torch.cat([change[1:i], change[i + 1 : -1]])
        if bool((others.abs() > bound).any() or ((change[-1] - 2 * change[i]).abs() > bound).any()):
            return True
    return False
