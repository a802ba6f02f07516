"""Would these networks like the data better if they were turned over, scaled, or of another order?

    ELBO of data T(x)  against  ELBO of data x,    T read by both networks, by the encoder or by the decoder alone

An encoder that reads T(x) is another q of the same data: the bounds are of one log p(x), whatever T is. What the
decoder is to explain may be T(x) where T keeps volumes (a permutation of entries, 1 − x). Of other scales, and values
with a mean and noise, the share of variance is compared that reconstructions leave.

    changes.py      the registry of T, each for data that it is made for
    better_read.py  the comparison, and the one that is best by far

Read better_read.py first. Imports: latent_use, target, programs.
"""

from elbowroom.inference.diagnostics.changed_data.better_read import BetterRead, better_read
from elbowroom.inference.diagnostics.changed_data.changes import CHANGES, Change

__all__ = ["CHANGES", "BetterRead", "Change", "better_read"]
