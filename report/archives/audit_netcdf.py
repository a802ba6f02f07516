"""An audit as an xarray DataTree and a netCDF file that ArviZ and plain xarray read."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.audit import Audit, Portrait
from elbowroom.inference.saving.json_values import json_able
from elbowroom.report.archives.audit_json import SCHEMA
from elbowroom.report.archives.datatree import datatree, write_tree
from elbowroom.report.records.audit_variables import audit_groups
from elbowroom.report.records.draws_groups import draws_group
from elbowroom.report.records.groups import Group, Variable, observed_data, words
from elbowroom.report.records.latent_sites import Site


@checked
def audit_datatree(audit: Audit) -> xr.DataTree:
    """One Dataset for each group of `audit_record` (its docstring lists them), and four more.

    Dimensions: `datum` (all B data; NaN, or an empty string, where a part did not look at one), `latent`, `rung`,
    `use`, `level`, `quantity`, `simulation`, `check`, `term`. Units and a line on each variable are its attributes.

    More groups:
        verdict: `sentence`, `topic`, `tone`, `rests_on` (names of numbers, one a line) by `finding`, and the
            quantities `value`, `low`, `high`, `unit`, `about` by `number`.
        guide, posterior: `z`, draws of the portrayed data, by `chain` (one), `draw`, `datum` (their indices), `latent`.
        observed_data: `x`, if the audit holds the data.

    Attributes of the root hold the rest of the record, `about` as JSON.
    """
    groups = audit_groups(audit) | {"verdict": _verdict(audit)}
    if audit.portrait is not None:
        groups["guide"] = _draws(audit.portrait, audit.portrait.guide)
        if audit.portrait.posterior is not None:
            groups["posterior"] = _draws(audit.portrait, audit.portrait.posterior)
    if audit.x is not None:
        groups["observed_data"] = observed_data(audit.x, range(audit.num_data))
    root: dict[str, Any] = {"title": "Where the room comes from, and whether q can be trusted"}
    root |= {"num_data": audit.num_data, "verdict": str(audit.verdict)}
    root |= {f"provenance_{key}": value for key, value in audit.provenance.items()}
    root |= {"about": json.dumps(json_able(audit.about)), "announced": "\n".join(audit.announced)}
    root |= {f"seconds_{part}": seconds for part, seconds in audit.cost.items()}
    root |= {f"skipped_{part.replace(' ', '_')}": why for part, why in audit.skipped.items()}
    return datatree(groups, root, {"schema": SCHEMA})


@checked
def save_audit_netcdf(audit: Audit, path: str | Path) -> Path:
    """Write `audit_datatree` to a netCDF file (HDF5, compressed), whole or not at all, and return its path.

    Read it with `arviz.from_netcdf(path)`, `xarray.open_datatree(path)`, or `xarray.open_dataset(path, group=…)`.
    """
    return write_tree(audit_datatree(audit), path)


def _verdict(audit: Audit) -> Group:
    findings, numbers = audit.findings, audit.numbers.values()
    by_finding: dict[str, list[str]] = {
        "sentence": [finding.sentence for finding in findings],
        "topic": [finding.topic for finding in findings],
        "tone": [finding.tone for finding in findings],
        "rests_on": ["\n".join(finding.numbers) for finding in findings],
        "data": [" ".join(map(str, finding.data)) for finding in findings],
    }
    variables = {name: Variable(("finding",), words(values)) for name, values in by_finding.items()}
    for name in ("value", "low", "high"):
        variables[name] = Variable(("number",), np.array([float(getattr(number, name)) for number in numbers]))
    for name in ("unit", "about"):
        variables[name] = Variable(("number",), words([getattr(number, name) for number in numbers]))
    return Group(variables, {"number": list(audit.numbers), "finding": range(len(findings))})


def _draws(portrait: Portrait, draws: Tensor) -> Group:
    """Draws `[S, P, N]` as one chain of the variable `z`, of all latents side by side under their names."""
    side_by_side = Site("z", tuple(draws.shape[2:]), ("latent",), "z")
    group = draws_group({"z": draws.unsqueeze(0)}, [side_by_side], portrait.data)
    return replace(group, coords=group.coords | {"latent": list(portrait.latents)})
