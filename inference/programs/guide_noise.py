"""A guide as a map of noise, where every latent site is a Normal or a map of one.

    z = G(η),    z_i = T_i(m_i + s_i η_i),    η ~ N(0, I),    m_i, s_i and T_i functions of x and of the sites before

so that a density in z is one in η, log p(x, G(η)) + log |det dG/dη|, and moving and widening each Normal in its own
units, m_i + s_i δ_i and s_i e^γ_i, makes of the guide the one whose η are N(δ, e^2γ). s_i is a standard deviation, or a
Cholesky factor: then s_i η_i is a product of matrix and vector.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.structure import Program, ProgramError, Structure
from elbowroom.inference.programs.terms import Arrange, Result, Values, collected, place
from elbowroom.inference.programs.triple import Triple


class NoNoise(ProgramError):
    """A guide is no map of standard-normal noise; the message says which site is none."""


class Base(NamedTuple):
    """The Normal that a site is a map of.

    Attributes:
        loc: m, `[*batch, *event]`.
        scale: standard deviations of the same shape, or Cholesky factors `[*batch, n, n]`.
        transforms: T, the first applied first.
    """

    loc: Tensor
    scale: Tensor
    transforms: tuple[Any, ...]

    @property
    def is_full(self) -> bool:
        """Whether the scale is a Cholesky factor."""
        return self.scale.dim() > self.loc.dim()

    def stretched(self, noise: Tensor) -> Tensor:
        """s η."""
        return (self.scale @ noise.unsqueeze(-1)).squeeze(-1) if self.is_full else self.scale * noise

    @property
    def log_scale(self) -> Tensor:
        """log s, the diagonal's where it is a factor."""
        return (self.scale.diagonal(dim1=-2, dim2=-1) if self.is_full else self.scale).log()


def base_of(fn: Any) -> Base | None:
    """The Normal that a distribution is a map of; None if it is a map of none."""
    transforms: tuple[Any, ...] = ()
    while True:
        if isinstance(fn, torch.distributions.TransformedDistribution):
            transforms = (*fn.transforms, *transforms)
        elif not isinstance(fn, (torch.distributions.Independent, dist.ExpandedDistribution)):
            break
        fn = fn.base_dist
    if isinstance(fn, torch.distributions.Normal):
        return Base(fn.loc, fn.scale, transforms)
    if isinstance(fn, torch.distributions.MultivariateNormal):
        return Base(fn.loc, fn.scale_tril, transforms)
    return None


class _FromNoise(Messenger):
    """Set latent sites to G(η); `values` are these, `log_jacobian` log |det dz_i/dη_i| with the site's batch shape."""

    def __init__(self, noise: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.noise = noise
        self.values: Values = {}
        self.log_jacobian: Values = {}

    def _pyro_sample(self, msg: Any) -> None:
        name, fn = msg["name"], msg["fn"]
        if msg["is_observed"] or name not in self.noise:
            return
        base, noise = _base(name, fn), self.noise[name]
        value = base.loc + base.stretched(noise)
        batch = value.dim() - fn.event_dim
        log_jacobian = _summed(base.log_scale.expand(value.shape), batch)
        for transform in base.transforms:
            before, value = value, transform(value)
            log_jacobian = log_jacobian + _summed(transform.log_abs_det_jacobian(before, value), batch)
        self.values[name], self.log_jacobian[name] = value, log_jacobian
        msg["value"], msg["done"] = value, True


class _ToNoise(Messenger):
    """Set latent sites to given values; `noise` is what they are maps of."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.values = values
        self.noise: Values = {}

    def _pyro_sample(self, msg: Any) -> None:
        name = msg["name"]
        if msg["is_observed"] or name not in self.values:
            return
        base, value = _base(name, msg["fn"]), self.values[name]
        inner = value
        for transform in reversed(base.transforms):
            inner = transform.inv(inner)
        apart = inner - base.loc
        if base.is_full:
            noise = torch.linalg.solve_triangular(base.scale, apart.unsqueeze(-1), upper=False).squeeze(-1)
        else:
            noise = apart / base.scale
        self.noise[name] = noise
        msg["value"], msg["done"] = value, True


class Offset(Messenger):
    """Move and widen the Normal of each latent site in its own units: m + s δ and s e^γ (of a factor, s diag e^γ).

    Args:
        offsets: site -> δ and γ, which broadcast with the site's m.
    """

    def __init__(self, offsets: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.offsets = offsets

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.offsets and not msg["is_observed"]:
            msg["fn"] = _offset(_base(msg["name"], msg["fn"]), msg["fn"], *self.offsets[msg["name"]])


def _offset(base: Base, fn: Any, shift: Tensor, widening: Tensor) -> Any:
    loc, factor = base.loc + base.stretched(shift), widening.exp()
    moved: Any = (
        dist.MultivariateNormal(loc, scale_tril=base.scale * factor.unsqueeze(-2))
        if base.is_full
        else dist.Normal(loc, base.scale * factor)
    )
    if base.transforms:
        moved = dist.TransformedDistribution(moved, list(base.transforms))
    return moved.to_event(fn.event_dim - moved.event_dim).expand(fn.batch_shape)


def _base(name: str, fn: Any) -> Base:
    base = base_of(fn)
    if base is None:
        raise NoNoise(f"guide site '{name}' is neither a Normal nor a map of one")
    return base


def _summed(value: Tensor, batch: int) -> Tensor:
    """The sum over all dims behind the first so many."""
    return value.flatten(batch).sum(-1) if value.dim() > batch else value


def from_noise(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """The term of a guide that gives z = G(η) and `log_jacobian`, log |det dG/dη|, for η of the shapes of z."""
    setter = _FromNoise(place(triple.structure, given, num_samples))
    triple.trace("guide", num_samples, setter)
    jacobians = [triple.structure.per_datum(j, num_samples or 1, len(triple)) for j in setter.log_jacobian.values()]
    return collected(triple, setter.values, num_samples), {"log_jacobian": torch.stack(jacobians).sum(0)}


def to_noise(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """The term of a guide that gives η = G⁻¹(z).

    Raises:
        NotImplementedError: if one of its maps has no inverse that is known.
    """
    setter = _ToNoise(place(triple.structure, given, num_samples))
    triple.trace("guide", num_samples, setter)
    return collected(triple, setter.noise, num_samples), {}


def why_no_noise(triple: Triple) -> str:
    """Why the guide is no map of noise, site by site and for each datum; empty if it is one."""
    structure = triple.structure
    if structure.collapsed or structure.auxiliary or structure.masked or structure.separate:
        return "its latents are not all drawn at sites of their own, in every run alike"
    if not triple.sliceable and len(triple) > 1:
        return f"its data cannot be cut: {triple.why_whole()}"
    with quiet_globals(triple.args), torch.no_grad():
        sites = triple.trace("guide", None).nodes
    for name, latent in structure.latents.items():
        base, event = base_of(sites[name]["fn"]), latent.event
        if latent.plates or latent.inner or latent.unconstrained != event:
            return f"its site '{name}' stands in plates besides the data's, or has other coordinates than values"
        if base is None or tuple(base.loc.shape[base.loc.dim() - len(event) :]) != event:
            return f"its site '{name}' is neither a Normal nor a map of one"
    return ""


def offset_run(guide: Program, offsets: Mapping[str, tuple[Tensor, Tensor]], *args: Any, **kwargs: Any) -> Any:
    """Run a guide whose Normals are moved and widened; handlers outside see none of its parameters."""
    with poutine.block(hide_types=["param"]), Offset(offsets):
        return guide(*args, **kwargs)


def offsets_by_site(structure: Structure, shift: Tensor, widening: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """δ and γ `[B, D]` as each site's, `[B, …, *event]` with the dims of plates to the right of the data's as 1."""
    offsets, position = {}, 0
    for name, latent in structure.latents.items():
        site = slice(position, position + math.prod(latent.event))
        lead = () if structure.data_dim is None else (len(shift), *(1,) * (-structure.data_dim - 1))
        delta, gamma = (value[:, site].reshape(*lead, *latent.event) for value in (shift, widening))
        offsets[name], position = (delta, gamma), site.stop
    return offsets
