"""A prior that somebody else has: a distribution object, a module that returns one, a mixture of posteriors."""

from collections.abc import Callable
from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom.entrances import checked
from elbowroom.entrances.said import said
from elbowroom.networks.functions import as_network
from elbowroom.networks.reading import pair_reader

_NONE = torch.Size()
_REAL = (constraints.real, constraints.real_vector)


class GivenPrior(TorchDistribution):
    """p(z) of a distribution of torch, Pyro or another library, as one over vectors `[D]`.

    Args:
        base: of which batch and event shape together hold D values; entries of its batch are independent.
        batch_shape: of this distribution; draws of different entries are independent.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(self, base: Any, batch_shape: torch.Size = _NONE) -> None:
        self.base, self.inner = base, base.batch_shape + base.event_shape
        super().__init__(batch_shape, torch.Size((self.inner.numel(),)), validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether draws can be differentiated."""
        return bool(self.base.has_rsample)

    @property
    def mean(self) -> Tensor:
        """E[z], `[*batch, D]`."""
        return self.base.mean.reshape(self.event_shape).expand(self.batch_shape + self.event_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "GivenPrior":
        """The same for more data."""
        return GivenPrior(self.base, torch.Size(batch_shape))

    def sample(self, sample_shape: Any = _NONE) -> Tensor:
        """Draws, `[*sample, *batch, D]`."""
        with torch.no_grad():
            return self._drawn(self.base.sample, sample_shape)

    def rsample(self, sample_shape: Any = _NONE) -> Tensor:
        """Draws that can be differentiated, `[*sample, *batch, D]`."""
        return self._drawn(self.base.rsample, sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z) at z `[*sample, *batch, D]`, `[*sample, *batch]`."""
        each = self.base.log_prob(value.unflatten(-1, self.inner))
        log_p: Tensor = each.flatten(value.ndim - 1).sum(-1) if each.ndim > value.ndim - 1 else each
        return log_p.expand(torch.broadcast_shapes(log_p.shape, self.batch_shape))

    def _drawn(self, draw: Callable[[torch.Size], Tensor], sample_shape: Any) -> Tensor:
        many = torch.Size(sample_shape) + self.batch_shape
        return draw(many).reshape(many + self.event_shape)


class PriorProgram(nn.Module):
    """What says p(z) when it is called: once built for a distribution object, at every run for a module or function.

    Args:
        prior: the distribution, or what returns it when it is called without arguments.
        latent_dim: D.

    Raises:
        TypeError: if it is neither, or returns something else.
        ValueError: if the distribution has not D values, or they are not real numbers.
    """

    def __init__(self, prior: Any, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        if isinstance(prior, torch.distributions.Distribution):
            self.__dict__["said"] = prior
        else:
            self.network = as_network("prior", prior)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            self()

    def forward(self) -> GivenPrior:
        """p(z): batch shape `[]`, event shape `[D]`."""
        base = self.__dict__["said"] if "said" in self.__dict__ else self.network()
        if not isinstance(base, torch.distributions.Distribution):
            raise TypeError(
                f"prior: got what returns a {type(base).__name__}, expected a distribution, or a module or function "
                "that returns one when it is called without arguments"
            )
        shape = base.batch_shape + base.event_shape
        if shape.numel() != self.latent_dim:
            raise ValueError(
                f"prior: got a {type(base).__name__} of {shape.numel()} values {tuple(shape)}, expected "
                f"{self.latent_dim}, one for each latent"
            )
        support = _support(base)
        if support is not None and not isinstance(support, tuple(map(type, _REAL))):
            raise ValueError(
                f"prior: got a {type(base).__name__} on {support}, expected one of real numbers, as the codes are; "
                "write other models as a Pyro program"
            )
        return GivenPrior(base)


class PosteriorMixture(nn.Module):
    """p(z) = Σ_k w_k q(z | u_k), the VampPrior of pseudo-inputs u_k (Tomczak & Welling 2018, equation 9).

    Args:
        encoder: what says q(z|x), as of `elbowroom.guides.from_encoder`.
        pseudo_inputs: u, `[K, ...]`, in the form of data; or what returns them when it is called without arguments.
        output: as of `from_encoder`.
        weights: w, `[K]`, by default all alike.

    Raises:
        TypeError, ValueError: as of `from_encoder`.
    """

    @checked
    def __init__(
        self,
        encoder: nn.Module | Callable[..., Any],
        pseudo_inputs: Tensor | nn.Module | Callable[[], Tensor],
        *,
        output: str | None = None,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.encoder = as_network("encoder", encoder)
        self._read = pair_reader("encoder", output, ("mean_log_var", "mean_std", "mean_log_std"))
        self.__dict__["pseudo_inputs"] = pseudo_inputs
        self.weights = weights
        if weights is not None:
            _check_weights(weights)
        if isinstance(pseudo_inputs, nn.Module):
            self.inputs = pseudo_inputs  # a child, for its parameters

    def forward(self) -> dist.TorchDistribution:
        """p(z): batch shape `[]`, event shape `[D]`."""
        given = self.__dict__["pseudo_inputs"]
        mean, std = self._read(self.encoder(given if isinstance(given, Tensor) else given()))
        mean, std = mean.flatten(1), std.flatten(1)
        weights = mean.new_ones(len(mean)) if self.weights is None else self.weights.to(mean)
        return dist.MixtureSameFamily(dist.Categorical(weights), dist.Normal(mean, std).to_event(1))


def _check_weights(weights: Tensor) -> None:
    known = weights.dim() == 1 and bool((weights.isfinite() & (weights >= 0)).all()) and bool((weights > 0).any())
    if not known or weights.dtype is torch.bool:
        raise ValueError(f"weights: got {said(weights)}, expected [K] numbers of at least zero, one a pseudo-input")


def _support(base: Any) -> Any:
    """Where a distribution lives, without the shapes around it; None where it does not say."""
    try:
        support = base.support
    except (AttributeError, NotImplementedError):
        return None
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support
