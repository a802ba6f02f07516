"""The vector distributions that no other test file has: parameters, data of theirs, and SciPy's log density."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from elbowroom.models.likelihoods.beta import BetaVector
from elbowroom.models.likelihoods.binomial import BinomialVector
from elbowroom.models.likelihoods.categorical import CategoricalVector
from elbowroom.models.likelihoods.continuous_bernoulli import ContinuousBernoulliVector
from elbowroom.models.likelihoods.discretised_logistic import DiscretisedLogisticVector
from elbowroom.models.likelihoods.multinomial import MultinomialVector
from elbowroom.models.likelihoods.negative_binomial import NegativeBinomialVector
from elbowroom.models.likelihoods.poisson import PoissonVector
from elbowroom.models.likelihoods.vector import Vector
from elbowroom.models.likelihoods.zero_inflated import ZeroInflatedNegativeBinomialVector

TRIALS, LEVELS = 4, 5


class Case(NamedTuple):
    """One distribution.

    Attributes:
        make: from its parameters, `[*batch, P]` each, to the distribution.
        num_parameters: how many they are, any real numbers each.
        largest: the largest value; infinite for counts; 1 where the values are real.
        reference: log p of each entry by SciPy, from the data and the parameters as arrays.
        own: dims of the parameters behind P.
    """

    make: Callable[..., Vector]
    num_parameters: int
    largest: float
    reference: Callable[..., Any]
    own: tuple[int, ...] = ()

    def parameters(self, *shape: int) -> list[Tensor]:
        return [torch.randn(*shape, *self.own) for _ in range(self.num_parameters)]

    def data(self, *shape: int) -> Tensor:
        if self.largest == 1:
            return 0.01 + 0.98 * torch.rand(shape)
        largest = int(min(self.largest, 6))
        x = torch.randint(0, largest + 1, shape).to(torch.get_default_dtype())
        x.view(-1)[0], x.view(-1)[-1] = 0, largest  # both ends are always there
        return x

    @property
    def is_density(self) -> bool:
        return self.largest == 1


def _nb(x: Any, log_mean: Any, log_theta: Any) -> Any:
    theta = np.exp(log_theta)
    return stats.nbinom.logpmf(x, theta, 1 / (1 + np.exp(log_mean - log_theta)))


def _zinb(x: Any, log_mean: Any, gate: Any, log_theta: Any) -> Any:
    inside = _nb(x, log_mean, log_theta) + special.log_expit(-gate)
    return np.where(x == 0, np.logaddexp(special.log_expit(gate), inside), inside)


def _categorical(x: Any, logits: Any) -> Any:
    index = (np.asarray(x)[..., None] == np.arange(LEVELS)).argmax(-1)
    return np.vectorize(lambda k, *log_p: log_p[k])(index, *np.moveaxis(special.log_softmax(logits, -1), -1, 0))


def _discretised_logistic(x: Any, mean: Any, log_scale: Any) -> Any:
    """Level k is [2k − K, 2k + 2 − K] / (K − 1), and the outermost reach to infinity."""
    scale = np.exp(log_scale)
    lower = np.where(x == 0, -np.inf, (2 * x - LEVELS) / (LEVELS - 1))
    upper = np.where(x == LEVELS - 1, np.inf, (2 * x + 2 - LEVELS) / (LEVELS - 1))
    logistic = stats.logistic(mean, scale)
    below = _log_difference(logistic.logcdf(upper), logistic.logcdf(lower))
    above = _log_difference(logistic.logsf(lower), logistic.logsf(upper))
    return np.where(lower > mean, above, below)


def _log_difference(log_a: Any, log_b: Any) -> Any:
    return log_a + np.log(-np.expm1(np.minimum(log_b - log_a, -1e-300)))


def _continuous_bernoulli(x: Any, logits: Any) -> Any:
    """exp(l x) on [0, 1] is an exponential distribution cut off at 1; of l > 0 the mirror image."""
    rate = np.abs(logits)
    return stats.truncexpon.logpdf(np.where(logits > 0, 1 - x, x), b=rate, scale=1 / rate)


CASES: dict[str, Case] = {
    "binomial": Case(
        lambda logits: BinomialVector(logits, TRIALS),
        1,
        TRIALS,
        lambda x, logits: stats.binom.logpmf(x, TRIALS, special.expit(logits)),
    ),
    "categorical": Case(CategoricalVector, 1, LEVELS - 1, _categorical, own=(LEVELS,)),
    "discretised-logistic": Case(
        lambda mean, log_scale: DiscretisedLogisticVector(mean, log_scale, LEVELS),
        2,
        LEVELS - 1,
        _discretised_logistic,
    ),
    "poisson": Case(PoissonVector, 1, np.inf, lambda x, log_rate: stats.poisson.logpmf(x, np.exp(log_rate))),
    "negative-binomial": Case(NegativeBinomialVector, 2, np.inf, _nb),
    "zero-inflated": Case(ZeroInflatedNegativeBinomialVector, 3, np.inf, _zinb),
    "beta": Case(BetaVector, 2, 1, lambda x, a, b: stats.beta.logpdf(x, np.exp(a), np.exp(b))),
    "continuous-bernoulli": Case(ContinuousBernoulliVector, 1, 1, _continuous_bernoulli),
}
"""All whose entries are independent: `MULTINOMIAL` is not."""

MULTINOMIAL = Case(
    MultinomialVector,
    1,
    np.inf,
    lambda x, logits: stats.multinomial.logpmf(x, x.sum(-1), special.softmax(logits, -1)),
)
