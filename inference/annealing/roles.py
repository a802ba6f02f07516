"""Which chains are which: each role reads random numbers of its own, so none tunes itself on its own noise."""

from elbowroom.inference.noise import BLOCK

_APART = BLOCK << 32  # first chain of a role, a multiple of the noise's block

FORWARD, PILOT, REVERSE, PARTICLES = (role * _APART for role in range(1, 5))
"""Index of the first chain of each role. Chain 0 of the guide's draws belongs to importance sampling."""
