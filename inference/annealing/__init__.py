"""Paths of densities from a tractable start to the posterior: AIS, its reverse, tempered SMC."""

from elbowroom.inference.annealing.ais import anneal
from elbowroom.inference.annealing.reverse import Bidirectional, anneal_reverse, bidirectional
from elbowroom.inference.annealing.smc import smc

__all__ = ["Bidirectional", "anneal", "anneal_reverse", "bidirectional", "smc"]
