"""A comparison as an xarray DataTree and a netCDF file that ArviZ and plain xarray read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Comparison
from elbowroom.report.archives.datatree import datatree, write_tree
from elbowroom.report.records.comparison_groups import comparison_groups
from elbowroom.report.records.groups import observed_data


@checked
def to_datatree(
    comparison: Comparison, *, observed: Tensor | None = None, attrs: Mapping[str, Any] | None = None
) -> xr.DataTree:
    """One Dataset for each group, with the dimensions and coordinates that an ArviZ user expects.

    `datum` has the data's indices in the target as coordinate; `latent` numbers the latents of a model with one vector
    site, and names them (`z[0]`, `w`) otherwise. Draws keep their sites as variables: of dimensions
    `(chain, draw, datum, latent)` for one vector site, else `(chain, draw, datum, <site>_dim_0, …)`.

    Groups:
        posterior, sample_stats, convergence: the MCMC draws, their statistics (ArviZ's names) and diagnostics, with
            ArviZ's attributes (`sampling_time` in seconds); absent if MCMC did not run.
        guide: draws of q, as one chain.
        exact: `mean`, `sd`, `covariance`, `mode`, `quantile`, number of modes and lattice points; absent without
            quadrature.
        marginals: `mean`, `sd`, `quantile`, each with its `…_stderr`, `wasserstein`, `wasserstein_noise`, `ess`,
            `evaluations`, `seconds`, `flag` by `estimator`.
        log_evidence: `elbo`, `importance`, `exact`, `kl_q_p`, `kl_p_q` with `…_stderr`, in nats, what they bound in the
            attribute `bound`; `pareto_k`, `flag` (of `importance`), `exact_flag`, and the identity's
            `identity_residual` = log p̂ − (ELBO + KL).
        observed_data: `x`, if given.

    Args:
        comparison: from `compare`.
        observed: the data compared, `[B, ...]`.
        attrs: more attributes for every group, for example the run they belong to; strings or numbers.

    Raises:
        ValueError: if `observed` has not one row for each datum.
    """
    groups = comparison_groups(comparison)
    if observed is not None:
        groups["observed_data"] = observed_data(observed, comparison.data)
    return datatree(groups, {"title": "VI against MCMC against the exact posterior"}, attrs or {})


@checked
def save_netcdf(
    comparison: Comparison, path: str | Path, *, observed: Tensor | None = None, attrs: Mapping[str, Any] | None = None
) -> Path:
    """Write `to_datatree` to a netCDF file (HDF5, compressed), whole or not at all, and return its path.

    Read it with `arviz.from_netcdf(path)`, `xarray.open_datatree(path)`, or `xarray.open_dataset(path, group=…)`.
    """
    return write_tree(to_datatree(comparison, observed=observed, attrs=attrs), path)
