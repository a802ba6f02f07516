"""An invertible bend of a datum's unconstrained coordinates, with parameters of its own for each datum.

    g(u) = m + L f_2(f_1(L⁻¹ (u − m)))
    f(x)_d = e^{a_d(y_<d)} y_d + b_d(y_<d),    y_d = sinh(e^{t_d} asinh(x_d) + s_d)

The sinh–arcsinh map (Jones & Pewsey 2009) skews each coordinate and changes its tails; the autoregressive one after it
(Kingma et al. 2016, "inverse autoregressive flow") lets each depend on those before, in f_2 on those behind. a and b
are a linear function and a network of one hidden layer, of one datum: nothing is shared between data.
"""

import math
from dataclasses import dataclass, fields
from functools import cache

import torch
from torch import Tensor

from elbowroom.inference.mcmc.metric import stretch, whiten

NUM_LAYERS, NUM_HIDDEN = 2, 16

_MOST = 2.0  # |a|: a coordinate is stretched by e^2 at most
_HEAVIEST = 1.0  # |t|: a tail is a power e of what it was at most, which floats can undo


@dataclass(frozen=True)
class Bend:
    """g of each datum; identical to u where the last six are zero.

    Attributes:
        centre: m, `[B, D]`.
        factor: L, `[B, D, D]`, lower triangular.
        weight, bias: of the hidden layer, `[B, J, H, D]` and `[B, J, H]`.
        output: from the hidden layer to a and b, `[B, J, 2, D, H]`.
        linear: from y to a and b, `[B, J, 2, D, D]`.
        constant: of a and b, `[B, J, 2, D]`.
        skew, tail: s and t, `[B, J, D]`.
    """

    centre: Tensor
    factor: Tensor
    weight: Tensor
    bias: Tensor
    output: Tensor
    linear: Tensor
    constant: Tensor
    skew: Tensor
    tail: Tensor

    @classmethod
    def identity(cls, centre: Tensor, factor: Tensor) -> "Bend":
        """The bend that changes nothing, in coordinates where m is zero and L Lᵀ is the unit matrix."""
        count, dim = centre.shape
        generator = torch.Generator().manual_seed(0)  # hidden layers look in the same directions for every datum
        weight = torch.randn(NUM_LAYERS, NUM_HIDDEN, dim, generator=generator, dtype=torch.float64)
        bias = torch.randn(NUM_LAYERS, NUM_HIDDEN, generator=generator, dtype=torch.float64)

        def of_each(value: Tensor) -> Tensor:
            return value.to(centre).expand(count, *value.shape).clone()

        def zeros(*shape: int) -> Tensor:
            return centre.new_zeros(count, NUM_LAYERS, *shape)

        return cls(
            centre,
            factor,
            of_each(weight),
            of_each(bias),
            zeros(2, dim, NUM_HIDDEN),
            zeros(2, dim, dim),
            zeros(2, dim),
            zeros(dim),
            zeros(dim),
        )

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """What is fitted: all but the coordinates."""
        return tuple(f.name for f in fields(cls))[2:]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in the order of the constructor."""
        return tuple(getattr(self, f.name) for f in fields(self))

    def select(self, data: Tensor) -> "Bend":
        """The bends of some of the data."""
        return Bend(*(value[data] for value in self.tensors))

    def where(self, chosen: Tensor, other: "Bend") -> "Bend":
        """These bends where `chosen` `[B]` says so, the other ones elsewhere."""
        pairs = zip(self.tensors, other.tensors, strict=True)
        return Bend(*(torch.where(chosen.reshape(-1, *(1,) * (one.dim() - 1)), one, two) for one, two in pairs))

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """g(u) `[S, B, D]` and log |det dg/du| `[S, B]`, at u `[S, B, D]`."""
        x, log_det = whiten(self.factor, u - self.centre), u.new_zeros(u.shape[:-1])
        for layer in range(NUM_LAYERS):
            y, slope = self._skewed(layer, x)
            log_scale, shift = self._scale_and_shift(layer, y)
            x = log_scale.exp() * y + shift
            log_det = log_det + (slope + log_scale).sum(-1)
        return self.centre + stretch(self.factor, x), log_det

    def inverse(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """u with g(u) = v, and log |det dg/du| there; D passes of each layer."""
        x, log_det = whiten(self.factor, v - self.centre), v.new_zeros(v.shape[:-1])
        for layer in reversed(range(NUM_LAYERS)):
            y = torch.zeros_like(x)
            for _ in range(x.shape[-1]):  # each pass gets one coordinate more right
                log_scale, shift = self._scale_and_shift(layer, y)
                y = (x - shift) * (-log_scale).exp()
            log_scale, _ = self._scale_and_shift(layer, y)
            x = self._straight(layer, y)
            log_det = log_det + (self._skewed(layer, x)[1] + log_scale).sum(-1)
        return self.centre + stretch(self.factor, x), log_det

    def _skewed(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """y = sinh(e^t asinh(x) + s) and log dy/dx."""
        tail = _within(self.tail[:, layer], _HEAVIEST)
        inner = tail.exp() * torch.asinh(x) + self.skew[:, layer]
        return torch.sinh(inner), _log_cosh(inner) + tail - 0.5 * torch.log1p(x.square())

    def _straight(self, layer: int, y: Tensor) -> Tensor:
        """x of y."""
        tail = _within(self.tail[:, layer], _HEAVIEST)
        return torch.sinh((torch.asinh(y) - self.skew[:, layer]) * (-tail).exp())

    def _scale_and_shift(self, layer: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """a and b at y, `[S, B, D]` each: of every coordinate a function of those before it, or of those behind it."""
        into, out, straight = _masks(y.shape[-1], layer % 2 == 1)
        into, out, straight = into.to(y), out.to(y), straight.to(y)
        hidden = torch.tanh(torch.einsum("sbd,bhd->sbh", y, self.weight[:, layer] * into) + self.bias[:, layer])
        both = torch.einsum("sbh,bkdh->sbkd", hidden, self.output[:, layer] * out)
        both = both + torch.einsum("sbe,bkde->sbkd", y, self.linear[:, layer] * straight) + self.constant[:, layer]
        log_scale, shift = both.unbind(-2)
        return _within(log_scale), shift


@cache
def _masks(dim: int, backwards: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What a hidden unit sees `[H, D]`, who sees it `[D, H]`, and who sees whom `[D, D]` (Germain et al. 2015)."""
    place = torch.arange(dim)
    place = place.flip(0) if backwards else place
    last = torch.arange(NUM_HIDDEN) % max(1, dim - 1)  # the last place that a unit sees
    return place <= last[:, None], last < place[:, None], place < place[:, None]


def _within(value: Tensor, most: float = _MOST) -> Tensor:
    """The value, pressed into (−most, most)."""
    return most * torch.tanh(value / most)


def _log_cosh(value: Tensor) -> Tensor:
    """log cosh, that does not overflow."""
    size = value.abs()
    return size + torch.log1p((-2 * size).exp()) - math.log(2.0)
