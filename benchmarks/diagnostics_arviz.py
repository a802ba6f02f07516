"""Convergence diagnostics of a thousand data at once beside ArviZ's, one datum after another: processor time a datum.

Draws [4 chains, 500 draws, data, 2 latents], a part of which repeat, as rejected proposals do. Bar: a third of ArviZ's.
"""

import time
import warnings

import torch

from benchmarks.results import report
from elbowroom.inference.mcmc.convergence import convergence

BAR, NUM_DATA, FEW = 1 / 3, 1000, 20


def by_arviz(z: torch.Tensor) -> None:
    """R-hat, effective sizes and Monte Carlo errors of each scalar."""
    import arviz as az

    for scalar in z.flatten(2).numpy().transpose(2, 0, 1):
        az.rhat(scalar), az.ess(scalar, method="bulk"), az.ess(scalar, method="tail"), az.ess(scalar, method="mean")
        az.ess(scalar, method="sd"), az.mcse(scalar, method="mean"), az.mcse(scalar, method="sd")


def main() -> None:
    """Print milliseconds a datum and the ratio."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    z = torch.randn(4, 500, NUM_DATA, 2, dtype=torch.float64)
    z[:, 1::3] = z[:, ::3][:, : z[:, 1::3].shape[1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_arviz(z[:, :, :1])  # imports
        begin = time.process_time()
        convergence(z, torch.zeros(z.shape[:3], dtype=torch.bool))
        ours = (time.process_time() - begin) / NUM_DATA
        begin = time.process_time()
        by_arviz(z[:, :, :FEW])
        theirs = (time.process_time() - begin) / FEW
    rows = [
        ("at once, ms a datum", f"{1e3 * ours:.2f}"),
        ("ArviZ, ms a datum", f"{1e3 * theirs:.2f}"),
        ("ratio", f"{ours / theirs:.2f}"),
    ]
    report("diagnostics_arviz", f"Convergence diagnostics beside ArviZ's (bar: {BAR:.2f})", rows)


if __name__ == "__main__":
    main()
