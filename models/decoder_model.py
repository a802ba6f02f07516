"""A model whose p(x|z) is a likelihood on top of any decoder network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.models.latent_model import LatentModel
from elbowroom.models.likelihoods.likelihood import Likelihood
from elbowroom.models.priors.given import PriorProgram
from elbowroom.networks.checks import check_batch

Read = Callable[[Any], tuple[Tensor, ...]]


class DecoderModel(LatentModel):
    """z ~ N(0, I_D), or another prior, x | z ~ likelihood(read(decoder(z))).

    Args:
        decoder: a network from z `[*batch, D]` to one or more outputs `[*batch, ...]`.
        likelihood: turns those outputs, flattened to `[*batch, P]`, into p(x|z).
        latent_dim: D.
        read: turns what the decoder returns into the tensors that the likelihood takes; by default they are these.
        like: a tensor whose dtype and device the prior takes.
        prior: p(z) instead of N(0, I).
        latent_shape: the shape in which the decoder takes a datum's latents; by default `[D]`.
    """

    def __init__(
        self,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent_dim: int,
        *,
        read: Read | None = None,
        like: Tensor | None = None,
        latent_shape: tuple[int, ...] | None = None,
        prior: PriorProgram | None = None,
    ) -> None:
        super().__init__(latent_dim, like=like)
        self.given_prior = prior
        self.decoder = decoder
        self._latent_shape = latent_shape or (latent_dim,)
        self.likelihood = likelihood
        self._read = read or _as_tuple

    def prior(self) -> dist.TorchDistribution:
        """p(z): batch shape `[]`, event shape `[D]`."""
        return super().prior() if self.given_prior is None else self.given_prior()

    def _drawn(self, num_samples: int, seed: int) -> Tensor:
        if self.given_prior is None:
            return super()._drawn(num_samples, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.prior().sample(torch.Size((num_samples,)))

    def decode(self, z: Tensor, exposure: Tensor | None = None) -> dist.TorchDistribution:
        """p(x|z) for z `[*batch, D]`: batch shape `[*batch]`, event shape `[P]`.

        Args:
            z: latents.
            exposure: the data's sizes, broadcastable with `[*batch]`, for a likelihood that needs them; without
                them the mean of x is each entry's share of a whole of 1.

        Raises:
            TypeError: if the decoder returns something else than the likelihood's parameters.
            ValueError: if an output does not have the leading dimensions of z.
        """
        return self._p_x(z, self.decoder(self._shaped(z)), exposure)

    def _p_x(self, z: Tensor, result: Any, exposure: Tensor | None = None) -> dist.TorchDistribution:
        """p(x|z) from what the decoder returned for z."""
        outputs = [_flatten(output, z, self.likelihood.per_value) for output in self._read(result)]
        p_x: dist.TorchDistribution = (
            self.likelihood(*outputs) if exposure is None else self.likelihood(*outputs, exposure=exposure)
        )
        return p_x

    def forward(self, x: Tensor, exposure: Tensor | None = None) -> Tensor:
        """Runs the program on data `x [B, P]` or `[B, ...]`, see `LatentModel`.

        Args:
            x: data.
            exposure: their sizes `[B]`, for a likelihood of counts with exposure; by default the totals of x.

        Raises:
            TypeError, ValueError: as of `LatentModel`; if the likelihood takes no exposure, or it is not `[B]`.
        """
        return self._run(x, self._decoder_of(x, exposure))

    def log_joint(self, x: Tensor, z: Tensor, exposure: Tensor | None = None) -> Tensor:
        """log p(x, z) row by row, `[N]`, see `LatentModel`; `exposure [N]` as of a run of the program."""
        return self._log_joint(x, z, self._decoder_of(x, exposure))

    def _shaped(self, z: Tensor) -> Tensor:
        return z if len(self._latent_shape) == 1 else z.unflatten(-1, self._latent_shape)

    def _decoder_of(self, x: Tensor, exposure: Tensor | None) -> Callable[[Tensor], dist.TorchDistribution]:
        """`decode` with the sizes of these data."""
        x = check_batch(x, self.prior_loc)
        if exposure is not None:
            self._check_exposure(exposure, x)
        elif self.likelihood.needs_exposure:
            exposure = x.flatten(1).sum(-1)
        return partial(self.decode, exposure=exposure)

    def _check_exposure(self, exposure: Tensor, x: Tensor) -> None:
        if not self.likelihood.needs_exposure:
            raise ValueError(
                f"exposure: got a tensor, but the likelihood {type(self.likelihood).__name__} takes none; a likelihood "
                "of counts built with exposure='total' does"
            )
        if exposure.shape != x.shape[:1]:
            raise ValueError(
                f"exposure: got shape {tuple(exposure.shape)}, expected [{len(x)}], a number for each datum"
            )


def _as_tuple(result: Any) -> tuple[Tensor, ...]:
    return (result,) if isinstance(result, Tensor) else result


def _flatten(output: Tensor, z: Tensor, per_value: int) -> Tensor:
    """`output [*batch, ...]` as `[*batch, P]`, where z is `[*batch, D]`; of several numbers a value, these are last."""
    num_batch = z.ndim - 1
    if output.ndim <= num_batch or output.shape[:num_batch] != z.shape[:-1]:
        raise ValueError(
            f"decoder: got an output of shape {tuple(output.shape)} for z of shape {tuple(z.shape)}, expected "
            f"{tuple(z.shape[:-1])} followed by the datum's shape; a decoder that takes only z [N, D] needs the "
            "leading dimensions of z folded into one"
        )
    if output.ndim == num_batch + 1:
        return output
    if per_value > 1 and output.shape[-1] != per_value:
        raise ValueError(
            f"decoder: got an output of shape {tuple(output.shape)}, expected the {per_value} levels in the last "
            "dimension; of [B, levels, …], as cross_entropy takes them, decode=lambda z: decoder(z).movedim(1, -1)"
        )
    return output.flatten(num_batch)
