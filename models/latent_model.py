"""What all models here share: z ~ N(0, I), x | z ~ decode(z), written as one Pyro program."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size
from elbowroom.models.priors import draw_standard_normal, standard_normal
from elbowroom.networks.checks import check_batch, check_width
from elbowroom.networks.failing import telling
from elbowroom.networks.program import Program


class Generated(NamedTuple):
    """Draws from a model.

    Attributes:
        z: latents drawn from the prior, `[N, D]`; of a mixture its components, `[N]`.
        mean: the mean of x given each z, `[N, P]`.
    """

    z: Tensor
    mean: Tensor


class LatentModel(Program):
    """A model with a standard-normal prior; a subclass says what `decode` is.

        z_b ~ N(0, I_D)
        x_b | z_b ~ decode(z_b),    b = 1 … B

    Calling it with data `x [B, P]` or `[B, ...]` (flattened to `[B, P]`) runs the program with the sites
    `"z"` and `"x"` in the plate `"data"`. All of it broadcasts over leading sample dimensions: with z
    replayed as `[S, B, D]` the terms are `[S, B]`.

    Args:
        latent_dim: D, the number of latent variables of a datum.
        like: a tensor whose dtype and device the prior takes; by default torch's default dtype on the CPU.
    """

    @checked
    def __init__(self, latent_dim: int, *, like: Tensor | None = None) -> None:
        super().__init__()
        self.latent_dim = check_size("latent_dim", latent_dim)
        loc = torch.zeros(self.latent_dim) if like is None else like.new_zeros(self.latent_dim)
        # Constants, yet buffers: so they follow `model.to(...)`. They are not part of the state dict.
        self.register_buffer("prior_loc", loc, persistent=False)
        self.register_buffer("prior_scale", torch.ones_like(loc), persistent=False)

    def prior(self) -> dist.TorchDistribution:
        """p(z) = N(0, I_D), the same for every datum: batch shape `[]`, event shape `[D]`."""
        return standard_normal(self.prior_loc, self.prior_scale)

    def decode(self, z: Tensor) -> dist.TorchDistribution:
        """p(x|z) for z `[*batch, D]`: batch shape `[*batch]`, event shape `[P]`."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Runs the program on data `x [B, P]` or `[B, ...]`.

        Returns:
            z: the latents of this run, `[B, D]` or, under a plate of samples, `[S, B, D]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or another width than `decode` gives.
        """
        return self._run(x, self.decode)

    def _run(self, x: Tensor, decode: Callable[[Tensor], dist.TorchDistribution]) -> Tensor:
        """The program, for a p(x|z) that may be given more than z."""
        x = check_batch(x, self.prior_loc)
        with pyro.plate("data", len(x), dim=-1):
            z = self._draw()  # [B, D]
            with self._telling(z):
                p_x = decode(z)
            pyro.sample("x", p_x, obs=check_width(x, p_x.event_shape[0], says="the model's p(x|z)"))
        return z

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x, z) = log p(z) + log p(x|z) of data `x [N, P]` or `[N, ...]` and latents `z [N, D]`, row by row.

        Returns:
            `[N]`, nats.

        Raises:
            TypeError, ValueError: as of a run of the program.
        """
        return self._log_joint(x, z, self.decode)

    def _log_joint(self, x: Tensor, z: Tensor, decode: Callable[[Tensor], dist.TorchDistribution]) -> Tensor:
        p_x = decode(z)
        x = check_width(check_batch(x, self.prior_loc), p_x.event_shape[0], says="the model's p(x|z)")
        log_p: Tensor = self.prior().log_prob(z) + p_x.log_prob(x)
        return log_p

    def _telling(self, z: Tensor) -> AbstractContextManager[None]:
        """What an error of the decoder is noted with; a model without one has nobody's network."""
        decoder = getattr(self, "decoder", None)
        if not isinstance(decoder, nn.Module):
            return nullcontext()
        advice = (
            f"latent_dim was said to be {self.latent_dim}, and a decoder that takes another number of latents, or in "
            "another shape, needs latent_dim to say so, such as 5 or (4, 8, 8); one that takes more dimensions or "
            "arguments, such as [B, S, D], needs a function around it, such as lambda z: decode(z[:, None])[:, 0]"
        )
        return telling("decoder", decoder, advice, z=z)

    def _draw(self) -> Tensor:
        """What the program decodes, from the latent sites."""
        z: Tensor = pyro.sample("z", self.prior())
        return z

    @torch.no_grad()
    def generate(self, num_samples: int, *, seed: int = 0) -> Generated:
        """Draws z ~ p(z) and the mean of x given z; the global random state is neither read nor moved.

        Args:
            num_samples: N, how many.
            seed: the same seed gives the same draws.
        """
        z = self._drawn(check_size("num_samples", num_samples), seed)  # [N, D]
        return Generated(z, self.decode(z).mean)

    def _drawn(self, num_samples: int, seed: int) -> Tensor:
        """Draws of the prior, `[N, D]`."""
        return draw_standard_normal(num_samples, self.prior_loc, seed=seed)
