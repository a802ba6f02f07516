"""Does q agree with the posterior of each datum, and which uses of it survive?

Draws of q are held against posterior draws (or the lattice): with μ, σ of the posterior and m, s of q,

    (m − μ)/σ,   log(s/σ),   correlations,   P(outside q's intervals),   P(missed modes),   KL(q ‖ p), KL(p ‖ q),

each with the error of both sides. A use fails only beyond a limit by more than two standard errors.

    agreement.py      the call
    result.py         Agreement
    sides.py          draws of q and of the posterior in memory, with the densities at them
    errors.py         moments, correlations, tail mass
    divergences.py    both KL divergences
    missed.py         posterior mass of modes that q misses
    ascent.py         uphill, and the valley between two points
    classifier.py     can draws of q be told from draws of the posterior?
    uses.py           Limits, and which of four uses are within them

Read uses.py first, then agreement.py. Imports: diagnostics/marginals, evidence, mcmc, evaluation, target, weights,
estimate.
"""

from elbowroom.inference.diagnostics.agreement.agreement import agreement
from elbowroom.inference.diagnostics.agreement.result import Agreement
from elbowroom.inference.diagnostics.agreement.uses import Limits

__all__ = ["Agreement", "Limits", "agreement"]
