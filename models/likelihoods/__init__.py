"""How are the data observed? p(x|z) from a decoder's outputs, one family a file.

    log p(x|z) = Σ_p log p(x_p | outputs_p(z)),    outputs `[*batch, P]`, log p `[*batch]` in nats

A file holds the distribution of a whole datum (`PoissonVector`: event `[P]`, summed in few passes) and the
likelihoods that make it from what a decoder says. `LIKELIHOODS` names them; a new one is a class in a file of its
own, and one line here.

    likelihood.py             what all are; what a decoder may say to each (`outputs`), what data it is for
    vector.py                 what their distributions share; the refusal of wrong values, with their rows

    bernoulli.py              zeros and ones
    normal.py                 real numbers, σ given, learned, or a function of z
    beta.py                   numbers in (0, 1)
    continuous_bernoulli.py   numbers in [0, 1]
    binomial.py               whole numbers 0 … n, one probability an entry
    categorical.py            levels 0 … K − 1, a probability each
    discretised_logistic.py   levels 0 … K − 1 in their order: a mean and a scale
    poisson.py                counts
    negative_binomial.py      counts that vary more
    zero_inflated.py          … some of whose zeros are of another kind
    multinomial.py            counts given their total: bags of words
    exposure.py               counts whose mean is a share of the datum's total
    gamma.py                  differences of log Γ that keep their digits

Read poisson.py first, with likelihood.py and vector.py. Imports: networks, torch, pyro's distributions.
"""

import inspect
from typing import Any

from elbowroom.entrances.said import said
from elbowroom.entrances.values import check_choice
from elbowroom.models.likelihoods.bernoulli import Bernoulli
from elbowroom.models.likelihoods.beta import Beta
from elbowroom.models.likelihoods.binomial import Binomial
from elbowroom.models.likelihoods.categorical import Categorical
from elbowroom.models.likelihoods.continuous_bernoulli import ContinuousBernoulli
from elbowroom.models.likelihoods.discretised_logistic import DiscretisedLogistic
from elbowroom.models.likelihoods.likelihood import Likelihood
from elbowroom.models.likelihoods.multinomial import Multinomial
from elbowroom.models.likelihoods.negative_binomial import NegativeBinomial
from elbowroom.models.likelihoods.normal import NormalFixed, NormalHeteroscedastic, NormalLearned
from elbowroom.models.likelihoods.poisson import Poisson
from elbowroom.models.likelihoods.zero_inflated import ZeroInflatedNegativeBinomial

__all__ = ["LIKELIHOODS", "Likelihood", "make_likelihood"]

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "normal-fixed": NormalFixed,
    "normal-learned": NormalLearned,
    "normal-heteroscedastic": NormalHeteroscedastic,
    "beta": Beta,
    "continuous-bernoulli": ContinuousBernoulli,
    "binomial": Binomial,
    "categorical": Categorical,
    "discretised-logistic": DiscretisedLogistic,
    "poisson": Poisson,
    "negative-binomial": NegativeBinomial,
    "zero-inflated-negative-binomial": ZeroInflatedNegativeBinomial,
    "multinomial": Multinomial,
}


def make_likelihood(name: str, *, data_dim: int | None = None, **options: Any) -> Likelihood:
    """The likelihood called `name`, with those of the options that are not `None`.

    Args:
        name: one of `LIKELIHOODS`.
        data_dim: P, for a likelihood that has a parameter for each entry (`NegativeBinomial`); others do without it.
        **options: arguments of its constructor.

    Raises:
        ValueError: if the name is unknown, an option has no meaning for it, or its value is out of range.
    """
    constructor = LIKELIHOODS[check_choice("likelihood", name, LIKELIHOODS)]
    accepted = inspect.signature(constructor).parameters
    given = {key: value for key, value in options.items() if value is not None}
    for option in given:
        if option not in accepted:
            defaults = ", ".join(f"{key} ({value.default!r})" for key, value in accepted.items()) or "none"
            raise ValueError(
                f"{option}: got {said(given[option])}, but the likelihood {name!r} has no such option (by its own name "
                f"or in likelihood_options); its options, with their defaults: {defaults}"
            )
    if "data_dim" in accepted:
        given.setdefault("data_dim", data_dim)
    return constructor(**given)
