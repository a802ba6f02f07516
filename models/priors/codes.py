"""Codes: L whole numbers from 0 to K − 1, and priors of them.

log p(k) = Σ_l log softmax(logits_l(k_1 … k_(l−1)))[k_l]
"""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn import functional

from elbowroom.networks.mlp import mlp

MOST_VALUES = 100_000
"""Combinations K^L up to which they are listed."""

Size = torch.Size | list[int] | tuple[int, ...]


class Codes(dist.TorchDistribution):
    """k in {0 … K − 1}^L, drawn one position after the other: event shape `[L]`.

    Up to 100 000 combinations are listed by `enumerate_support`, so that they can be summed out.

    Args:
        logits: from codes `[*, L]` to logits `[*, L, K]`, where those of position l depend on positions before l alone.
        num_positions, num_values: L and K.
        like: a tensor of the device of the logits.
        batch_shape: of the distribution.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, logits: Callable[[Tensor], Tensor], num_positions: int, num_values: int, like: Tensor, batch_shape: Size
    ) -> None:
        self.logits, self.like = logits, like
        self.num_positions, self.num_values = num_positions, num_values
        self.has_enumerate_support = num_values**num_positions <= MOST_VALUES
        super().__init__(torch.Size(batch_shape), torch.Size((num_positions,)), validate_args=False)

    @classmethod
    def of_logits(cls, logits: Tensor) -> Self:
        """Positions that are independent of each other, with logits `[*batch, L, K]`."""
        num_positions, num_values = logits.shape[-2:]
        return cls(lambda codes: logits, num_positions, num_values, logits, logits.shape[:-2])

    @property
    def support(self) -> Any:
        """Whole numbers from 0 to K − 1."""
        return constraints.independent(constraints.integer_interval(0, self.num_values - 1), 1)

    def expand(self, batch_shape: Size, _instance: Any = None) -> "Codes":
        """The same, of a larger batch shape."""
        return Codes(self.logits, self.num_positions, self.num_values, self.like, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(k) in nats, `[*batch]`, for `value` broadcastable with `[*batch, L]`."""
        logits = torch.log_softmax(self.logits(value), -1)
        shape = torch.broadcast_shapes(logits.shape[:-1], (*self.batch_shape, 1), value.shape)
        index = value.expand(shape).unsqueeze(-1)
        return logits.expand(*shape, -1).gather(-1, index)[..., 0].sum(-1)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, L]`."""
        shape = self._extended_shape(torch.Size(sample_shape))
        codes = torch.zeros(shape, dtype=torch.long, device=self.like.device)
        with torch.no_grad():
            for position in range(self.num_positions):
                logits = self.logits(codes)[..., position, :].expand(*shape[:-1], -1)
                codes[..., position] = dist.Categorical(logits=logits).sample()
        return codes

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All combinations, `[K^L, *1, L]`, or with the batch shape in the place of ones."""
        every = all_codes(self.num_positions, self.num_values, self.like.device)
        every = every.reshape(-1, *(1,) * len(self.batch_shape), self.num_positions)
        return every.expand(-1, *self.batch_shape, -1) if expand else every


def all_codes(num_positions: int, num_values: int, device: torch.device) -> Tensor:
    """Every combination, `[K^L, L]`, the last position running fastest.

    Raises:
        NotImplementedError: if there are more than 100 000.
    """
    if num_values**num_positions > MOST_VALUES:
        raise NotImplementedError(f"{num_values}^{num_positions} combinations of codes are more than {MOST_VALUES}")
    values = torch.arange(num_values, device=device)
    return torch.cartesian_prod(*[values] * num_positions).reshape(-1, num_positions)


class AutoregressivePrior(nn.Module):
    """p(k) = ∏_l Cat(k_l; softmax(MLP(k_1 … k_(l−1), l))): one perceptron, which is told the position.

    Args:
        num_positions, num_values: L and K.
        hidden: widths of the perceptron's hidden layers.
        activation: a name in `ACTIVATIONS`.
    """

    def __init__(self, num_positions: int, num_values: int, hidden: tuple[int, ...], activation: str) -> None:
        super().__init__()
        self.num_positions, self.num_values = num_positions, num_values
        self.network = mlp(num_positions * (num_values + 1), hidden, num_values, activation=activation)

    def logits(self, codes: Tensor) -> Tensor:
        """For codes `[*batch, L]`, of each position given the ones before it: `[*batch, L, K]`."""
        like = next(self.parameters())
        num = self.num_positions
        read = functional.one_hot(codes, self.num_values).to(like).unsqueeze(-3)  # [*batch, 1, L, K]
        before = torch.ones(num, num).to(like).tril(-1).unsqueeze(-1)  # [L, L, 1]
        position = torch.eye(num).to(like).expand(*codes.shape[:-1], num, num)
        return self.network(torch.cat([(read * before).flatten(-2), position], -1))

    def forward(self) -> Codes:
        """p(k): batch shape `[]`, event shape `[L]`."""
        return Codes(self.logits, self.num_positions, self.num_values, next(self.parameters()), ())


class UniformPrior(nn.Module):
    """p(k) = K^(−L); arguments as of `AutoregressivePrior`."""

    def __init__(self, num_positions: int, num_values: int, hidden: tuple[int, ...], activation: str) -> None:
        super().__init__()
        self.register_buffer("logits", torch.zeros(num_positions, num_values), persistent=False)

    def forward(self) -> Codes:
        """p(k): batch shape `[]`, event shape `[L]`."""
        return Codes.of_logits(self.get_buffer("logits"))


CODE_PRIORS: dict[str, Callable[[int, int, tuple[int, ...], str], nn.Module]] = {
    "autoregressive": AutoregressivePrior,
    "uniform": UniformPrior,
}
"""Name -> (num_positions, num_values, hidden, activation) -> a module from nothing to p(k)."""
