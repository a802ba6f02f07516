"""Two Gaussian shells in a box: thin curved ridges, two modes, an unnormalised likelihood."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from scipy import integrate
from torch import Tensor
from torch.distributions import constraints

from elbowroom.reference.reference import Quality, Reference

RADIUS, WIDTH, OFFSET, BOX = 2.0, 0.1, 3.5, 6.0


def shells(name: str, dim: int, kind: str, quality: Quality) -> Reference:
    """z uniform on [−6, 6]^d, L(z) = Σ_± N(|z − c_±|; 2, 0.1²), c_± = (±3.5, 0, …).

    Z = 2 · 12^(−d) · |S^(d−1)| ∫ r^(d−1) N(r; 2, 0.1²) dr. What the box cuts off the shells, five widths from their
    outermost points, is below 1e-7 of it. `kind` of guide: `"both"` shells, `"one"` of them, or the `"prior"`.
    """
    centres = torch.zeros(2, dim, dtype=torch.float64)
    centres[0, 0], centres[1, 0] = -OFFSET, OFFSET

    def model(centres: Tensor) -> None:
        edge = centres.new_full((dim,), BOX)
        z = pyro.sample("z", dist.Uniform(-edge, edge).to_event(1))
        distance = (z.unsqueeze(-2) - centres).square().sum(-1).sqrt()
        pyro.factor("shells", _radial(distance).logsumexp(-1))

    def guide(centres: Tensor) -> None:
        edge = centres.new_full((dim,), BOX)
        if kind == "prior":
            pyro.sample("z", dist.Uniform(-edge, edge).to_event(1))
        else:
            pyro.sample("z", Shells(centres if kind == "both" else centres[:1]))

    mass, square = _radial_integral(dim, 0), _radial_integral(dim, 2)
    variance = torch.full((1, dim), square / mass / dim, dtype=torch.float64)
    variance[0, 0] += OFFSET**2
    log_evidence = math.log(2) - dim * math.log(2 * BOX) + _log_sphere(dim) + math.log(mass)
    notes = {
        "both": "directions on both shells are uniform, radii normal: nearly the posterior",
        "one": "the guide sees one of two equal shells: half of the mass, log 2, is missing without a sign",
        "prior": "bounded weights, a few per cent of which count",
    }
    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(centres,),
        plate=None,
        log_evidence=torch.tensor([log_evidence], dtype=torch.float64),
        mean=torch.zeros(1, dim, dtype=torch.float64),
        sd=variance.sqrt(),
        guide_quality=quality,
        multimodal=True,
        accuracy=1e-7,
        provenance="radial quadrature (scipy.integrate.quad); Feroz, Hobson & Bridges (2009), section 6.2, print −1.75 "
        "for d = 2 and −14.59 for d = 10",
        notes=notes[kind],
    )


class Shells(dist.TorchDistribution):
    """Equal mixture of shells: a uniform direction from a centre `[C, d]` and a radius N(2, 0.1²)."""

    arg_constraints = {"centres": constraints.real}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = False

    def __init__(self, centres: Tensor, batch_shape: torch.Size | None = None, validate_args: Any = None) -> None:
        self.centres = centres
        super().__init__(batch_shape or torch.Size(), centres.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Shells":
        return Shells(self.centres, torch.Size(batch_shape))

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        shape = self.shape(torch.Size(sample_shape))
        options: dict[str, Any] = {"dtype": self.centres.dtype, "device": self.centres.device}
        which = (torch.rand(shape[:-1], **options) * len(self.centres)).long()
        direction = torch.randn(shape, **options)
        radius = RADIUS + WIDTH * torch.randn(shape[:-1], **options)
        unit = direction / direction.square().sum(-1, keepdim=True).sqrt()
        return self.centres[which] + radius.unsqueeze(-1) * unit

    def log_prob(self, value: Tensor) -> Tensor:
        distance = (value.unsqueeze(-2) - self.centres).square().sum(-1).sqrt()  # [..., C]
        dim = self.centres.shape[-1]
        terms = _radial(distance) - _log_sphere(dim) - (dim - 1) * distance.log()
        return terms.logsumexp(-1) - math.log(len(self.centres))


def _radial(distance: Tensor) -> Tensor:
    return -0.5 * ((distance - RADIUS) / WIDTH).square() - math.log(WIDTH * math.sqrt(2 * math.pi))


def _log_sphere(dim: int) -> float:
    """log area of the unit sphere in d dimensions."""
    return math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)


def _radial_integral(dim: int, power: int) -> float:
    """∫ r^(d − 1 + power) N(r; 2, 0.1²) dr."""

    def density(r: float) -> float:
        return r ** (dim - 1 + power) * math.exp(-0.5 * ((r - RADIUS) / WIDTH) ** 2) / (WIDTH * math.sqrt(2 * math.pi))

    return float(integrate.quad(density, 0.0, 2 * RADIUS, points=[RADIUS], epsabs=0.0, epsrel=1e-12)[0])


_KINDS: tuple[tuple[str, int, str, Quality], ...] = (
    ("shells", 2, "both", "good"),
    ("shells-prior", 2, "prior", "mediocre"),
    ("shells-one", 2, "one", "bad"),
    ("shells-5", 5, "both", "good"),
    ("shells-5-one", 5, "one", "bad"),
    ("shells-10", 10, "both", "good"),
)
PROBLEMS: dict[str, Callable[[], Reference]] = {row[0]: partial(shells, *row) for row in _KINDS}
