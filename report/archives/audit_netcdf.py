"""An audit as an xarray DataTree and a netCDF file that ArviZ and plain xarray read."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from elbowroom.inference.audit import Audit, Portrait
from elbowroom.report.archives.audit_json import SCHEMA
from elbowroom.report.archives.netcdf import write_tree
from elbowroom.report.records.audit_fields import Group
from elbowroom.report.records.audit_variables import audit_groups
from elbowroom.report.records.versions import versions


def audit_datatree(audit: Audit) -> xr.DataTree:
    """One Dataset for each group of `audit_record` (its docstring lists them), and four more.

    Dimensions: `datum` (all B data; NaN, or an empty string, where a part did not look at one), `latent`, `rung`,
    `use`, `level`, `quantity`, `simulation`, `check`, `term`. Units and a line on each variable are its attributes.

    More groups:
        verdict: `sentence`, `topic`, `tone`, `rests_on` (names of numbers, one a line) by `finding`, and the
            quantities `value`, `low`, `high`, `unit`, `about` by `number`.
        guide, posterior: `z`, draws of the portrayed data, by `chain` (one), `draw`, `datum` (their indices), `latent`.
        observed_data: `x`, if the audit holds the data.
    """
    groups = {name: _dataset(group) for name, group in audit_groups(audit).items()}
    groups["verdict"] = _verdict(audit)
    if audit.portrait is not None:
        groups["guide"] = _draws(audit.portrait, audit.portrait.guide)
        if audit.portrait.posterior is not None:
            groups["posterior"] = _draws(audit.portrait, audit.portrait.posterior)
    if audit.x is not None:
        groups["observed_data"] = _observed(audit.x)
    common: dict[str, Any] = {"creation_library": "elbowroom", "schema": SCHEMA}
    common |= {f"{name}_version": version for name, version in versions().items()}
    attrs = {"title": "Where the room comes from, and whether q can be trusted", "num_data": audit.num_data}
    attrs |= {"verdict": audit.verdict}
    attrs |= {f"provenance_{key}": _attribute(value) for key, value in audit.provenance.items()}
    attrs |= {f"seconds_{part}": seconds for part, seconds in audit.cost.items()}
    attrs |= {f"skipped_{part.replace(' ', '_')}": why for part, why in audit.skipped.items()}
    root = xr.Dataset(attrs=common | attrs)
    named = {name: dataset.assign_attrs(common | dataset.attrs) for name, dataset in groups.items()}
    return xr.DataTree.from_dict({"/": root, **named})


def save_audit_netcdf(audit: Audit, path: str | Path) -> Path:
    """Write `audit_datatree` to a netCDF file (HDF5, compressed), whole or not at all, and return its path.

    Read it with `arviz.from_netcdf(path)`, `xarray.open_datatree(path)`, or `xarray.open_dataset(path, group=…)`.
    """
    return write_tree(audit_datatree(audit), path)


def _dataset(group: Group) -> xr.Dataset:
    variables = {
        name: (v.dims, v.values, {k: text for k, text in (("units", v.unit), ("long_name", v.about)) if text})
        for name, v in group.variables.items()
    }
    coords = {dim: _labels(labels) for dim, labels in group.coords.items()}
    return xr.Dataset(variables, coords, {name: _attribute(value) for name, value in group.attrs.items()})


def _verdict(audit: Audit) -> xr.Dataset:
    findings, numbers = audit.findings, audit.numbers.values()
    words = {
        "sentence": [finding.sentence for finding in findings],
        "topic": [finding.topic for finding in findings],
        "tone": [finding.tone for finding in findings],
        "rests_on": ["\n".join(finding.numbers) for finding in findings],
        "data": [" ".join(map(str, finding.data)) for finding in findings],
    }
    variables: dict[str, Any] = {name: ("finding", _labels(values)) for name, values in words.items()}
    for name in ("value", "low", "high"):
        variables[name] = ("number", np.array([float(getattr(number, name)) for number in numbers]))
    for name in ("unit", "about"):
        variables[name] = ("number", _labels([getattr(number, name) for number in numbers]))
    return xr.Dataset(variables, {"number": _labels(list(audit.numbers)), "finding": np.arange(len(findings))})


def _draws(portrait: Portrait, draws: Tensor) -> xr.Dataset:
    values = draws.detach().cpu().numpy()[None]  # [1, S, P, N]
    coords = {"chain": [0], "draw": np.arange(values.shape[1]), "datum": list(portrait.data)}
    return xr.Dataset(
        {"z": (("chain", "draw", "datum", "latent"), values)}, coords | {"latent": _labels(list(portrait.latents))}
    )


def _observed(x: Tensor) -> xr.Dataset:
    dims = ("datum", *(f"x_dim_{i}" for i in range(x.dim() - 1)))
    coords = {dim: np.arange(size) for dim, size in zip(dims, x.shape, strict=True)}
    return xr.Dataset({"x": (dims, x.detach().cpu().numpy())}, coords)


def _labels(labels: Any) -> np.ndarray:
    return np.array(labels, dtype=object) if not labels or isinstance(labels[0], str) else np.array(labels)


def _attribute(value: Any) -> Any:
    """What HDF5 takes as an attribute."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, str | int | float) else str(value)
