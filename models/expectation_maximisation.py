"""Expectation-maximisation for mixtures of exponential families, all data and components at once.

    log p(x|k) = ⟨η_k, T(x)⟩,    T(x) = (1, x) for zeros and ones, (1, x, x²) for Normals, (1, 1[x = l]) for levels

    E:  r_bk = p(k|x_b) = softmax_k(log π_k + ⟨η_k, T(x_b)⟩)
    M:  π_k = (N_k + a) / (B + K a),  N_k = Σ_b r_bk;    η_k = argmax_η ⟨η, Σ_b r_bk T(x_b) + a T_0⟩

Each step raises

    L = (1/B) [Σ_b log p(x_b) + a Σ_k (log π_k + ⟨η_k, T_0⟩)]

the log posterior density of the parameters up to a constant: a Dirichlet(1 + a, …) prior adds a data to each N_k, and
the conjugate prior of a component adds a times T_0 to its statistics, a data that are what all data are on average
(Dempster, Laird & Rubin 1977; Bishop 2006, §9.3.3 and §9.4; Murphy 2012, §11.4.2.8):

    Bernoulli   T_0 = (1, (Σ_b x_b + 1) / (B + 2)),    θ_kp ~ Beta(1 + a m_p, 1 + a (1 − m_p)), m_p its second part
    Categorical T_0 = (1, (Σ_b 1[x_b = l] + 1) / (B + L)),    θ_kp ~ Dirichlet(1 + a m_p), m_p its second part
    Normal      T_0 = Σ_b T(x_b) / B: mean and variance of all data

Without a (a = 0) probabilities reach 0 and 1 (kept 1e-10 of a datum away), a σ its floor, and an empty component
has weight 0 and any parameters.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST = 1e-10
"""Of a datum: no component's count, and no count of ones or zeros in it, is taken to be less."""


class Found(NamedTuple):
    """Where EM ends.

    Attributes:
        log_weights: log π, `[K]`.
        natural: η, `[K, M]`.
        trace: L at the start and after each step, `[T + 1]`, nats per datum.
        converged: whether the last step gained less than the tolerance.
    """

    log_weights: Tensor
    natural: Tensor
    trace: Tensor
    converged: bool


class Family(Protocol):
    """What EM needs of a likelihood, for data `[B, P]` in 64 bits.

    Attributes:
        statistics: T(x_b), `[B, M]`.
        prior: T_0, `[M]`.
    """

    statistics: Tensor
    prior: Tensor

    def natural(self, sums: Tensor) -> Tensor:
        """argmax_η Σ_k ⟨η_k, sums_k⟩ for sums of statistics `[K, M]`: `[K, M]`."""

    def write(self, natural: Tensor, table: Tensor) -> None:
        """Put η into a `Mixture.table`; what all components share, into the likelihood's own parameters."""


def maximise(
    family: Family,
    num_components: int,
    concentration: float,
    tolerance: float,
    max_steps: int,
    generator: torch.Generator,
) -> Found:
    """Steps of EM until one gains less than `tolerance` nats per datum, or there have been `max_steps`."""
    statistics, a = family.statistics, concentration
    natural = family.natural(_start(statistics, num_components, generator))
    log_weights = natural.new_zeros(num_components).log_softmax(-1)
    trace: list[float] = []
    while True:
        log_joint = log_weights + statistics @ natural.T  # [B, K]
        log_prior = a * (log_weights + natural @ family.prior).sum()
        trace.append(float(log_joint.logsumexp(-1).mean() + log_prior / len(statistics)))
        converged = len(trace) > 1 and trace[-1] - trace[-2] < tolerance
        if converged or len(trace) > max_steps:
            return Found(log_weights, natural, log_weights.new_tensor(trace), converged)
        responsibilities = log_joint.softmax(-1)
        counts = (responsibilities.sum(0) + a).clamp_min(_SMALLEST)
        log_weights = counts.log() - counts.sum().log()
        natural = family.natural(responsibilities.T @ statistics + a * family.prior)


class _Bernoulli:
    """log p(x|k) = Σ_p x_p l_kp − softplus(l_kp)."""

    def __init__(self, x: Tensor, likelihood: Any) -> None:
        self.statistics = torch.cat([torch.ones_like(x[:, :1]), x], -1)
        sums = self.statistics.sum(0)
        self.prior = (sums + 1) / (sums[0] + 2)  # of the data and a one and a zero
        self.prior[0] = 1

    def natural(self, sums: Tensor) -> Tensor:
        ones = sums[:, 1:].clamp_min(_SMALLEST)
        zeros = (sums[:, :1] - sums[:, 1:]).clamp_min(_SMALLEST)
        logits = ones.log() - zeros.log()
        return torch.cat([-functional.softplus(logits).sum(-1, keepdim=True), logits], -1)

    def write(self, natural: Tensor, table: Tensor) -> None:
        table.copy_(natural[:, 1:])


class _Categorical:
    """log p(x|k) = Σ_p Σ_l 1[x_p = l] log θ_kpl, for L levels."""

    def __init__(self, x: Tensor, likelihood: Any) -> None:
        self.levels = likelihood.levels
        one_hot = functional.one_hot(x.long(), self.levels).flatten(1).to(x)
        self.statistics = torch.cat([torch.ones_like(x[:, :1]), one_hot], -1)
        sums = self.statistics.sum(0)
        self.prior = (sums + 1) / (sums[0] + self.levels)  # of the data and one of each level
        self.prior[0] = 1

    def natural(self, sums: Tensor) -> Tensor:
        counts = sums[:, 1:].clamp_min(_SMALLEST).unflatten(-1, (-1, self.levels))
        log_shares = counts.log() - counts.sum(-1, keepdim=True).log()
        return torch.cat([torch.zeros_like(sums[:, :1]), log_shares.flatten(1)], -1)

    def write(self, natural: Tensor, table: Tensor) -> None:
        table.copy_(natural[:, 1:])


class _NormalFixed:
    """log p(x|k) = Σ_p m_kp x_p / σ_kp² − x_p² / 2σ_kp² − m_kp² / 2σ_kp² − ½ log 2πσ_kp², x less the mean of all."""

    def __init__(self, x: Tensor, likelihood: Any) -> None:
        self.likelihood, self.offset = likelihood, x.mean(0)
        centred = x - self.offset  # so that E x² − (E x)² keeps its digits
        self.statistics = torch.cat([torch.ones_like(x[:, :1]), centred, centred.square()], -1)
        self.prior = self.statistics.mean(0)

    def natural(self, sums: Tensor) -> Tensor:
        count, first, second = _parts(sums)
        count = count.clamp_min(_SMALLEST)
        mean = first / count
        sigma = self.sigma((second - mean * first).clamp_min(0), count).expand_as(mean)
        log_normaliser = ((mean / sigma).square() + (2 * math.pi * sigma.square()).log()).sum(-1, keepdim=True) / 2
        return torch.cat([-log_normaliser, mean / sigma.square(), -0.5 / sigma.square()], -1)

    def sigma(self, squares: Tensor, count: Tensor) -> Tensor:
        """σ from the sums of squares about the means `[K, P]` and the counts `[K, 1]`."""
        return self.likelihood.sigma.double()

    def write(self, natural: Tensor, table: Tensor) -> None:
        table.copy_(self.mean_sigma(natural)[0])

    def mean_sigma(self, natural: Tensor) -> tuple[Tensor, Tensor]:
        """m and σ, `[K, P]` each, in the units of x."""
        _, slope, curvature = _parts(natural)
        return self.offset - slope / (2 * curvature), (-0.5 / curvature).sqrt()


class _NormalLearned(_NormalFixed):
    """One σ for all: its square is the mean square about the means."""

    def __init__(self, x: Tensor, likelihood: Any) -> None:
        super().__init__(x, likelihood)
        self.lowest = likelihood.floor + 1e-6 * x.var(0, correction=0).mean().sqrt()  # σ stays above the floor
        if not self.lowest > 0:
            raise ValueError("x: got data that are all the same, so that σ = 0; give data that vary, or floor=1e-3")

    def sigma(self, squares: Tensor, count: Tensor) -> Tensor:
        return (squares.sum() / (count.sum() * squares.shape[-1])).sqrt().clamp_min(self.lowest)

    def write(self, natural: Tensor, table: Tensor) -> None:
        mean, sigma = self.mean_sigma(natural)
        table.copy_(mean)
        self.likelihood.log_above_floor.copy_((sigma[0, 0] - self.likelihood.floor).log())


class _NormalHeteroscedastic(_NormalLearned):
    """A σ for each component and value."""

    def sigma(self, squares: Tensor, count: Tensor) -> Tensor:
        return (squares / count).sqrt().clamp_min(self.lowest)

    def write(self, natural: Tensor, table: Tensor) -> None:
        mean, sigma = self.mean_sigma(natural)
        std = sigma - self.likelihood.floor
        table.copy_(torch.cat([mean, std + (-torch.expm1(-std)).log()], -1))  # softplus of that is std


FAMILIES: dict[str, Callable[[Tensor, Any], Family]] = {
    "bernoulli": _Bernoulli,
    "categorical": _Categorical,
    "normal-fixed": _NormalFixed,
    "normal-learned": _NormalLearned,
    "normal-heteroscedastic": _NormalHeteroscedastic,
}
"""Likelihoods whose components have a maximum in closed form; the others are for `fit`."""


def _parts(of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The columns that belong to 1, x and x²."""
    width = of.shape[-1] // 2
    return of[:, :1], of[:, 1 : 1 + width], of[:, 1 + width :]


def _start(statistics: Tensor, num_components: int, generator: torch.Generator) -> Tensor:
    """Sums of statistics to begin at, `[K, M]`: of each component half a datum of its own, half one of all.

    The data are far from each other: each is drawn with probability in proportion to its squared distance from the
    nearest of those before it (k-means++, Arthur & Vassilvitskii 2007).
    """
    chosen = [torch.randint(len(statistics), (), generator=generator, device=statistics.device)]
    distance = torch.full_like(statistics[:, 0], torch.inf)
    while len(chosen) < num_components:
        distance = distance.minimum((statistics - statistics[chosen[-1]]).square().sum(-1))
        odds = distance if bool(distance.any()) else torch.ones_like(distance)  # as many as there are different data
        chosen.append(torch.multinomial(odds, 1, generator=generator).squeeze())
    return (statistics[torch.stack(chosen)] + statistics.mean(0)) / 2
