"""Groups of named arrays as an xarray DataTree, and a tree as a netCDF file."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from elbowroom.entrances.visible import visible
from elbowroom.inference.saving.durable import replace_file, replacing
from elbowroom.report.records.groups import Group, Variable
from elbowroom.report.records.versions import versions


def datatree(groups: Mapping[str, Group], root: Mapping[str, Any], common: Mapping[str, Any]) -> xr.DataTree:
    """A Dataset for each group.

    Args:
        groups: by name.
        root: attributes of the root.
        common: attributes of the root and of every group, beside `creation_library` and the versions of the libraries.
    """
    made_by = {f"{name}_version": version for name, version in versions().items()}
    everywhere = {"creation_library": "elbowroom"} | made_by | dict(common)
    nodes = {"/": xr.Dataset(attrs=_attributes(everywhere | dict(root)))}
    nodes |= {name: _dataset(group, everywhere) for name, group in groups.items()}
    return xr.DataTree.from_dict(nodes)


def write_tree(tree: xr.DataTree, path: str | Path) -> Path:
    """Write a tree to a netCDF file (HDF5, numbers compressed), whole or not at all, and return its path."""
    encoding = {
        node.path: {name: {"zlib": True, "complevel": 4} for name, v in node.data_vars.items() if _packed(v)}
        for node in tree.subtree
    }
    content = io.BytesIO()  # HDF5 itself ends with traces on a full disk
    try:
        tree.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    except (TypeError, ValueError):  # an xarray that writes trees to paths only
        with replacing(path) as temporary:
            tree.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
    else:
        replace_file(Path(path), content.getvalue())
    return Path(path)


def _dataset(group: Group, everywhere: Mapping[str, Any]) -> xr.Dataset:
    variables = {visible(name): (v.dims, _written(v.values), _said_of(v)) for name, v in group.variables.items()}
    coords = {dim: _labels(labels) for dim, labels in group.coords.items()}
    return xr.Dataset(variables, coords, _attributes({**everywhere, **group.attrs}))


def _written(values: np.ndarray) -> np.ndarray:
    """Strings of one width (an xarray of before 2025.9 cannot write objects where pandas is 3), none with a NUL."""
    if values.dtype.kind not in "OU":
        return values
    return np.array([visible(str(value)) for value in values.flat], dtype=str).reshape(values.shape)


def _said_of(variable: Variable) -> dict[str, str]:
    said = {"units": variable.unit, "long_name": variable.about, "bound": variable.bound}
    return {name: visible(text) for name, text in said.items() if text}


def _labels(labels: Sequence[Any]) -> np.ndarray:
    """Numbers or strings; of none, strings."""
    return _written(np.array(labels)) if len(labels) else np.array(labels, dtype=str)


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """What HDF5 takes as attributes."""
    return {visible(name): _attribute(value) for name, value in values.items()}


def _attribute(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float | np.number) else visible(str(value))


def _packed(variable: xr.DataArray) -> bool:
    return variable.dtype.kind in "biuf" and variable.ndim > 0 and variable.size > 0
