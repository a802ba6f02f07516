"""Paths of densities from a tractable start to the posterior: AIS, its reverse, tempered SMC."""

from elbowroom.inference.evidence.annealing.ais import anneal
from elbowroom.inference.evidence.annealing.reverse import Bidirectional, anneal_reverse, bidirectional
from elbowroom.inference.evidence.annealing.smc import smc

__all__ = ["Bidirectional", "anneal", "anneal_reverse", "bidirectional", "smc"]
