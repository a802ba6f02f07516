"""Refined members as a Pyro guide program: for `Trace_ELBO`, `Predictive`, or training on from where they are."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.distributions.transforms import ReshapeTransform

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.families.family import Family
from elbowroom.inference.programs.arguments import named
from elbowroom.inference.programs.log_prob import bijection
from elbowroom.inference.programs.replacement import draw_latents
from elbowroom.inference.programs.structure import Latent
from elbowroom.inference.target import Target


class RefinedProgram(PyroModule):
    """q(z | x_b) = Π_i q(z_i | z_<i), the members of a rung as a guide; made by `RefinedGuide.program`.

    Every latent site is drawn from its conditional density given the sites before it, which for Gaussians and mixtures
    of them is one of the same kind, mapped to the site's support. Plates, scales and supports are the model's: it is
    run up to its last latent site, and none of its parameters is seen from outside.

    The members are parameters of this module (unconstrained), so that `SVI` can refine them further, or train a decoder
    beneath them: `program.requires_grad_(False)` holds them still.

    Attributes:
        loc: means, `[B, K, D]`.
        log_share: log weights of the components, up to a constant, `[B, K]`.
        scale: log standard deviations `[B, K, D]`, or Cholesky factors with the log of their diagonal `[B, K, D, D]`.
    """

    def __init__(self, target: Target, family: Family) -> None:
        super().__init__()
        coordinates = Coordinates.of(target)
        if target.structure.separate:
            raise ValueError(
                f"the plate '{target.plate}' is sequential, and the members are written for all data at once. "
                "RefinedGuide.target() evaluates and draws them all the same"
            )
        if wide := [name for name, latent in target.structure.latents.items() if latent.plates]:
            raise ValueError(
                f"the latent sites {wide} stand in plates besides the data's, where the members' correlations cannot "
                "be written site by site. RefinedGuide.target() evaluates and draws them all the same"
            )
        share, loc, scale = (t.to(target.device, target.dtype) for t in (family.log_share, family.loc, family.scale))
        scale = (
            scale.log() if family.is_diagonal else scale.tril(-1) + scale.diagonal(dim1=-2, dim2=-1).log().diag_embed()
        )
        self.log_share, self.loc, self.scale = (nn.Parameter(t.detach().clone()) for t in (share, loc, scale))
        self.__dict__["_coordinates"] = coordinates  # not a child: the model's parameters are not this module's

    def forward(self, *args: Any, **kwargs: Any) -> None:
        """Draw every latent site, for all the data that were refined, in their order."""
        coordinates: Coordinates = self.__dict__["_coordinates"]
        check_same(coordinates.target, args, kwargs)
        family = Family(member(self, "log_share").log_softmax(-1), member(self, "loc"), self._factor())
        target, members = coordinates.target, _Members(coordinates.target, family)
        draw_latents(target.model, target.structure.latents, members.conditional, members.take, args, kwargs)

    def _factor(self) -> Tensor:
        """Standard deviations or Cholesky factors."""
        scale = member(self, "scale")
        if scale.dim() == 3:
            return scale.exp()
        return scale.tril(-1) + scale.diagonal(dim1=-2, dim2=-1).exp().diag_embed()


def member(program: PyroModule, name: str) -> Tensor:
    """A parameter; one that is held still is kept from Pyro, which would make it trainable again."""
    held = program._parameters[name]
    return held if held is not None and not held.requires_grad else getattr(program, name)


class _Members:
    """Conditional densities of the members, site by site in the order in which a model draws them."""

    def __init__(self, target: Target, family: Family) -> None:
        self.target, self.family = target, family
        self.log_share = family.log_share  # log p(k | sites so far), `[..., B, K]`, up to a constant
        self.noise: list[Tensor] = []  # ε of the sites so far, `[..., B, K, n]` each
        self.maps: dict[str, Any] = {}
        self.end = 0

    def conditional(self, latent: Latent, fn: Any) -> Any:
        """q(z_i | z_<i) in place of the site's distribution `fn`."""
        self.maps[latent.name] = bijection(fn)
        q = self._conditional(latent)
        self._check(latent, tuple(fn.batch_shape))
        return q

    def take(self, latent: Latent, value: Tensor) -> None:
        """Take in what a site has drawn: later sites are conditioned on it."""
        u = self.maps[latent.name].inv(value)
        event = latent.unconstrained or ()
        flat = u.reshape(*self._to_data(u.shape[: u.dim() - len(event)], latent), -1).unsqueeze(-2)  # [..., B, 1, n]
        loc, scale = self._part(flat.shape[-1])
        apart = flat - loc
        if self.family.is_diagonal:
            noise, log_det = apart / scale, scale.log().sum(-1)
        else:
            noise = torch.linalg.solve_triangular(scale, apart.unsqueeze(-1), upper=False).squeeze(-1)
            log_det = scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        self.log_share = self.log_share - 0.5 * noise.square().sum(-1) - log_det
        self.noise.append(noise)
        self.end += flat.shape[-1]

    def _part(self, size: int) -> tuple[Tensor, Tensor]:
        """Mean `[..., B, K, n]` and scale of the next n coordinates given those so far."""
        site = slice(self.end, self.end + size)
        loc, scale = self.family.loc[..., site], self.family.scale
        if self.family.is_diagonal:
            return loc, scale[..., site]
        if self.noise:
            lead = torch.broadcast_shapes(*(noise.shape[:-1] for noise in self.noise))
            before = torch.cat([noise.expand(*lead, -1) for noise in self.noise], -1)
            loc = loc + (scale[..., site, : self.end] @ before.unsqueeze(-1)).squeeze(-1)
        return loc, scale[..., site, site]

    def _conditional(self, latent: Latent) -> Any:
        """q(z_i | z_<i) with the batch shape of the site."""
        event = latent.unconstrained or ()
        size, family = math.prod(event), self.family
        loc, scale = self._part(size)
        lead = torch.broadcast_shapes(self.log_share.shape[:-1], loc.shape[:-2])
        batch = self._to_site(lead, latent)

        def laid_out(value: Tensor, dims: int) -> Tensor:
            last = value.shape[value.dim() - dims :]
            return value.expand(*lead, *last).reshape(*batch, *last)

        loc, scale = laid_out(loc, 2), laid_out(scale, 2 if family.is_diagonal else 3)  # [*batch, K, n], and (…, n)
        if family.num_components == 1:
            loc, scale = loc[..., 0, :], scale[..., 0, :] if family.is_diagonal else scale[..., 0, :, :]
        if not event:
            q = dist.Normal(loc[..., 0], scale[..., 0] if family.is_diagonal else scale[..., 0, 0])
        elif family.is_diagonal:
            q = dist.Normal(loc, scale).to_event(1)
        else:
            q = dist.MultivariateNormal(loc, scale_tril=scale)
        if family.num_components > 1:
            q = dist.MixtureSameFamily(dist.Categorical(logits=laid_out(self.log_share, 1)), q)
        maps = [ReshapeTransform(torch.Size((size,)), torch.Size(event))] if len(event) > 1 else []
        maps += [] if latent.real else [self.maps[latent.name]]
        return dist.TransformedDistribution(q, maps) if maps else q

    def _to_site(self, lead: tuple[int, ...], latent: Latent) -> tuple[int, ...]:
        """`[..., B]` to the batch shape that the site has in the model."""
        data_dim = self.target.structure.data_dim
        if data_dim is None:
            return (*lead[:-1], *(1,) * latent.rank)
        return (*lead, *(1,) * (-data_dim - 1))

    def _to_data(self, batch: tuple[int, ...], latent: Latent) -> tuple[int, ...]:
        """The batch shape of a value back to `[..., B]`."""
        data_dim = self.target.structure.data_dim
        if data_dim is None:
            return (*batch[: len(batch) - latent.rank], 1)
        return tuple(batch[: len(batch) + data_dim + 1])

    def _check(self, latent: Latent, given: tuple[int, ...]) -> None:
        data_dim, count = self.target.structure.data_dim, len(self.family)
        if data_dim is not None and len(given) >= -data_dim:
            _refuse_other(count, given[data_dim])


def check_count(target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise ValueError if there are more data, or fewer, than were refined."""
    given = named(args, kwargs)
    for key, axis in target.per_datum.items():
        if isinstance(value := given.get(key), Tensor):
            _refuse_other(len(target), value.shape[axis])


def _refuse_other(refined: int, given: int) -> None:
    if given != refined:
        raise ValueError(
            f"this program was refined for {refined} data and is called with {given}: call it with all of them, in "
            "the order that they were refined in"
        )


def check_same(target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise ValueError if there are as many data as were refined, but other ones."""
    given = named(args, kwargs)
    pinned = named(target.args, target.kwargs)
    for key in target.per_datum:
        value, refined = given.get(key), pinned[key]
        if isinstance(value, Tensor) and value.shape == refined.shape:
            value = value.to(refined)
            if not bool(((value == refined) | ((value != value) & (refined != refined))).all()):
                raise ValueError(
                    f"argument {key!r} holds other data than this program was refined for, or the same in another "
                    "order: members belong to their data. For new data decompose(...) a target of them"
                )
