"""MADE: each value is predicted from those before it, all in one pass of a network with masks."""

import math
from itertools import pairwise
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, silu

from elbowroom.densities.density import Cost, Density
from elbowroom.densities.training import minimise
from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least, check_size, check_sizes
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import Bound


class MADE(Density):
    """A masked autoencoder for distribution estimation, after Germain et al. (2015).

        log p(x) = Σ_i log p(x_i | x_{<i}),    i in the network's order of the values

    Each conditional is normalised over K numbers, so there is no Z. Several orders are several networks, trained side
    by side, and their mixture, log p(x) = log (1/M) Σ_m p_m(x), is normalised, too. Without hidden layers it is a
    logistic regression of each value on those before it, the fully visible sigmoid network of Frey (1998).

    Args:
        data_dim: P.
        levels: K. Two levels are a Bernoulli of each value, more are a categorical one; inputs are x / (K − 1).
        hidden: widths of the hidden layers; `()` for none. Inputs are connected to outputs directly as well.
        dropout: share of hidden units left out in training.
        num_orders: M. The first one is that of the data's columns, the others are drawn.
        order_seed: of those that are drawn.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    bound: ClassVar[Bound] = "exact"
    avoids: ClassVar[str] = "a product of conditionals, each normalised over its K values"
    cannot: ClassVar[str] = "draw in fewer than P passes; say anything of latents; be free of an order"
    network: nn.ModuleList

    @checked
    def __init__(
        self,
        data_dim: int,
        levels: int = 2,
        hidden: tuple[int, ...] = (512,),
        dropout: float = 0.5,
        num_orders: int = 1,
        order_seed: int = 0,
    ) -> None:
        super().__init__(data_dim, levels)
        hidden = check_sizes("hidden", hidden)
        if not check_at_least("dropout", dropout, 0.0) < 1:
            raise ValueError(f"dropout: got {dropout}, expected a share below 1")
        generator = torch.Generator().manual_seed(order_seed)
        orders = [torch.arange(self.data_dim)]
        while len(orders) < check_size("num_orders", num_orders):
            orders.append(torch.randperm(self.data_dim, generator=generator))
        width = 1 if self.levels == 2 else self.levels
        self.network = nn.ModuleList(MaskedNetwork(order, width, hidden, dropout) for order in orders)

    def fit(self, x: Tensor, validation: Tensor | None = None, *, seed: int = 0, **options: Any) -> Self:
        """Minimise −log p(x), the mean over orders of each order's own.

        Args:
            x: data `[N, P]`.
            validation: data `[M, P]`, judged by the mixture's log p(x).
            seed: of the order of the data and of dropout.
            options: of `minimise`.

        Raises:
            TypeError, ValueError: as of `Density.fit`.
        """
        x = self.checked("x", x)
        validation = None if validation is None else self.checked("validation", validation)
        chosen = {"num_epochs": 100, "learning_rate": 0.01, "weight_decay": 0.1, **options}
        minimise(
            self,
            lambda rows, generator: -self.log_prob_by_order(rows, generator).mean(0),
            x,
            validation,
            validation_loss=lambda rows, generator: -self._mixed(self.log_prob_by_order(rows)),
            seed=seed,
            **chosen,
        )
        return self

    def log_prob_by_order(self, x: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """log p_m(x) of each order, `[M, B]`, in the dtype of the parameters.

        Args:
            x: data `[B, P]`.
            dropout: draws which units are left out; None of all of them.
        """
        inputs = x / (self.levels - 1)
        return torch.stack([self._log_prob(network(inputs, dropout), x) for network in self.network])

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, seed: int = 0) -> Estimate:
        """log p(x) in nats, exactly; the seed does nothing.

        Raises:
            TypeError, ValueError: if the data are not `[B, P]` whole numbers 0 … K − 1.
        """
        value = self._mixed(self.log_prob_by_order(self.checked("x", x)).double())
        return Estimate(value, torch.zeros_like(value), "exact")

    @torch.no_grad()
    def sample(self, num_samples: int, *, seed: int = 0) -> Tensor:
        """Draws of x, `[num_samples, P]`, value after value, each in an order of its own: P passes."""
        size = check_size("num_samples", num_samples)
        like = next(self.parameters())
        generator = torch.Generator(like.device).manual_seed(seed)
        which = torch.randint(len(self.network), (size,), generator=generator, device=like.device)
        x = like.new_zeros(size, self.data_dim)
        for number, network in enumerate(self.network):
            rows = (which == number).nonzero().squeeze(1)
            if not len(rows):
                continue
            drawn = x[rows]
            for place in network.get_buffer("order").argsort().tolist():
                logits = self._logits(network(drawn / (self.levels - 1)))[:, place]  # [b, K]
                drawn[:, place] = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(1).to(like)
            x[rows] = drawn
        return x

    def cost(self) -> Cost:
        """A pass for each order; and one for each value."""
        return Cost(len(self.network), self.data_dim)

    @property
    def num_parameters(self) -> int:
        """How many numbers were fitted: weights that a mask leaves out are none."""
        layers = [part for part in self.modules() if isinstance(part, MaskedLinear)]
        return sum(int(layer.mask.sum()) + layer.bias.numel() for layer in layers)

    def _mixed(self, by_order: Tensor) -> Tensor:
        """log (1/M) Σ_m p_m(x) of `[M, B]`."""
        return by_order.logsumexp(0) - math.log(len(by_order))

    def _log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Σ_i log p(x_i | x_{<i}), `[B]`."""
        if self.levels == 2:
            return -binary_cross_entropy_with_logits(outputs, x, reduction="none").sum(-1)
        of_levels = self._logits(outputs).log_softmax(-1)
        return of_levels.gather(-1, x.long()[..., None]).squeeze(-1).sum(-1)

    def _logits(self, outputs: Tensor) -> Tensor:
        """Of every level of every value, `[B, P, K]`."""
        if self.levels == 2:
            return torch.stack([torch.zeros_like(outputs), outputs], -1)
        return outputs.unflatten(-1, (self.data_dim, self.levels))


class MaskedNetwork(nn.Module):
    """A perceptron whose output i depends on inputs before i alone, in an order of the values.

    Each unit has a degree: an input its place in the order, 1 … P; a hidden one a number below P, which says up to
    which input it may look; a connection is kept where the degree does not fall (to a hidden unit), or rises (to an
    output). Germain et al. (2015), equations 8 and 9, with degrees spread evenly over the units.

    Args:
        order: the place 0 … P − 1 of each value, `[P]`.
        width: numbers that each value is predicted by.
        hidden: widths of hidden layers.
        dropout: share of hidden units left out where a generator is given.
    """

    def __init__(self, order: Tensor, width: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.order: Tensor
        self.register_buffer("order", order, persistent=False)
        places = order + 1
        outputs = places.repeat_interleave(width)
        degrees = [places, *(1 + torch.arange(n) % max(len(order) - 1, 1) for n in hidden)]
        self.layers = nn.ModuleList(MaskedLinear(after[:, None] >= before) for before, after in pairwise(degrees))
        self.last = MaskedLinear(outputs[:, None] > degrees[-1]) if hidden else None
        self.direct = MaskedLinear(outputs[:, None] > places)

    def forward(self, x: Tensor, dropout: torch.Generator | None = None) -> Tensor:
        """What each value is predicted by, `[B, P width]`, of inputs `[B, P]`."""
        h = x
        for layer in self.layers:
            h = silu(layer(h))
            if dropout is not None and self.dropout:
                kept = torch.rand(h.shape, generator=dropout, dtype=h.dtype, device=h.device) >= self.dropout
                h = h * kept / (1 - self.dropout)
        outputs: Tensor = self.direct(x)
        return outputs if self.last is None else outputs + self.last(h)


class MaskedLinear(nn.Linear):
    """A linear map without the weights that a mask `[outputs, inputs]` leaves out."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """W ∘ mask x + bias."""
        return linear(x, self.weight * self.mask, self.bias)
