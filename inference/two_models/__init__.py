"""Which of two models is better on these data? log p(x) of both, from both sides, datum by datum.

    d_b = log p_a(x_b) − log p_b(x_b)    lies between    lower_a − upper_b    and    upper_a − lower_b

and so does its mean, whose interval holds three things: the data are a sample, each side is an estimate, and the sides
are apart. The ELBO may say the opposite: ELBO_a − ELBO_b = d − (room_a − room_b).

    versus.py      the call
    same_data.py   are these densities of the same data?
    plan.py        which data, and how the budget is shared between the models
    contender.py   one model: its ELBO and its bracket, for as many data as were asked for
    paired.py      Paired: a mean difference with its intervals, and what would make them shorter
    difference.py  the difference of log p(x) between what two brackets say
    compared.py    log p(x), ELBO and room of both, and which is better
    sentences.py   the same in words, and what would tell
    result.py      Versus: all of it, with its table and its record

Read paired.py first. Imports: evidence, saving, evaluation, target, programs, estimate, showing.
"""

from elbowroom.inference.two_models.paired import Paired
from elbowroom.inference.two_models.result import Versus
from elbowroom.inference.two_models.versus import versus

__all__ = ["Paired", "Versus", "versus"]
