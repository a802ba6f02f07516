"""Is the guide the posterior on average over data sets? Tests on simulated data, without fitting anything.

If z ~ p(z), x ~ p(x | z) and z_1 … z_L ~ q(z | x) with q the posterior, the true z is one more draw: its place among
them,

    u = (#{f(z_l) < f(z)} + V (1 + #{f(z_l) = f(z)})) / (L + 1),   V ~ U(0, 1),

is uniform for any function f(z, x). Around observed data, draws are weighted so that this stays exact.

    calibrate.py           the call
    result.py              Calibration, Check
    simulations.py         data from the prior, or around the observed data
    ranking.py             places u of each latent, of log p(x, z) and of log q(z | x)
    reference_points.py    from where TARP measures its distances
    uniformity.py          three exact tests of uniform numbers
    verdicts.py            from places to tests, each kind with its error of the level
    multiple_testing.py    many hypotheses at once: which are rejected
    explanations.py        what a deviation says of q, in words

Read ranking.py first, then calibrate.py. Imports: mcmc, evaluation, target, programs, weights, estimate.
"""

from elbowroom.inference.diagnostics.calibration.calibrate import calibrate
from elbowroom.inference.diagnostics.calibration.result import Calibration, Check

__all__ = ["Calibration", "Check", "calibrate"]
