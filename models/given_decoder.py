"""Somebody's own decoder, which may read more of a datum than its latents: labels, batches, conditions."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.entrances.values import check_size
from elbowroom.models.decoder_model import DecoderModel
from elbowroom.models.latent_model import Generated


class GivenDecoder(DecoderModel):
    """z ~ p(z), x | z, c ~ likelihood(read(decoder(z, c))), with any number of further arguments c of each datum.

    The program is called with x, then each c, and last the sizes of the data, if the likelihood takes them. Every
    number is log p(x | c, sizes).

    Args:
        num_given: how many c there are.
        *arguments, **options: as of `DecoderModel`.

    Attributes:
        notes: what is worth knowing of how it was made, as sentences, for `Target.notes`.
    """

    notes: tuple[str, ...]

    def __init__(self, num_given: int, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.num_given, self.notes = num_given, ()

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Parameters of the likelihood that nobody has learned for this decoder, in words."""
        said = self.likelihood.unlearned
        return (said,) if said else ()

    def decode(self, z: Tensor, *given: Tensor, exposure: Tensor | None = None) -> dist.TorchDistribution:  # type: ignore[override]
        """p(x | z, c) for z `[*samples, B, D]` and each c `[B, ...]`: batch shape `[*samples, B]`, event `[P]`.

        Args:
            z: latents.
            *given: each c, and last the sizes `[B]` for a likelihood that takes them; or these by name.
            exposure: sizes; without them the mean of x is that of a unit.

        Raises:
            TypeError: if there are more c or fewer, or the decoder returns something else than was said.
            ValueError: if a c has not a row for each datum.
        """
        if len(given) == self.num_given + 1 and self.likelihood.needs_exposure and exposure is None:
            *given, exposure = given  # type: ignore[assignment]
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
        return self._p_x(z, self.decoder(self._shaped(z), *spread), exposure)

    def forward(self, x: Tensor, *given: Tensor, exposure: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Runs the program on data `x [B, ...]`, each c `[B, ...]` and sizes `[B]`, see `LatentModel`."""
        given, sizes = self._with_sizes(x, given, exposure)
        return self._run(x, lambda z: self.decode(z, *given, exposure=sizes))

    def log_joint(  # type: ignore[override]
        self, x: Tensor, z: Tensor, *given: Tensor, exposure: Tensor | None = None
    ) -> Tensor:
        """log p(x, z | c) row by row, `[N]`, see `LatentModel`."""
        given, sizes = self._with_sizes(x, given, exposure)
        return self._log_joint(x, z, lambda z: self.decode(z, *given, exposure=sizes))

    def _with_sizes(
        self, x: Tensor, given: tuple[Tensor, ...], exposure: Tensor | None
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """What the decoder reads, and the sizes of the data: the last argument, where there is one more."""
        if exposure is None and len(given) == self.num_given + 1:
            given, exposure = given[:-1], given[-1]
        return given, self._sizes(x, exposure)

    @torch.no_grad()
    def generate(self, num_samples: int, *given: Tensor, seed: int = 0) -> Generated:
        """Draws z ~ p(z), one for each row of the c `[N, ...]`, and the mean of x given both, see `LatentModel`.

        Raises:
            TypeError, ValueError: as of `decode`.
        """
        z = self._drawn(check_size("num_samples", num_samples), seed)  # [N, D]
        return Generated(z, self.decode(z, *given).mean)
