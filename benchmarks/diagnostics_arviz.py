"""Convergence diagnostics of a thousand data at once beside ArviZ's, one datum after another: processor time a datum.

Draws [4 chains, 500 draws, data, 2 latents], a part of which repeat, as rejected proposals do. Bar: a third of ArviZ's.
"""

import warnings

import torch

from benchmarks.clock import steady
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.inference.mcmc.convergence import convergence

BAR, FEW = 1 / 3, 20


def by_arviz(z: torch.Tensor) -> None:
    """R-hat, effective sizes and Monte Carlo errors of each scalar."""
    import arviz as az

    for scalar in z.flatten(2).numpy().transpose(2, 0, 1):
        az.rhat(scalar), az.ess(scalar, method="bulk"), az.ess(scalar, method="tail"), az.ess(scalar, method="mean")
        az.ess(scalar, method="sd"), az.mcse(scalar, method="mean"), az.mcse(scalar, method="sd")


def main() -> None:
    """Print milliseconds a datum and the ratio."""
    made = parser(__doc__, threads=1)
    made.add_argument("--num-data", type=int, default=1000)
    options = parsed(made, quick={"num_data": 100})
    torch.manual_seed(0)
    z = torch.randn(4, 500, options.num_data, 2, dtype=torch.float64)
    z[:, 1::3] = z[:, ::3][:, : z[:, 1::3].shape[1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_arviz(z[:, :, :1])  # imports
        there = z.to(options.device)
        begin = steady(options.device)
        convergence(there, torch.zeros(z.shape[:3], dtype=torch.bool, device=options.device))
        ours = (steady(options.device) - begin) / options.num_data
        begin = steady()
        by_arviz(z[:, :, :FEW])
        theirs = (steady() - begin) / FEW
    rows = [
        ("at once, ms a datum", f"{1e3 * ours:.2f}"),
        ("ArviZ, ms a datum (on the processor)", f"{1e3 * theirs:.2f}"),
        ("ratio", f"{ours / theirs:.2f}"),
    ]
    report("diagnostics_arviz", f"Convergence diagnostics beside ArviZ's (bar: {BAR:.2f})", rows, options)


if __name__ == "__main__":
    main()
