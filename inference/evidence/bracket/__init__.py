"""Between which two values does log p(x) lie? The estimators combined within a budget, datum by datum.

    lower_b ≤ log p(x_b) ≤ upper_b in expectation;    settled: no flag, and a 95 % interval within `tolerance`

Each datum begins with importance sampling; a lattice follows for up to two latents, and for more a proposal of each
datum that is weighed from both sides: a mixture from a search, or beyond sixteen a fitted Gaussian. Then come chains
that begin in modes found from guide and prior, a proposal fitted to them and weighed from both sides, a bridge as third
opinion, and annealing both ways. What is settled costs nothing more; the rest gets four times the effort in each round.
Values are chosen by a fixed order of trust; one that a lower bound contradicts is passed over.

    bracket.py     the call: stages on the data that still need them, while the budget lasts
    stages.py      what each stage runs
    work.py        what every stage needs
    proposals.py   what is weighed before any chain
    weighed_stage.py
                   … the stages that weigh it
    population.py  the mixture that is fitted to weighed draws of guide and prior
    refined.py     the Gaussian that is fitted to each datum
    recording.py   what they evaluate: run, recorded for several blocks of data, compiled for many
    particles.py   what particles from the prior say that a proposal misses
    accounted.py   … and whether the chains have been there
    sizes.py       how large each step is, and how it grows
    pace.py        how much of a step there is room for, learned from the steps that have run
    forecast.py    what a step will cost before one has run, from a few timed evaluations or from counts
    ledger.py      every method's answer for every datum, kept in a state file
    choice.py      which answer to believe, where methods contradict each other, what is settled
    result.py      Bracket: lower, upper, flags, notes, and its table

Read choice.py first, then stages.py. Imports: the other rooms of evidence, families, mcmc, evaluation, saving, target,
programs, estimate.
"""

from elbowroom.inference.evidence.bracket.bracket import bracket
from elbowroom.inference.evidence.bracket.result import Bracket
from elbowroom.inference.saving.state_file import StateError

__all__ = ["Bracket", "StateError", "bracket"]
