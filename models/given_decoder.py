"""A decoder that reads more of a datum than its latents: labels, batches, conditions."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.models.decoder_model import DecoderModel
from elbowroom.models.latent_model import Generated
from elbowroom.networks.checks import check_size


class GivenDecoder(DecoderModel):
    """z ~ p(z), x | z, c ~ likelihood(read(decoder(z, c))), with one or more further arguments c of each datum.

    Every number is log p(x | c).

    Args:
        num_given: how many c there are, at least one.
        *arguments, **options: as of `DecoderModel`.
    """

    def __init__(self, num_given: int, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.num_given = num_given

    def decode(self, z: Tensor, *given: Tensor) -> dist.TorchDistribution:  # type: ignore[override]
        """p(x | z, c) for z `[*samples, B, D]` and each c `[B, ...]`: batch shape `[*samples, B]`, event `[P]`.

        Raises:
            TypeError: if there are more c or fewer, or the decoder returns something else than was said.
            ValueError: if a c has not a row for each datum.
        """
        if len(given) != self.num_given:
            raise TypeError(
                f"decoder: takes {self.num_given} arguments of each datum beside z, got {len(given)}: call the model "
                "with the data first and these after it"
            )
        many = z.shape[:-2]
        for place, value in enumerate(given, start=1):
            if value.shape[:1] != z.shape[-2:-1]:
                raise ValueError(
                    f"argument {place} after x: got shape {tuple(value.shape)}, expected a row for each of "
                    f"{z.shape[-2]} data"
                )
        spread = [value.expand(*many, *value.shape) for value in given]
        return self._p_x(z, self.decoder(self._shaped(z), *spread))

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:  # type: ignore[override]
        """Runs the program on data `x [B, ...]` and each c `[B, ...]`, see `LatentModel`."""
        return self._run(x, lambda z: self.decode(z, *given))

    def log_joint(self, x: Tensor, z: Tensor, *given: Tensor) -> Tensor:  # type: ignore[override]
        """log p(x, z | c) row by row, `[N]`, see `LatentModel`."""
        return self._log_joint(x, z, lambda z: self.decode(z, *given))

    @torch.no_grad()
    def generate(self, num_samples: int, *given: Tensor, seed: int = 0) -> Generated:
        """Draws z ~ p(z), one for each row of the c `[N, ...]`, and the mean of x given both, see `LatentModel`.

        Raises:
            TypeError, ValueError: as of `decode`.
        """
        z = self._drawn(check_size("num_samples", num_samples), seed)  # [N, D]
        return Generated(z, self.decode(z, *given).mean)
