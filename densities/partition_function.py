"""log Z of a restricted Boltzmann machine by annealed importance sampling, from independent values to the machine.

    f_β(x) = exp((1 − β) a·x + β b·x) Π_j (1 + exp β (c_j + W_j x)),    β = 0 … 1
    Z_0 = 2^H Π_i (1 + e^{a_i}),    w = Π_t f_{β_t}(x_t) / f_{β_{t−1}}(x_t),    E w = Z_1 / Z_0

after Salakhutdinov & Murray (2008), "On the quantitative analysis of deep belief networks", section 4.1: x_t is a chain
of Gibbs steps, each of which leaves the distribution ∝ f_{β_{t−1}} as it is, begun at a draw of f_0, so w is unbiased
for any number of steps. Its logarithm is not: E log (mean w) ≤ log (Z_1 / Z_0). So log Z is bounded from below in
expectation, and log p(x) = log f(x) − log Z from above.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from elbowroom.entrances.values import check_size
from elbowroom.inference.weights import ess, k_limit, log_marginal, log_marginal_stderr, pareto_k


class Couplings(Protocol):
    """Both directions of a machine, and what each value adds by itself."""

    def __call__(self, values: Tensor, *, down: bool = False) -> Tensor:
        """c + W x `[*, H]` of values x `[*, P]`; or b + hW `[*, P]` of h `[*, H]`, if `down`."""

    @property
    def visible_bias(self) -> Tensor:
        """b, `[P]`."""

    @property
    def hidden_bias(self) -> Tensor:
        """c, `[H]`."""


class LogPartition(NamedTuple):
    """log Z, and how it is known.

    Attributes:
        value: nats.
        stderr: zero of a sum over all states.
        flag: why it should not be trusted, or an empty string.
        ess: effective sample size of the chains' weights; None of a sum.
    """

    value: float
    stderr: float
    flag: str = ""
    ess: float | None = None


@torch.no_grad()
def anneal_log_partition(
    network: Couplings, base_logits: Tensor, *, num_chains: int = 100, num_steps: int = 1000, seed: int = 0
) -> LogPartition:
    """log Z, from below in expectation, with its standard error over independent chains.

    Args:
        network: of the machine.
        base_logits: a, the logits of independent values from which the chains come, `[P]`; those of the data's shares
            are near the machine, zeros are far away.
        num_chains, num_steps: how many weights, and how many temperatures each chain passes, evenly spaced.
        seed: of the chains.

    Raises:
        TypeError, ValueError: if a number is not positive.
    """
    S, T = check_size("num_chains", num_chains), check_size("num_steps", num_steps)
    generator = torch.Generator(base_logits.device).manual_seed(seed)
    a, b = base_logits.double(), network.visible_bias.double()

    def bernoulli(logits: Tensor) -> Tensor:
        uniform = torch.rand(logits.shape, generator=generator, dtype=torch.float64, device=logits.device)
        return (uniform < logits.sigmoid()).double()

    x = bernoulli(a.expand(S, -1))  # [S, P]
    log_w = torch.zeros(S, dtype=torch.float64, device=a.device)
    for step in range(T):
        before, now = step / T, (step + 1) / T
        up = network(x)  # [S, H]
        log_w += (now - before) * (x @ (b - a)) + (softplus(now * up) - softplus(before * up)).sum(-1)
        if step + 1 < T:
            h = bernoulli(now * up)
            x = bernoulli((1 - now) * a + now * network(h, down=True))
    log_z0 = softplus(a).sum() + len(network.hidden_bias) * torch.log(torch.tensor(2.0, dtype=torch.float64))
    column = log_w[:, None]
    return LogPartition(
        value=(log_z0 + log_marginal(column)).item(),
        stderr=log_marginal_stderr(column).item(),
        flag=_flag(column),
        ess=ess(column).item(),
    )


def _flag(log_w: Tensor) -> str:
    """Why the mean of these weights `[S, 1]` is not to be trusted."""
    k, limit = pareto_k(log_w).item(), k_limit(len(log_w))
    if k > limit:
        return f"log Z: the weights of the chains have k-hat {k:.2f} above {limit:.2f}: give more num_steps"
    return ""
