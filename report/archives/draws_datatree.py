"""Markov chains as an xarray DataTree in ArviZ's groups."""

from collections.abc import Mapping, Sequence

import xarray as xr
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Draws, Estimate
from elbowroom.report.archives.datatree import datatree
from elbowroom.report.records.draws_groups import mcmc_groups
from elbowroom.report.records.estimate_groups import estimates_group
from elbowroom.report.records.groups import observed_data


@checked
def draws_datatree(
    draws: Draws,
    *,
    estimates: Mapping[str, Estimate] | None = None,
    data: Sequence[int] | None = None,
    observed: Tensor | None = None,
) -> xr.DataTree:
    """One Dataset for each group: see `Draws.to_arviz`, whose arguments, groups and errors these are.

    Write it with `tree.to_netcdf(path, engine="h5netcdf")`.
    """
    chosen = range(len(draws)) if data is None else list(data)
    if len(chosen) != len(draws):
        raise ValueError(f"data has {len(chosen)} indices, expected {len(draws)}: one for each datum of the draws")
    groups = mcmc_groups(draws, chosen)
    if estimates:
        groups["log_evidence"] = estimates_group(estimates, chosen)
    if observed is not None:
        groups["observed_data"] = observed_data(observed, chosen)
    return datatree(groups, {"title": f"Posterior draws of {len(draws)} data"}, {})
