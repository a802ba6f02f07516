"""Normal likelihoods, σ given, learned or of z: vectors of real numbers, log p in few passes over [S, B, P]."""

import math
from typing import Any, Self

import pyro.distributions as dist
import torch
from torch import Tensor, distributions, nn
from torch.distributions import constraints

from elbowroom.entrances.values import check_above, check_at_least
from elbowroom.models.likelihoods.likelihood import Likelihood, Size, is_vector
from elbowroom.networks.outputs import named_outputs

FLOOR = 1e-3
"""The default lower limit of a learned σ, for data scaled to [0, 1].

8-bit grey values are k/255, so a σ below 1/255/√12 ≈ 1.1e-3 describes the rounding and not the image, and
without a limit a density can be made as large as one likes by letting σ → 0 on a pixel that never changes.
"""


class NormalFixed(Likelihood):
    """x_p ~ N(mean_p, σ²) with a given σ.

    Args:
        sigma: σ, in the units of x.
    """

    outputs = named_outputs("mean")
    data = "real"
    sigma: Tensor

    def __init__(self, sigma: float | None = None) -> None:
        super().__init__()
        if sigma is None:
            raise ValueError(
                "sigma: got None; the likelihood 'normal-fixed' needs a value, such as sigma=0.1; of a decoder trained "
                "by squared error docs/likelihoods.md says which, or say sigma='optimal'"
            )
        self.is_given = self.is_set = True
        # In the state dict: parameters loaded from a model with another σ bring their σ along.
        self.register_buffer("sigma", torch.tensor(check_above("sigma", sigma, 0)))

    def wait_for_sigma(self) -> Self:
        """This, its σ standing in the place of the one that maximises the ELBO of data which are yet to come."""
        self.is_given = self.is_set = False
        return self

    def set_sigma(self, sigma: float) -> None:
        """Puts the σ that was waited for in its place."""
        self.sigma.fill_(check_above("sigma", sigma, 0))
        self.is_set = True

    def forward(self, mean: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return NormalVector(mean, self.sigma)

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(mean) of a Normal of this σ, or of any where σ is the optimal one.

        Raises:
            ValueError: if its standard deviation is another.
        """
        return _mean_of(p_x, self.sigma if self.is_given else None)

    @property
    def unlearned(self) -> str:
        """That the optimal σ has not been put in its place, if that is so."""
        if self.is_set:
            return ""
        return (
            "σ = 1 stands in the place of the one that maximises the ELBO, sigma='optimal', which nobody has computed: "
            "elbowroom.adapters.fit_sigma(model, guide, x) does"
        )


class NormalLearned(Likelihood):
    """x_p ~ N(mean_p, σ²) with one learned σ = floor + exp(a); `sigma` reports it.

    Args:
        sigma: the σ to start from, in the units of x, 1 by default.
        floor: what σ stays above.
    """

    outputs = named_outputs("mean")
    data = "real"

    def __init__(self, sigma: float | None = None, floor: float = FLOOR) -> None:
        super().__init__()
        self.floor = check_at_least("floor", floor, 0)
        self.is_given, start = sigma is not None, check_above("sigma", 1.0 if sigma is None else sigma, self.floor)
        self._start = math.log(start - self.floor)
        self.log_above_floor = nn.Parameter(torch.tensor(self._start))

    @property
    def sigma(self) -> Tensor:
        """The current σ, a scalar, in the units of x."""
        return self.floor + self.log_above_floor.exp()

    def forward(self, mean: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return NormalVector(mean, self.sigma)

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(mean) of a Normal of this σ.

        Raises:
            ValueError: if its standard deviation is another.
        """
        return _mean_of(p_x, self.sigma)

    @property
    def unlearned(self) -> str:
        """That σ is what it starts from, if nobody gave that."""
        if self.is_given or not _is_untouched(self.log_above_floor, self._start):
            return ""
        return (
            "σ = 1 is what the likelihood 'normal-learned' starts from, and nothing has learned it for this decoder: "
            "say 'normal-fixed' with the σ of the loss that it was trained by (docs/likelihoods.md), or with "
            "sigma='optimal', the one that maximises the ELBO"
        )


class NormalHeteroscedastic(Likelihood):
    """x_p ~ N(mean_p(z), σ_p(z)²) with σ_p(z) = floor + std_p(z), both from the decoder.

    Args:
        floor: what every σ_p(z) stays above.
    """

    outputs = named_outputs("mean_std", "mean_log_var", "mean_log_std")
    data = "real"

    def __init__(self, floor: float = FLOOR) -> None:
        super().__init__()
        self.floor = check_at_least("floor", floor, 0)

    def forward(self, mean: Tensor, std: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return NormalVector(mean, self.floor + std)

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(mean, standard deviation) of a Normal."""
        return (p_x.loc, p_x.scale) if isinstance(p_x, distributions.Normal) else None


def _mean_of(p_x: Any, sigma: Tensor | None) -> tuple[Tensor, ...] | None:
    if not isinstance(p_x, distributions.Normal):
        return None
    low, high = (limit.item() for limit in p_x.scale.detach().aminmax())
    if sigma is not None and max(abs(low / sigma.item() - 1), abs(high / sigma.item() - 1)) > _SAME:
        raise ValueError(
            f"decoder: returned a Normal of standard deviations between {low:.4g} and {high:.4g}, but the likelihood "
            f"has σ = {sigma.item():.4g}: say likelihood='normal-heteroscedastic', which takes the decoder's"
        )
    return (p_x.loc,)


_SAME = 1e-5  # relative: two σ, one of which may have been rounded to 32 bits


def _is_untouched(parameter: Tensor, start: float) -> bool:
    """Whether every entry has the value that the parameter was made with, in whatever precision it is now."""
    return bool((parameter.detach() == torch.tensor(start, dtype=torch.float64).to(parameter)).all())


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

    @property
    def independent_entries(self) -> dist.Normal:
        """The same as a distribution of single entries, batch shape `[*batch, P]`."""
        return dist.Normal(self.loc, self.scale.expand_as(self.loc), validate_args=False)

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
        if not is_vector(value, self) or value.isnan().any():
            super()._validate_sample(value)


def _squared_distance(difference: Tensor, scale: Tensor) -> Tensor:
    """Σ_p (d_p / σ_p)², `[*batch]`; a single σ is divided by after the sum."""
    if scale.ndim == 0:
        return difference.square().sum(-1) / scale.square()
    return (difference / scale).square().sum(-1)
