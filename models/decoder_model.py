"""A model whose p(x|z) is a likelihood on top of any decoder network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.models.latent_model import LatentModel
from elbowroom.models.likelihoods.likelihood import Likelihood
from elbowroom.models.priors.given import PriorProgram
from elbowroom.networks.checks import check_batch
from elbowroom.networks.reading import flat

Read = Callable[[Any, Tensor], tuple[Tensor, ...]]


class DecoderModel(LatentModel):
    """z ~ N(0, I_D), or another prior, x | z ~ likelihood(read(decoder(z))).

    Args:
        decoder: a network from z `[*batch, D]` to one or more outputs `[*batch, ...]`.
        likelihood: turns those outputs, flattened to `[*batch, P]`, into p(x|z).
        latent_dim: D.
        read: turns what the decoder returned for z, and z, into the tensors that the likelihood takes, `[*batch, P]`
            each; by default what it returned, flattened.
        like: a tensor whose dtype and device the prior takes.
        prior: p(z) instead of N(0, I).
        latent_shape: the shape in which the decoder takes a datum's latents; by default `[D]`.
    """

    @checked
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
        self._read = read or _flat_each

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
        outputs = self._read(result, z)
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
            TypeError, ValueError: as of `LatentModel`; if the likelihood takes no exposure, or it is not `[B]`, or is
                missing where totals are no sizes.
        """
        return self._run(x, self._decoder_of(x, exposure))

    def log_joint(self, x: Tensor, z: Tensor, exposure: Tensor | None = None) -> Tensor:
        """log p(x, z) row by row, `[N]`, see `LatentModel`; `exposure [N]` as of a run of the program."""
        return self._log_joint(x, z, self._decoder_of(x, exposure))

    def _shaped(self, z: Tensor) -> Tensor:
        return z if len(self._latent_shape) == 1 else z.unflatten(-1, self._latent_shape)

    def _decoder_of(self, x: Tensor, exposure: Tensor | None) -> Callable[[Tensor], dist.TorchDistribution]:
        """`decode` with the sizes of these data."""
        return partial(self.decode, exposure=self._sizes(x, exposure))

    def _sizes(self, x: Tensor, exposure: Tensor | None) -> Tensor | None:
        """The data's sizes `[B]`: as given, or their totals; None for a likelihood that needs none."""
        x, likelihood = check_batch(x, self.prior_loc), self.likelihood
        if exposure is None:
            if likelihood.needs_exposure and not likelihood.has_own_sizes:
                raise ValueError(
                    "exposure: got none, but under exposure='given' the size of each datum is the last argument of the "
                    "program, model(x, sizes), and of what it is called by, Target(model, guide, x, sizes)"
                )
            return x.flatten(1).sum(-1) if likelihood.needs_exposure else None
        if not likelihood.needs_exposure:
            raise ValueError(
                f"exposure: got a tensor, but the likelihood {type(likelihood).__name__} takes none; a likelihood of "
                "counts built with exposure='total' does"
            )
        if exposure.shape not in (x.shape[:1], (len(x), 1)):
            raise ValueError(
                f"exposure: got shape {tuple(exposure.shape)}, expected [{len(x)}], a number for each datum"
            )
        if not bool((exposure >= 0).all()):
            raise ValueError(
                f"exposure: got {exposure.min().item():.4g}, expected sizes of 0 or more; of logarithms of sizes their "
                "exp()"
            )
        return exposure.reshape(len(x)).to(x)


def _flat_each(result: Any, z: Tensor) -> tuple[Tensor, ...]:
    return tuple(flat(output, z) for output in ((result,) if isinstance(result, Tensor) else result))
