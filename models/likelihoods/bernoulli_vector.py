"""Vectors of independent variables as single distributions: log p in as few passes over [S, B, P] as it takes."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional

Size = torch.Size | list[int] | tuple[int, ...]

_BLOCK = 256  # rows: of 784 single-precision numbers, less than a megabyte
_MOST_BLOCKS = 64  # so that a recorded program stays short


class BernoulliVector(dist.TorchDistribution):
    """x in {0, 1}^P with independent entries, P(x_p = 1) = sigmoid(l_p).

        log p(x) = Σ_p log sigmoid((2 x_p − 1) l_p)

    The same as `Bernoulli(logits=l).to_event(1)` for x of zeros and ones, in about 0.7 of the time (without gradients
    0.5), and accurate for logits of any size: it never leaves the log domain.

    Args:
        logits: l, `[*batch, P]`.
        validate_args: check the logits and the values; by default as torch is set.
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (torch's own interface)
    support = constraints.independent(constraints.boolean, 1)

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits = logits
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "BernoulliVector":
        """The same distribution for more data; no memory is copied."""
        new = self._get_checked_instance(BernoulliVector, _instance)
        new.logits = self.logits.expand(torch.Size(batch_shape) + self.event_shape)
        super(BernoulliVector, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """E x = sigmoid(l), `[*batch, P]`."""
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        """Var x = sigmoid(l) sigmoid(−l), `[*batch, P]`."""
        return torch.sigmoid(self.logits) * torch.sigmoid(-self.logits)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`."""
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(self._extended_shape(torch.Size(sample_shape))))

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats, `[*batch]`, for `value` broadcastable with the logits.

        Raises:
            ValueError: if values are checked and one is neither 0 nor 1.
        """
        if self._validate_args:
            self._validate_sample(value)
        if not torch.is_grad_enabled():
            return _bernoulli_in_blocks(1 - 2 * value, self.logits)
        # log sigmoid(a) = −softplus(−a). Beyond the threshold softplus(a) = a, right to e^−40 = 4e−18.
        return -functional.softplus((1 - 2 * value) * self.logits, threshold=40.0).sum(-1)

    def _validate_sample(self, value: Tensor) -> None:
        """Torch's checks, entry by entry; where values are to blame, the error tells what to do with grey ones."""
        wrong = (value != 0) & (value != 1) if _fits(self, value) else None  # NaN is wrong too
        if wrong is None:
            super()._validate_sample(value)
        elif wrong.any():
            raise ValueError(
                f"x: got {int(wrong.sum())} of {value.numel()} values that are neither 0 nor 1, the first "
                f"{value[wrong][0]:.4g}; expected zeros and ones under a Bernoulli likelihood; binarise the data "
                "(threshold, static or dynamic), or choose a Normal likelihood"
            )


class NormalVector(dist.TorchDistribution):
    """x in R^P with independent entries, x_p ~ N(m_p, σ_p²).

        log p(x) = −½ Σ_p ((x_p − m_p) / σ_p)² − Σ_p log σ_p − ½ P log 2π

    The same as `Normal(m, σ).to_event(1)`, which spreads a single σ over `[S, B, P]` before it squares it and takes
    its logarithm. Here that costs nothing: the log-density takes about 0.2 of the time with one σ and 0.5 with a σ for
    each entry, value and gradient together 0.5.

    Args:
        loc: m, `[*batch, P]`.
        scale: σ, `[]`, `[P]` or `[*batch, P]`.
        validate_args: check the arguments and the values; by default as torch is set.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.scale = loc, scale
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "NormalVector":
        """The same distribution for more data; no memory is copied."""
        new = self._get_checked_instance(NormalVector, _instance)
        shape = torch.Size(batch_shape) + self.event_shape
        new.loc, new.scale = self.loc.expand(shape), self.scale  # which broadcasts as it is
        super(NormalVector, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        """E x = m, `[*batch, P]`."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Var x = σ², `[*batch, P]`."""
        return self.scale.square().expand(self.loc.shape)

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        """Draws m + σ ε, differentiable in m and σ, `[*sample_shape, *batch, P]`."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.scale * torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats, `[*batch]`, for `value` broadcastable with the mean."""
        if self._validate_args:
            self._validate_sample(value)
        log_scale = self.scale.log().expand(self.loc.shape[-1:] if self.scale.ndim < 2 else self.scale.shape)
        quadratic = _squared_distance(value - self.loc, self.scale)
        return -0.5 * (quadratic + self.loc.shape[-1] * math.log(2 * math.pi)) - log_scale.sum(-1)

    def _validate_sample(self, value: Tensor) -> None:
        """Torch's checks, entry by entry."""
        if not _fits(self, value) or value.isnan().any():
            super()._validate_sample(value)


def _fits(vector: dist.TorchDistribution, value: Any) -> bool:
    """Whether `value` is a tensor of such vectors; if not, torch's own check finds the words.

    Torch's check of a *vector's* support first reduces over P, which costs more than the log-density.
    """
    return isinstance(value, Tensor) and value.shape[-1:] == vector.event_shape


def _bernoulli_in_blocks(signs: Tensor, logits: Tensor) -> Tensor:
    """−Σ_p softplus(s_p l_p), `[*batch]`, over few rows at a time: all that is made on the way stays in the cache."""
    signs, logits = torch.broadcast_tensors(signs, logits)
    num_rows = math.prod(logits.shape[:-1])
    if num_rows <= _BLOCK:
        return _bernoulli_block(signs, logits)
    rows = max(_BLOCK, math.ceil(num_rows / _MOST_BLOCKS)) * logits.shape[0] // num_rows  # of the leading dim
    blocks = zip(signs.split(max(rows, 1)), logits.split(max(rows, 1)), strict=True)
    return torch.cat([_bernoulli_block(*block) for block in blocks])


def _bernoulli_block(signs: Tensor, logits: Tensor) -> Tensor:
    """softplus(a) = max(a, 0) + log(1 + e^−|a|), in place: torch's own takes twice as long."""
    a = signs * logits
    linear = a.clamp_min(0).sum(-1)
    return -(linear + a.abs_().neg_().exp_().log1p_().sum(-1))


def _squared_distance(difference: Tensor, scale: Tensor) -> Tensor:
    """Σ_p (d_p / σ_p)², `[*batch]`; a single σ is divided by after the sum."""
    if scale.ndim == 0:
        return difference.square().sum(-1) / scale.square()
    return (difference / scale).square().sum(-1)
