"""Somebody's own PyTorch encoder as a Pyro guide."""

import pyro.distributions as dist
from torch import Tensor, nn

from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.networks.checks import check_batch, check_choice, check_module, reference_tensor
from elbowroom.networks.outputs import OUTPUTS


class EncoderGuide(AmortizedGuide):
    """q(z|x) = N(mean, diag std²) from a network that returns a pair; see `from_encoder`."""

    def __init__(self, encoder: nn.Module, *, output: str) -> None:
        super().__init__()
        self._read = OUTPUTS[check_choice("output", output, ("mean_log_var", "mean_std"))]
        self.encoder = check_module("encoder", encoder)

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, ...]`, given to the network as they are; batch shape `[B]`, event `[D]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype, or the network returns no pair of
                tensors.
            ValueError: if the pair is not `[B, D]` each, or a standard deviation is not above 0.
        """
        encoder = self.encoder
        x = check_batch(x, reference_tensor(encoder))
        mean, std = self._read("encoder", encoder(x))
        if mean.ndim != 2 or len(mean) != len(x):
            raise ValueError(
                f"encoder: returned tensors of shape {tuple(mean.shape)} for x of shape {tuple(x.shape)}, expected "
                f"[{len(x)}, D]: one row for each datum; flatten or squeeze them in a wrapping module"
            )
        return dist.Normal(mean, std).to_event(1)


def from_encoder(encoder: nn.Module, *, output: str) -> EncoderGuide:
    """The guide z_b ~ N(mean(x_b), diag std(x_b)²) around an existing network.

    The network is neither copied nor changed: `guide.encoder is encoder`. Put it in the mode you mean
    (`encoder.eval()` for evaluation): with dropout or batch normalisation in training mode one datum's terms
    depend on the others'. It gets the data as they are, images as images.

    Args:
        encoder: a network from x `[B, ...]` to a pair of tensors `[B, D]`.
        output: what the pair is: `"mean_log_var"` (log variance) or `"mean_std"` (standard deviation).

    Raises:
        TypeError: if the encoder is not an `nn.Module`; on the first call, if it returns no pair.
        ValueError: if the output is unknown; on a call, if a standard deviation is not above 0.
    """
    return EncoderGuide(encoder, output=output)
