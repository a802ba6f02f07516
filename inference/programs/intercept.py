"""Torch's random operations, read off counter-based noise while a site is drawn: distributions draw as they always do.

A distribution draws by calling torch: `torch.normal(mean, std)`, `tensor.exponential_(rate)`, `torch._standard_gamma`.
Under a dispatch mode each of these calls is handed to a rule that makes the same draw from standard normals or uniforms
ε[s, b, :] of `Noise`, so a draw is a function of (seed, datum, sample, site, operation) alone. Where a family has an
inverse distribution function it is used (gamma, Poisson, binomial): one uniform a draw, however the data are batched.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from pyro.distributions import Rejector, SineBivariateVonMises, VonMises
from torch import Tensor
from torch.distributions import Distribution

from elbowroom.inference.programs.log_prob import innermost
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.noise_order import in_order
from elbowroom.inference.programs.private_torch import TorchDispatchMode

Arrange = Callable[[Tensor, torch.Size], Tensor]
"""(noise `[S, B, n]`, batch shape) -> noise `[*batch shape, m]`."""

BY_REJECTION = (VonMises, SineBivariateVonMises, Rejector)
"""Distributions that try until a draw is accepted, with as many random numbers as it takes."""

_TINY = torch.finfo(torch.float32).tiny  # in place of the zero that a uniform on [0, 1) may be


@contextmanager
def intercept(noise: Noise, site: str, fn: Any, arrange: Arrange) -> Iterator[None]:
    """Inside, torch's random operations read the noise, to draw from the distribution `fn` of a site.

    `arrange` brings noise to the batch shape of the site, whatever the layout of the run is.

    Raises:
        NotImplementedError: for a distribution that draws by rejection, or not in the order of its batch dims.
    """
    family = type(innermost(fn)).__name__
    rejecting = next((part for part in _parts(fn) if isinstance(part, BY_REJECTION)), None)
    if rejecting is not None:
        raise CannotDraw(
            f"site '{site}' draws from {type(rejecting).__name__} by rejection: how many tries it takes depends on the "
            "other data, so the draws of a datum would too. Use another family in the guide, for example a Normal and "
            "a transform."
        )
    try:
        with _Intercept(noise, site, fn, arrange):
            yield
    except CannotDraw:
        raise
    except NotImplementedError as error:  # Pyro's own: families without a sampler, or with one for a single draw
        raise CannotDraw(
            f"site '{site}' cannot be drawn: {family} says {str(error)!r}" * bool(str(error))
            or f"site '{site}' cannot be drawn: {family} has a density, but no sampler"
        ) from error


def can_draw(fn: Any) -> bool:
    """Whether a distribution can be drawn from noise: tried once, as if its batch were one datum."""
    noise = Noise(0, np.zeros(1, dtype=np.uint64), 1)
    try:
        with intercept(noise, "", fn, lambda values, batch: values.reshape(*batch, -1)):
            fn.sample()
    except NotImplementedError:
        return False
    return True


def _parts(fn: Distribution) -> Iterator[Distribution]:
    """A distribution and those that it is made of: inside wrappers, components of mixtures."""
    yield fn
    for part in vars(fn).values():
        if isinstance(part, Distribution):
            yield from _parts(part)


class CannotDraw(NotImplementedError):
    """A site whose distribution cannot be drawn from counter-based noise; the message names both, and why."""


class _Intercept(TorchDispatchMode):
    """Sends torch's random operations to a `Noise`; everything else passes."""

    def __init__(self, noise: Noise, site: str, fn: Any, arrange: Arrange) -> None:
        super().__init__()
        self.noise, self.site, self.fn, self.arrange, self.operation = noise, site, fn, arrange, 0
        self.batch: torch.Size = fn.batch_shape

    @property
    def family(self) -> str:
        return type(innermost(self.fn)).__name__

    def standard(self, kind: str, like: Tensor) -> Tensor:
        """Standard noise with the shape, dtype and device of `like`."""
        cells = self.noise.num_samples * len(self.noise.keys)
        numel = like.numel() if not self.noise.keep else like.numel() * self.noise.num_samples
        if numel % cells:
            raise CannotDraw(
                f"site '{self.site}' ({self.family}) draws {like.numel()} random numbers of shape {tuple(like.shape)} "
                f"at a time for {len(self.noise.keys)} data: not the same for every datum. Draw the site inside the "
                "data plate, by a family that draws a whole batch at once."
            )
        values = self.noise.draw(kind, self.site, self.operation, numel // cells, like.dtype, like.device)
        self.operation += 1
        placed = in_order(self.arrange(values, self.batch), like.shape, self.fn)
        if placed is None:
            raise CannotDraw(
                f"site '{self.site}' ({self.family}) has batch shape {tuple(self.batch)} and draws random numbers of "
                f"shape {tuple(like.shape)}: which belong to which datum cannot be told. Use another distribution "
                "there."
            )
        return placed.to(like)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {k: v for k, v in (kwargs or {}).items() if k != "generator"}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        rule = _RULES.get(func.overloadpacket)
        if rule is None:
            raise CannotDraw(
                f"site '{self.site}' ({self.family}) draws with {func}, which has no counter-based form; known: "
                + ", ".join(sorted(str(packet) for packet in _RULES))
            )
        return rule(self, func, args, kwargs)


def _in_place(kind: str, transform: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def rule(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
        return args[0].copy_(transform(mode.standard(kind, args[0]), *args[1:], **kwargs))

    return rule


def _fresh(kind: str) -> Callable[..., Tensor]:
    def rule(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
        shape = args[0] if not isinstance(args[0], Tensor) else args[0].shape
        like = torch.empty_like(args[0]) if isinstance(args[0], Tensor) else torch.empty(shape, **kwargs)
        return mode.standard(kind, like)

    return rule


def _randperm(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    dtype = kwargs.pop("dtype", None) or torch.int64
    return mode.standard("uniform", torch.empty(args[0], dtype=torch.float64)).argsort().to(dtype)


def _normal(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    mean, std = args[0], args[1]
    like = mean + std if isinstance(mean, Tensor) or isinstance(std, Tensor) else torch.empty(args[2], **kwargs)
    return mean + std * mode.standard("normal", like)


def _bernoulli(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    p = args[0] if len(args) < 2 else torch.as_tensor(args[1]).expand_as(args[0])
    return (mode.standard("uniform", p.double()) < p).to(args[0])


def _multinomial(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    """`num` categories of each row of weights `[rows, K]`.

    torch wants the batch dims flattened into rows, together with what dims an event has; or, of weights without a
    batch, draws it as so many categories of one row.
    """
    weights, num = args[0], args[1]
    replacement = args[2] if len(args) > 2 else kwargs.get("replacement", False)
    rows, cells = (len(weights) if weights.dim() == 2 else 1), math.prod(mode.batch)
    shape = (*mode.batch, rows // cells, num) if rows % cells == 0 else (*mode.batch, rows * num // cells)
    if num > 1 and not replacement:
        raise CannotDraw(f"site '{mode.site}' ({mode.family}) draws {num} different categories; draw one at a time")
    u = mode.standard("uniform", weights.new_empty(shape, dtype=torch.float64)).reshape(*weights.shape[:-1], num)
    cumulative = weights.double().cumsum(-1)
    u = (u * cumulative[..., -1:]).contiguous()
    return torch.searchsorted(cumulative, u, right=True).clamp(max=weights.shape[-1] - 1)


def _gamma_like(mode: _Intercept, concentration: Tensor) -> Tensor:
    from scipy.special import gammaincinv

    u = mode.standard("uniform", concentration.double())
    value = gammaincinv(concentration.double().cpu().numpy(), u.cpu().numpy())
    return torch.from_numpy(np.asarray(value)).to(concentration).clamp_min(torch.finfo(concentration.dtype).tiny)


def _standard_gamma(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    return _gamma_like(mode, args[0])


def _dirichlet(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    gammas = _gamma_like(mode, args[0])
    return gammas / gammas.sum(-1, keepdim=True)


def _poisson(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    from scipy.stats import poisson

    u = mode.standard("uniform", args[0].double())
    return (
        torch.from_numpy(np.asarray(poisson.ppf(u.cpu().numpy(), args[0].double().cpu().numpy())))
        .clamp_min(0)
        .to(args[0])
    )


def _binomial(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    from scipy.stats import binom

    count, p = (a.double().cpu().numpy() for a in args[:2])
    u = mode.standard("uniform", args[0].double()).cpu().numpy()
    return torch.from_numpy(np.asarray(binom.ppf(u, count, p))).clamp_min(0).to(args[0])


aten = torch.ops.aten
_RULES: dict[Any, Callable[..., Tensor]] = {
    aten.normal_: _in_place("normal", lambda e, mean=0.0, std=1.0: e if (mean, std) == (0.0, 1.0) else mean + std * e),
    aten.log_normal_: _in_place("normal", lambda e, mean=1.0, std=2.0: (mean + std * e).exp()),
    aten.uniform_: _in_place("uniform", lambda u, low=0.0, high=1.0: low + (high - low) * u),
    aten.exponential_: _in_place("uniform", lambda u, rate=1.0: (-torch.log1p(-u)).clamp_min(_TINY) / rate),
    aten.cauchy_: _in_place("uniform", lambda u, median=0.0, sigma=1.0: median + sigma * (torch.pi * (u - 0.5)).tan()),
    aten.geometric_: _in_place("uniform", lambda u, p: (torch.log1p(-u) / np.log1p(-p)).ceil().clamp_min(1)),
    aten.randn: _fresh("normal"),
    aten.randn_like: _fresh("normal"),
    aten.rand: _fresh("uniform"),
    aten.rand_like: _fresh("uniform"),
    aten.randperm: _randperm,
    aten.normal: _normal,
    aten.bernoulli: _bernoulli,
    aten.bernoulli_: lambda mode, func, args, kwargs: args[0].copy_(_bernoulli(mode, func, args, kwargs)),
    aten.multinomial: _multinomial,
    aten._standard_gamma: _standard_gamma,
    aten._sample_dirichlet: _dirichlet,
    aten.poisson: _poisson,
    aten.binomial: _binomial,
}
