"""How far a statistic may stray before a test fails, for a stated chance of failing by accident."""

from scipy import stats

BUDGET = 1e-3
"""Chance that a statistical test of this folder would fail on a fresh seed although the code is right."""


def sigmas(num_comparisons: int = 1, budget: float = BUDGET) -> float:
    """Standard errors allowed to each of several two-sided normal comparisons (Bonferroni)."""
    return float(stats.norm.isf(budget / num_comparisons / 2))


def accidents(num_trials: int, chance: float, num_comparisons: int = 1, budget: float = BUDGET) -> int:
    """Accidents allowed among several independent trials, each with at most this chance of one (Bonferroni)."""
    return int(stats.binom.isf(budget / num_comparisons, num_trials, chance))
