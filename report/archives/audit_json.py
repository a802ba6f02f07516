"""An audit as one JSON file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from elbowroom.entrances import checked
from elbowroom.entrances.visible import visible
from elbowroom.inference.audit import Audit
from elbowroom.inference.saving.durable import replace_text
from elbowroom.inference.saving.json_values import json_able
from elbowroom.report.records.audit_variables import audit_groups
from elbowroom.report.records.groups import Group
from elbowroom.report.records.versions import versions

SCHEMA = "elbowroom/audit/1"
INTERVAL = 0.95
"""The probability of every interval `low` … `high`."""


@checked
def audit_record(audit: Audit) -> dict[str, Any]:
    """The record that `save_audit_json` writes, as a dict; numbers that are not finite are None. Nats per datum.

    The netCDF file holds the same, and besides it the draws and the data themselves.

    Keys:
        schema: `"elbowroom/audit/1"`.
        versions: library -> version. provenance: what the audit says of itself. cost: part -> seconds.
        about: what was audited: `data`, `model`, `guide`, and of a command the weights -> name -> what it is, such as
            the likelihood, or the digest of a file. announced: what was done to the data and nobody asked for.
        num_data: B. interval: the probability of every interval, 0.95.
        verdict: the sentences in order: `topic`, `tone`, `sentence`, `numbers` (keys of the next), `data` (indices).
        brief: the verdict at a glance: `sentence`, `tone`, `numbers` (ELBO, log p(x) and the room in words, each with
            `key`, `label`, `value`, `interval`, `kind`), `whose` the room is, `next_step`.
        numbers: name -> `value`, `low`, `high` (None: unbounded), `unit`, `about`, `kind` (what the interval is of:
            "Monte Carlo", or the choice of the data; empty where nothing is uncertain).
        rows: part -> indices of the data it looked at; `random`: those of them that are a random sample of all data
            (the others were chosen for being the worst), which means and shares are over.
        skipped: part -> why the programs or the budget did not allow it.
        groups: name -> `coords` (dimension -> labels), `attrs`, and `variables`: name -> `dims`, `unit`, `about`,
            `values` (nested lists in the order of `dims`). Over the dimension `datum` there is an entry for each of the
            B data: None or "" where the part did not look at one. Parts that did not run have no group.

    Groups and their variables (each `…_stderr` is the standard error of its namesake):
        importance: `importance`, `elbo`, each with `…_stderr`, `pareto_k`, `ess`, `flag`, over datum.
        log_evidence: `lower`, `lower_stderr`, `upper`, `upper_stderr`, `width`, `lower_method`, `upper_method`, `flag`,
            `note`, by `datum`. Both have `unnormalised` where a datum's log p(x) is no log-likelihood: why.
        decomposition: `examined`, `log_p`, `amortization`, `optimisation`, `approximation`, `room`, each with its
            `log_p_stderr`, `amortization_stderr`, `optimisation_stderr`, `approximation_stderr`, `room_stderr`;
            `exploded`, `evaluations`, `flag`, `note`, by `datum`; `ladder` (ELBO), `ladder_stderr`, `gain` (over
            the rung before), `gain_stderr`, by `datum` and `rung`.
        means: `value`, `stderr` (Monte Carlo), `over_data` (as a sample of data), `num_data` of the usable data that
            speak for all (`rows["random"]`); `with_all`, `num_all` with the data left out; by `term`: `log p(x)`,
            `room`, the terms, `ELBO, <rung>` and `gain, <rung>`.
        agreement: `examined`, `mean_error`, `mean_error_stderr`, `log_sd_ratio`, `log_sd_ratio_stderr`, `tail_mass`,
            `tail_mass_stderr` (outside q's 90 % interval), `far_tail_mass`, `far_tail_mass_stderr` (99 %),
            `wasserstein`, `wasserstein_floor`, by `datum` and `latent`; `correlation_error`,
            `correlation_error_floor`, `mode_distance`, `missed_mass`, `missed_mass_stderr`, `c2st`, `c2st_stderr`,
            `pareto_k`, `ess_share`, `kl_q_p`, `kl_q_p_stderr`, `kl_p_q`, `kl_p_q_stderr`, `flag`, by `datum`;
            `fit_for` (1 or 0) and `why_not`, by `datum` and `use`.
        convergence: `examined`, `divergences`, `ebfmi` (absent if the sampler keeps no energies), `flag`, by `datum`;
            `rhat`, `ess_bulk`, `ess_tail`, `ess_moments`, `mcse_mean`, `mcse_sd`, by `datum` and `latent`.
        calibration: `ranks`, by `simulation` and `quantity`; `ecdf_difference`, by `level` and `quantity`; `band_low`,
            `band_high`, `coverage`, `coverage_low`, `coverage_high`, `tarp`, `tarp_low`, `tarp_high`, by `level`;
            `p_value`, `rejected`, `meaning`, by `check`.
        latent_use: `activity`, `activity_stderr`, `active`, `kl`, `kl_stderr`, `sensitivity`, `aggregate_mean`,
            `aggregate_sd`, `aggregate_distance`, by `latent`; one number each: `rate`, `rate_stderr`,
            `mutual_information`, `mutual_information_stderr`, `marginal_kl`, `marginal_kl_stderr`, `pruned`,
            `pruned_stderr`.
    """
    record = {
        "schema": SCHEMA,
        "versions": versions(),
        "provenance": audit.provenance,
        "about": audit.about,
        "announced": audit.announced,
        "num_data": audit.num_data,
        "interval": INTERVAL,
        "verdict": [asdict(finding) for finding in audit.findings],
        "brief": asdict(audit.brief),
        "numbers": {name: asdict(number) for name, number in audit.numbers.items()},
        "rows": audit.rows,
        "skipped": audit.skipped,
        "cost": audit.cost,
        "groups": {name: _group(group) for name, group in audit_groups(audit).items()},
    }
    return {key: json_able(value) for key, value in record.items()}


@checked
def save_audit_json(audit: Audit, path: str | Path) -> Path:
    """Write `audit_record` to a file, whole or not at all, and return its path."""
    text = visible(json.dumps(audit_record(audit), allow_nan=False, ensure_ascii=False)) + "\n"
    return replace_text(path, text)


def _group(group: Group) -> dict[str, Any]:
    variables = {
        name: {"dims": v.dims, "unit": v.unit, "about": v.about, "values": v.values.tolist()}
        for name, v in group.variables.items()
    }
    return {"coords": group.coords, "attrs": group.attrs, "variables": variables}
