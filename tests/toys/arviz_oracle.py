"""ArviZ, the oracle of our diagnostics and the reader of our files: 0.23 and 1.x behind the same calls."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import torch
from torch import Tensor

from elbowroom.inference import weights

OLD = az.__version__.startswith("0.")
"""Whether this is ArviZ 0.23, whose objects are `InferenceData`; those of 1.x are `xarray.DataTree`s."""

EARLY = not OLD and tuple(map(int, az.__version__.split(".")[:2])) < (1, 3)
"""Whether this is ArviZ 1.0 to 1.2: `sd` divides by S, not S − 1, and the error of an sd goes by the effective size of
the draws, not of their squares."""

PLOTS = ("plot_trace", "plot_forest", "plot_posterior" if OLD else "plot_dist")
"""Three plots of draws; what 0.23 called `plot_posterior` is `plot_dist` in 1.x."""

SHORTEST_TAIL = 5 if OLD else 6
"""The fewest weights that ArviZ fits a tail to."""

TAIL = (0.05, 0.95)
"""The quantiles of the tail's effective sample size: 0.23 always takes these, 1.x those at its `stats.ci_prob`."""


# Diagnostics of chains `[C, T]` ---------------------------------------------------------------------------------------


def rhat(chains: np.ndarray) -> float:
    return float(az.rhat(chains, method="rank"))


def ess(chains: np.ndarray, method: str) -> float:
    how: dict[str, Any] = {} if OLD or method != "tail" else {"prob": TAIL}
    return float(az.ess(chains, method=method, **how))


def mcse(chains: np.ndarray, method: str) -> float:
    error = float(az.mcse(chains, method=method))
    if method != "sd" or not EARLY:
        return error
    return error * (ess(chains, "mean") / ess((chains - chains.mean()) ** 2, "mean")) ** 0.5


def bfmi(energy: np.ndarray) -> np.ndarray:
    """Of each chain."""
    return np.asarray(az.bfmi(energy))


def pareto_k(log_w: Tensor) -> Tensor:
    """k̂ of weights `[S, B]`, `[B]`; not finite where ArviZ has none: 1.x has none for a tail of `SHORTEST_TAIL` − 1.

    1.x's `psislw` negates its input, calls ⌊·⌋ weights the tail where Vehtari et al. (2024) say ⌈·⌉, and counts those
    tied with the threshold too: it is given here how many weights are above the threshold.
    """
    rows = log_w.T.double().numpy().copy()
    with np.errstate(all="ignore"):
        if OLD:
            return torch.from_numpy(np.atleast_1d(az.psislw(rows)[1]))
        return torch.tensor([_new_pareto_k(row) for row in rows], dtype=torch.float64)


def _new_pareto_k(row: np.ndarray) -> float:
    from arviz_stats.base import array_stats

    length = int((row > np.sort(row)[-weights.tail_length(len(row)) - 1]).sum())
    if length < 5:
        return np.inf
    try:
        return float(array_stats._ps_tail(row, len(row), length, tail="right", log_weights=True)[1])
    except ValueError:  # all of the tail is one value
        return np.nan


DIAGNOSTICS = {"r_hat": "rhat", "ess_bulk": "ess_bulk", "ess_tail": "ess_tail", "mcse_mean": "mcse_mean"}
"""Column of `summary` -> what `Convergence` calls it."""
if not EARLY:
    DIAGNOSTICS["mcse_sd"] = "mcse_sd"


# Objects and files ----------------------------------------------------------------------------------------------------


def read(path: Path) -> Any:
    """What `arviz.from_netcdf` makes of a file."""
    return az.from_netcdf(path)


def groups(data: Any) -> set[str]:
    return set(data.groups()) if OLD else set(data.children)


def group(data: Any, name: str) -> Any:
    """A group as a Dataset."""
    return data[name] if OLD else data[name].to_dataset()


def summary(data: Any, **how: Any) -> Any:
    """`arviz.summary` without rounding. In `ess_tail` 1.x looks at the 5 % and 95 % quantiles as 0.23 does."""
    with quietly(), contextlib.nullcontext() if OLD else az.rc_context({"stats.ci_prob": TAIL[1]}):
        return az.summary(data, round_to="none", **how)


def drawn(plot: str, data: Any, **how: Any) -> int:
    """Draw a plot and close it; how many axes it had."""
    import matplotlib.pyplot as plt

    with quietly():
        getattr(az, plot)(data, **how)
    axes = sum(len(plt.figure(number).axes) for number in plt.get_fignums())
    plt.close("all")
    return axes


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """ArviZ 0.23 uses what matplotlib 3.11 deprecates, and logs that an array has NaN."""
    logger = logging.getLogger("arviz")
    before = logger.disabled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        try:
            yield
        finally:
            logger.disabled = before
