"""How much room, where from, what next, and may q be used? All wings in one call, within a budget.

Every datum gets importance sampling (and, for up to two latents, a bracket). Those with the largest room, then a
random sample for as long as the budget lasts, get chains, a bracket, agreement and a decomposition. Results become
numbers with 95 % intervals, and sentences rest on numbers: verdict → numbers → examination → result.

    audit.py          the call: parts in order, each kept in the state directory as soon as it is there
    work.py           runs the parts, and keeps them
    brackets.py       log p(x) of all data, before and after the examination
    examination.py    chains, agreement and decomposition, block by block
    block_sizes.py    how many data a block of it takes
    contradictions.py room that is smaller than what the modes that q misses must take
    costs.py          what the parts cost, and how much of each there is room for
    known.py          ELBO, log p(x) and room of every datum for which they are known
    parts.py          what was gathered, and which examined data speak for all
    numbers.py        every quantity that a sentence may rest on
    wiring_numbers.py … and those that tell whether programs, weights and data belong together
    intervals.py      their 95 % intervals
    verdict/          the sentences
    result.py         Audit, Brief, Number, Finding, Portrait, Chains
    about.py          what was audited: names, distributions, digests of the data
    table.py          examined data as text
    number_names.py   the names that they can have
    criteria.py       conditions such as `gap > 5`, for continuous integration
    store.py          results on disk, by the names of their classes
    joined_blocks.py  results of disjoint data made one

Read result.py first, then audit.py. Imports: gap, diagnostics, evidence, families, mcmc, evaluation, saving, target,
programs, weights, estimate; no wing imports audit.
"""

from elbowroom.inference.audit.audit import audit, audit_target
from elbowroom.inference.audit.criteria import check_condition, failed, terms
from elbowroom.inference.audit.result import Audit, Brief, Chains, Finding, Headline, Number, Portrait

__all__ = [
    "Audit",
    "Brief",
    "Chains",
    "Finding",
    "Headline",
    "Number",
    "Portrait",
    "audit",
    "audit_target",
    "check_condition",
    "failed",
    "terms",
]
