"""What is assumed of z before any data are seen? Priors p(z), one a file.

A prior is two functions of constants that the model keeps as buffers (so they follow `model.to(...)` and stay where
checkpoints expect them): its distribution, batch shape `[]` and event shape `[D]`, and draws from it that leave the
global random state alone.

    standard_normal.py   N(0, I)

`LatentModel.prior` returns the distribution. Imports: torch and pyro.
"""

from elbowroom.models.priors.standard_normal import draw_standard_normal, standard_normal

__all__ = ["draw_standard_normal", "standard_normal"]
