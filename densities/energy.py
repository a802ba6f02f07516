"""The restricted Boltzmann machine: Z is a sum over the hidden units' states, while there are few of them."""

import math
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from elbowroom.densities.density import Cost, Density
from elbowroom.densities.partition_function import LogPartition, anneal_log_partition
from elbowroom.densities.training import Loss, minimise
from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import Bound

MOST_SUMMED = 20
"""Units of the smaller layer, visible or hidden, of which all states are summed."""
METHODS = ("pcd", "exact")
_BURN_IN = 1000  # Gibbs steps before a draw, where states cannot be summed
_CHUNK = 1 << 14  # states in memory at once


class RBM(Density):
    """A restricted Boltzmann machine of zeros and ones, p(x) = Σ_h exp(b·x + c·h + h·Wx) / Z.

        log p(x) = b·x + Σ_j log (1 + exp (c_j + W_j x)) − log Z
        Z = Σ_h exp(c·h) Π_i (1 + exp (b_i + (hW)_i)),    2^H terms, or 2^P over x, whichever is less

    after Smolensky (1986) and Hinton (2002). The sum is exact for up to 20 units of the smaller layer, and so are
    draws: h from its own distribution, then x given h. With more, log Z is annealed (`partition_function.py`): an
    unbiased estimate of Z, so log p(x) is too *high* in expectation, by an error that all data share; and draws are the
    ends of Gibbs chains, as good as these have mixed.

    Args:
        data_dim: P.
        num_hidden: H.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    bound: ClassVar[Bound] = "exact"
    avoids: ClassVar[str] = "it does not: Z is summed over 2^H hidden states, or annealed"
    cannot: ClassVar[str] = "be normalised exactly beyond some twenty hidden units; draw without a chain there"
    network: "Layers"

    @checked
    def __init__(self, data_dim: int, num_hidden: int = 16) -> None:
        super().__init__(data_dim)
        self.num_hidden = check_size("num_hidden", num_hidden)
        self.network = Layers(self.data_dim, self.num_hidden)
        self.base_logits: Tensor  # of independent values: where annealing begins
        self.register_buffer("base_logits", torch.zeros(self.data_dim))

    @property
    def is_summed(self) -> bool:
        """Whether Z is the sum of all its terms."""
        return min(self.data_dim, self.num_hidden) <= MOST_SUMMED

    def fit(
        self,
        x: Tensor,
        validation: Tensor | None = None,
        *,
        seed: int = 0,
        method: str = "pcd",
        num_gibbs_steps: int = 5,
        num_chains: int = 100,
        **options: Any,
    ) -> Self:
        """Climb the log-likelihood, whose gradient is that of log f(x) less its mean over the machine's own x.

        Args:
            x: data `[N, P]`.
            validation: data `[M, P]`, judged by log p(x).
            seed: of the order of the data and of the chains.
            method: where the machine's own x come from: `"pcd"`, persistent chains that take a few Gibbs steps for
                each step of the parameters (Tieleman 2008); `"exact"`, all of them, by the gradient of log Z.
            num_gibbs_steps, num_chains: of `"pcd"`.
            options: of `minimise`.

        Raises:
            TypeError, ValueError: as of `Density.fit`; or if `"exact"` has more states to sum than 2^20.
        """
        x = self.checked("x", x)
        validation = None if validation is None else self.checked("validation", validation)
        self.base_logits.copy_(((x.sum(0) + 0.5) / (len(x) + 1)).logit())
        if check_choice("method", method, METHODS) == "exact":
            if not self.is_summed:
                raise ValueError(f"method: 'exact' sums 2^H states, H at most {MOST_SUMMED}; take method='pcd'")
            loss: Loss = lambda rows, generator: self._log_partition(rows) - self.log_unnormalised(rows)  # noqa: E731
        else:
            loss = self._contrastive(x, check_size("num_gibbs_steps", num_gibbs_steps), num_chains, seed)
        chosen = {"num_epochs": 100, "learning_rate": 0.03, **options}
        minimise(self, loss, x, validation, validation_loss=self._held_out, seed=seed, **chosen)
        return self

    def log_unnormalised(self, x: Tensor) -> Tensor:
        """log f(x) = b·x + Σ_j log (1 + exp (c_j + W_j x)), `[B]`, in the dtype of x."""
        return x @ self.network.visible_bias.to(x) + softplus(self.network(x)).sum(-1)

    @torch.no_grad()
    def log_partition(self, *, num_chains: int = 500, num_steps: int = 1000, seed: int = 0) -> LogPartition:
        """log Z: the sum where it is short, else annealed by so many chains through so many temperatures."""
        if self.is_summed:
            return LogPartition(self._log_partition(self.base_logits.double()).item(), 0.0)
        return self.annealed(num_chains=num_chains, num_steps=num_steps, seed=seed)

    def annealed(self, *, num_chains: int = 500, num_steps: int = 1000, seed: int = 0) -> LogPartition:
        """log Z by annealing, whether or not the sum is short."""
        return anneal_log_partition(
            self.network, self.base_logits, num_chains=num_chains, num_steps=num_steps, seed=seed
        )

    @torch.no_grad()
    def log_prob(self, x: Tensor, *, seed: int = 0, num_chains: int = 500, num_steps: int = 1000) -> Estimate:
        """log p(x) in nats, exact where Z is summed, else an upper bound in expectation.

        The error of an annealed log Z is the same for all data, as `info["log_partition"]` says: it does not average
        out over them.

        Args:
            x: data `[B, P]`.
            seed, num_chains, num_steps: of an annealed log Z.

        Raises:
            TypeError, ValueError: if the data are not `[B, P]` zeros and ones.
        """
        x = self.checked("x", x).double()
        log_z = self.log_partition(num_chains=num_chains, num_steps=num_steps, seed=seed)
        value = self.log_unnormalised(x) - log_z.value
        return Estimate(
            value,
            torch.full_like(value, log_z.stderr),
            "exact" if self.is_summed else "upper",
            {"log_partition": log_z, "common_stderr": log_z.stderr},
            (log_z.flag,) * len(x),
        )

    @torch.no_grad()
    def sample(self, num_samples: int, *, seed: int = 0) -> Tensor:
        """Draws of x, `[num_samples, P]`: independent where states are summed, else ends of chains of 1000 steps."""
        size = check_size("num_samples", num_samples)
        generator = torch.Generator(self.base_logits.device).manual_seed(seed)
        if not self.is_summed:
            x = _bernoulli(self.base_logits.expand(size, -1), generator)
            return self._gibbs(x, _BURN_IN, generator)
        down = self.num_hidden <= self.data_dim
        total = self._log_weights(self.base_logits.double(), down).softmax(0).cumsum(0)
        uniform = torch.rand(size, generator=generator, dtype=torch.float64, device=total.device) * total[-1]
        drawn = torch.searchsorted(total, uniform, right=True).clamp_max(len(total) - 1)
        states = _states(drawn, self.num_hidden if down else self.data_dim).to(self.base_logits)
        return _bernoulli(self.network(states, down=True), generator) if down else states

    def cost(self) -> Cost:
        """One pass up; and one down, or 1000 Gibbs steps of two. What Z takes is shared by all data of a call."""
        down = self.num_hidden <= self.data_dim
        return Cost(1, float(down) if self.is_summed else 2 * _BURN_IN)

    def _log_partition(self, like: Tensor) -> Tensor:
        """log Z as a sum, in the dtype of `like`."""
        return self._log_weights(like, self.num_hidden <= self.data_dim).logsumexp(0)

    def _log_weights(self, like: Tensor, down: bool) -> Tensor:
        """log Σ_x f(x, h) of all h, `[2^H]`; or, not down, log f(x) of all x, `[2^P]`."""
        width = self.num_hidden if down else self.data_dim
        parts = []
        for chunk in torch.arange(2**width, device=like.device).split(_CHUNK):
            states = _states(chunk, width).to(like)
            if down:
                parts.append(
                    states @ self.network.hidden_bias.to(like) + softplus(self.network(states, down=True)).sum(-1)
                )
            else:
                parts.append(self.log_unnormalised(states))
        return torch.cat(parts)

    def _contrastive(self, x: Tensor, num_steps: int, num_chains: int, seed: int) -> Loss:
        """Minus log f of the data, and plus that of chains, which go on from one call to the next."""
        start = torch.Generator(x.device).manual_seed(seed)
        rows = torch.randint(len(x), (check_size("num_chains", num_chains),), generator=start, device=x.device)
        chains = x[rows]

        def loss(rows: Tensor, generator: torch.Generator) -> Tensor:
            nonlocal chains
            with torch.no_grad():
                chains = self._gibbs(chains, num_steps, generator)
            return self.log_unnormalised(chains).mean() - self.log_unnormalised(rows)

        return loss

    def _gibbs(self, x: Tensor, num_steps: int, generator: torch.Generator) -> Tensor:
        """x after steps of h given x and x given h."""
        for _ in range(num_steps):
            h = _bernoulli(self.network(x), generator)
            x = _bernoulli(self.network(h, down=True), generator)
        return x

    def _held_out(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """−log p(x), `[B]`; an annealed log Z has short chains, the same random numbers in each epoch."""
        log_z = self.log_partition(num_chains=100, num_steps=100, seed=generator.initial_seed()).value
        return log_z - self.log_unnormalised(x)


class Layers(nn.Module):
    """b `[P]`, c `[H]` and W `[H, P]` of a machine: c + Wx up, b + hW down, in the dtype of what is handed in."""

    def __init__(self, num_visible: int, num_hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_hidden, num_visible) / (10 * math.sqrt(num_visible)))
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(num_hidden))

    def forward(self, values: Tensor, *, down: bool = False) -> Tensor:
        """c + Wx `[*, H]` of x `[*, P]`; or b + hW `[*, P]` of h `[*, H]`, if `down`."""
        weight = self.weight.to(values)
        if down:
            return linear(values, weight.mT, self.visible_bias.to(values))
        return linear(values, weight, self.hidden_bias.to(values))


def _states(numbers: Tensor, width: int) -> Tensor:
    """The binary digits of whole numbers `[N]`, `[N, width]`."""
    return numbers[:, None] >> torch.arange(width, device=numbers.device) & 1


def _bernoulli(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros and ones with these log-odds."""
    uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    return (uniform < logits.sigmoid()).to(logits)
