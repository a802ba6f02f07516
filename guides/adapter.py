"""Somebody's own PyTorch encoder as a Pyro guide."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.networks.checks import check_batch, reference_tensor
from elbowroom.networks.failing import noted, telling
from elbowroom.networks.functions import as_network
from elbowroom.networks.reading import STACKED, pair_reader

_PAIRS = ("mean_log_var", "mean_std", "mean_log_std")
_ADVICE = (
    "give it the data in the shape that it takes: x.reshape(len(x), 1, 28, 28) in Python, or on the command line "
    "--networks.image_shape [1,28,28], for images of one channel"
)


class EncoderGuide(AmortizedGuide):
    """q(z|x) = N(mean, diag std²) from a network that says both; see `from_encoder`."""

    @checked
    def __init__(
        self, encoder: nn.Module | Callable[..., Any], *, output: str | None = None, num_given: int = 0
    ) -> None:
        super().__init__()
        self.num_given = num_given
        if output is not None:
            check_choice("output", output, (*_PAIRS, *(STACKED + name for name in _PAIRS)))
        self._read = pair_reader("encoder", output, _PAIRS)
        self.encoder = as_network("encoder", encoder)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]`, see `AmortizedGuide`; the network takes the first of what is given."""
        q_z = self.encode(x, *given[: self.num_given])
        with pyro.plate("data", len(x), dim=-1):
            z: Tensor = pyro.sample("z", q_z)
        return z

    def encode(self, x: Tensor, *given: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, ...]`, given to the network as they are; batch shape `[B]`, event `[D]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype, or the network returns something else than
                was said.
            ValueError: if there is not one row for each datum, or a standard deviation is not above 0.
        """
        mean, std = self._said(x, *given)
        return dist.Normal(mean.flatten(1), std.flatten(1)).to_event(1)

    def codes(self, x: Tensor, *given: Tensor) -> Tensor:
        """The means of q(z|x) in the shape that the network says them, `[B, ...]`.

        Raises:
            TypeError, ValueError: as of `encode`; if the network fails, what it raised with its name and x's shape.
        """
        try:
            return self._said(x, *given)[0]
        except Exception as error:  # a network may raise anything
            if note := noted(error):
                raise ValueError(note) from error
            raise

    def _said(self, x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        """Mean and standard deviation, `[B, ...]` each."""
        encoder = self.encoder
        x = check_batch(x, reference_tensor(encoder))
        with telling("encoder", encoder, _ADVICE, x=x, **{f"argument {i}": c for i, c in enumerate(given, start=1)}):
            result = encoder(x, *given)
        mean, std = self._read(result)
        if mean.ndim < 2 or len(mean) != len(x):
            raise ValueError(
                f"encoder: returned tensors of shape {tuple(mean.shape)} for x of shape {tuple(x.shape)}, expected "
                f"[{len(x)}, D] or [{len(x)}, ...]: one row for each datum"
            )
        return mean, std


@checked
def from_encoder(
    encoder: nn.Module | Callable[..., Any], *, output: str | None = None, num_given: int = 0
) -> EncoderGuide:
    """The guide z_b ~ N(mean(x_b), diag std(x_b)²) around an existing network.

    The network is neither copied nor changed: `guide.encoder is encoder`, if it is a module. Put it in the mode you
    mean (`encoder.eval()` for evaluation): with dropout or batch normalisation in training mode one datum's terms
    depend on the others'. It gets the data as they are, images as images.

    Args:
        encoder: a network from x `[B, ...]` to a mean and a spread, `[B, D]` or `[B, ...]` each, which is flattened; or
            a function or method of networks, such as `vae.encode` or `lambda x: vae.encode(x)[1:]`.
        output: what the pair is that it returns: `"mean_log_var"` (log variance), `"mean_std"` (standard deviation) or
            `"mean_log_std"`; `"stacked_mean_log_var"` and the like if both are one tensor `[B, 2 D, ...]`. None if
            what it returns says so: a Normal, something with `latent_dist`, or a mapping or object of which one tensor
            is called mu, mean, loc or embedding, and another logvar, log_var, log_covariance, std, log_std or the like.
        num_given: how many further arguments of each datum the encoder takes after x, such as labels; of what the
            program is called with beside x, the first so many.

    Raises:
        TypeError: if the encoder cannot be called; on the first call, if it returns something else.
        ValueError: if the output is unknown; on a call, if a standard deviation is not above 0.
    """
    return EncoderGuide(encoder, output=output, num_given=num_given)
