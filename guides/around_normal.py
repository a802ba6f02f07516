"""What richer guides share: a diagonal Normal that they begin from, and a network that says what is beyond it."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.entrances.values import check_module, check_size
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.guides.normal import AmortizedNormal
from elbowroom.networks.checks import check_batch, check_width, reference_tensor
from elbowroom.networks.registry import make_encoder


class AroundNormal(AmortizedGuide):
    """A guide built around N(m(x), diag s(x)²): the Normal is one network's, what is beyond it another's.

        u = (z − m(x)) / s(x) ~ q(u|h(x)),    h(x) `[B, num_outputs]`

    A subclass says what q(u|h) is, by `encode`. With `around` the Normal is a copy of a trained guide, and the last
    layer that says h begins at zero: where q(u|0) is N(0, I), so does training at the trained guide's ELBO.

    Args:
        data_dim: P, the number of values of a datum; data `[B, ...]` are flattened to `[B, P]`.
        latent_dim: D, the number of latent variables of a datum.
        hidden: the widths of the hidden layers of both networks, as of `AmortizedNormal`.
        num_outputs: of h.
        around: a guide whose `encode(x)` is a diagonal Normal, to begin from: `AmortizedNormal`, `from_encoder(…)`. Its
            parameters are copied, and trained on. By default a Normal of its own, freshly drawn.
        activation, network, image_shape: as of `AmortizedNormal`.
        floor: what s stays above, as of `AmortizedNormal`, of a Normal of its own.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    at_first: ClassVar[float] = 0.0
    """What the weights of the last layer that says h are multiplied by, to begin `around` a guide."""

    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] | None,
        *,
        num_outputs: int,
        around: AmortizedGuide | None,
        activation: str,
        floor: float,
        network: str,
        image_shape: Sequence[int] | None,
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.latent_dim = check_size("latent_dim", latent_dim)
        nets: dict[str, Any] = {"activation": activation, "image_shape": image_shape}
        self.encoder = make_encoder(network, self.data_dim, hidden, num_outputs, output="mean", **nets)
        if around is None:
            self.normal: AmortizedGuide = AmortizedNormal(
                data_dim, latent_dim, hidden, floor=floor, network=network, **nets
            )
        else:
            read = getattr(check_encoder("around", around), "model", None)  # a model that it reads is no part of it
            self.normal = copy.deepcopy(around, {} if read is None else {id(read): read}).requires_grad_(True)
            self.encoder.to(reference_tensor(self.normal))
            quieten(self.encoder, self.at_first)

    def beyond(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """m `[B, D]`, s `[B, D]` and h `[B, num_outputs]` for data `x [B, P]` or `[B, ...]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype, or `around` says no diagonal Normal.
            ValueError: if x has no batch dimension, no data, or not P values per datum, or `around` not D latents.
        """
        x = check_batch(x, reference_tensor(self.encoder))
        mean, std = moments(self.normal, x, self.latent_dim)
        return mean, std, self.encoder(check_width(x, self.data_dim, says="the guide's data_dim"))


def moments(guide: AmortizedGuide, x: Tensor, latent_dim: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a guide that is a diagonal Normal, `[B, D]` each.

    Raises:
        TypeError: if its `encode(x)` is none.
        ValueError: if it has not D latents.
    """
    q_z = guide.encode(x)
    base = getattr(q_z, "base_dist", None)
    if not isinstance(base, dist.Normal) or len(q_z.event_shape) != 1:
        raise TypeError(
            f"{type(guide).__name__}: its encode(x) returned {q_z}, expected a diagonal Normal such as "
            "Normal(mean, std).to_event(1); train an AmortizedNormal and begin from that"
        )
    if base.loc.shape != (len(x), latent_dim):
        raise ValueError(
            f"{type(guide).__name__}: its Normal has shape {tuple(base.loc.shape)} for {len(x)} data, expected "
            f"{(len(x), latent_dim)}; is latent_dim={base.loc.shape[-1]} meant?"
        )
    return base.loc, base.scale


def check_encoder(name: str, guide: Any) -> AmortizedGuide:
    """`guide`, a module with a method `encode`.

    Raises:
        TypeError: if it is none.
    """
    if not callable(getattr(check_module(name, guide), "encode", None)):
        raise TypeError(
            f"{name}: got {type(guide).__name__}, which has no method encode(x), expected a guide that is a diagonal "
            "Normal for each datum, such as AmortizedNormal or from_encoder(encoder, output='mean_std')"
        )
    checked: AmortizedGuide = guide
    return checked


def quieten(network: nn.Module, scale: float) -> None:
    """Multiply the weights of the last linear layer by `scale`, and set its biases to zero."""
    last: Any = [layer for layer in network.modules() if hasattr(layer, "weight")][-1]
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.zero_()
