"""A tree of xarray Datasets as a netCDF file."""

from pathlib import Path

import xarray as xr

from elbowroom.inference.saving.durable import replacing


def write_tree(tree: xr.DataTree, path: str | Path) -> Path:
    """Write a tree to a netCDF file (HDF5, numbers compressed), whole or not at all, and return its path."""
    encoding = {
        node.path: {name: {"zlib": True, "complevel": 4} for name, v in node.data_vars.items() if _packed(v)}
        for node in tree.subtree
    }
    with replacing(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
    return Path(path)


def _packed(variable: xr.DataArray) -> bool:
    return variable.dtype.kind in "biuf" and variable.ndim > 0 and variable.size > 0
