"""Markov chain Monte Carlo on [chains, data]: every datum at once, as one tensor program."""

from elbowroom.inference.mcmc.hmc import hmc

__all__ = ["hmc"]
