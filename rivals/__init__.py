"""Which model of p(x) is better where? A VAE, a mixture, and those without latents, on the same data in one table.

    log p(x) = log ∫ p(x|z) p(z) dz    or    log f(x) − log Z    and what each knows of it, at what price

    rival.py            what a row is asked: Rival, Fitted, Sides, Digits
    with_latents.py     mixtures by EM, VAEs and a hierarchy by `fit`; log p(x) as a sum, a lattice, or from both sides
    without_latents.py  the densities of elbowroom.densities by name
    registry.py         RIVALS: a line for each row
    pictures.py         how rough draws are, and how far from what was trained on
    row.py              Row: a rival measured
    table.py            compare_rivals, and its result RivalsTable

Read rival.py first. Imports: models, guides, densities, datasets, inference; report only by what draws for the caller.
Everything is in nats per datum; intervals are of the mean over data drawn anew.
"""

from elbowroom.rivals.registry import RIVALS
from elbowroom.rivals.rival import Digits, Fitted, Rival, Sides, digits
from elbowroom.rivals.row import Row
from elbowroom.rivals.table import RivalsTable, compare_rivals

__all__ = [
    "RIVALS",
    "Digits",
    "Fitted",
    "Rival",
    "RivalsTable",
    "Row",
    "Sides",
    "compare_rivals",
    "digits",
]
