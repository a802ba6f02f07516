"""What is assumed of z before any data are seen? Priors p(z), one a file.

A prior is two functions of constants that the model keeps as buffers (so they follow `model.to(...)` and stay where
checkpoints expect them): its distribution, batch shape `[]` and event shape `[D]`, and draws from it that leave the
global random state alone.

    standard_normal.py      N(0, I)
    conditional_normal.py   N(m(c), diag s(c)²), of a context c
    codes.py                of codes: each given the ones before it, or all alike
    given.py                somebody else's distribution; a mixture of posteriors (VampPrior)

`LatentModel.prior` returns the distribution. Imports: networks, torch and pyro.
"""

from elbowroom.models.priors.codes import CODE_PRIORS
from elbowroom.models.priors.conditional_normal import CONDITIONAL_PRIORS
from elbowroom.models.priors.given import PosteriorMixture, PriorProgram
from elbowroom.models.priors.standard_normal import draw_standard_normal, standard_normal

__all__ = [
    "CODE_PRIORS",
    "CONDITIONAL_PRIORS",
    "PosteriorMixture",
    "PriorProgram",
    "draw_standard_normal",
    "standard_normal",
]
