"""How are the data observed? p(x|z) from a decoder's outputs, one family a file.

    log p(x|z) = Σ_p log p(x_p | outputs_p(z)),    outputs `[*batch, P]`, log p `[*batch]` in nats

A file holds the distribution of a whole datum (`BernoulliVector`: event `[P]`, summed in few passes) and the
likelihoods that make it from what a decoder says. `LIKELIHOODS` names them; a new one is a class in a file of its
own, and one line here.

    likelihood.py   what all are; what a decoder may say to each (`outputs`)
    bernoulli.py    zeros and ones
    normal.py       real numbers, σ given, learned, or a function of z

Read bernoulli.py first. Imports: networks, torch, pyro's distributions.
"""

import inspect

from elbowroom.models.likelihoods.bernoulli import Bernoulli
from elbowroom.models.likelihoods.likelihood import Likelihood
from elbowroom.models.likelihoods.normal import NormalFixed, NormalHeteroscedastic, NormalLearned
from elbowroom.networks.checks import check_choice

__all__ = ["LIKELIHOODS", "Likelihood", "make_likelihood"]

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "normal-fixed": NormalFixed,
    "normal-learned": NormalLearned,
    "normal-heteroscedastic": NormalHeteroscedastic,
}


def make_likelihood(name: str, *, sigma: float | None = None, floor: float | None = None) -> Likelihood:
    """The likelihood called `name`, with those of the options that are not `None`.

    Raises:
        ValueError: if the name is unknown, an option has no meaning for it, or its value is out of range.
    """
    constructor = LIKELIHOODS[check_choice("likelihood", name, LIKELIHOODS)]
    options = {key: value for key, value in (("sigma", sigma), ("floor", floor)) if value is not None}
    accepted = inspect.signature(constructor).parameters
    for option in options:
        if option not in accepted:
            raise ValueError(f"{option}: got {options[option]}, but the likelihood {name!r} has no such option")
    return constructor(**options)
