"""A comparison as one JSON file."""

import json
from pathlib import Path
from typing import Any

from elbowroom.entrances import checked
from elbowroom.entrances.visible import visible
from elbowroom.inference import Comparison
from elbowroom.inference.saving.durable import replace_text
from elbowroom.inference.saving.json_values import json_able
from elbowroom.report.records.evidence import evidence_rows
from elbowroom.report.records.marginals import marginal_rows
from elbowroom.report.records.sentences import summary
from elbowroom.report.records.versions import versions

SCHEMA = "elbowroom/comparison/1"


@checked
def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """The record that `save_json` writes, as a dict; numbers that are not finite are None.

    Keys:
        schema: `"elbowroom/comparison/1"`.
        versions: library -> version.
        units: quantity -> unit.
        data, latents, reference: as in `Comparison`.
        summary: sentences.
        posteriors: one record for each datum, latent and method: `mean`, `sd`, `q05`, `q50`, `q95`, each with its
            `…_stderr`; `wasserstein` to the reference and `wasserstein_floor` (null for the reference); `flag`.
        evidence: one record for each datum: `elbo`, `importance`, `kl_q_p`, `kl_p_q` with `…_stderr`; `pareto_k`;
            `flag`; `unnormalised` (why log p(x) is no log-likelihood, or empty); with quadrature also `exact`,
            `exact_error`, `exact_flag`, `num_modes`, `identity_residual` = log p̂ − (ELBO + KL) and `identity_stderr`.
        costs: one record for each method: `seconds` for all data, `evaluations_per_datum`, `ess` (the worst datum's;
            null: exact).
        mcmc: `num_chains`, `num_draws`, `num_warmup`, `seed`, and for each datum `rhat` and `ess` (the worst
            latent's), `divergences` and `flag`; null without MCMC.
    """
    record = {
        "schema": SCHEMA,
        "versions": versions(),
        "units": {"evidence": "nats", "wasserstein": "units of the latent", "seconds": "s"},
        "data": comparison.data,
        "latents": comparison.latents,
        "reference": comparison.reference,
        "posteriors": marginal_rows(comparison),
        "evidence": evidence_rows(comparison),
        "costs": comparison.costs(),
        "summary": summary(comparison),
        "mcmc": _mcmc(comparison),
    }
    return {key: json_able(value) for key, value in record.items()}


@checked
def save_json(comparison: Comparison, path: str | Path) -> Path:
    """Write `comparison_record` to a file, whole or not at all, and return its path."""
    text = visible(json.dumps(comparison_record(comparison), indent=1, allow_nan=False, ensure_ascii=False)) + "\n"
    return replace_text(path, text)


def _mcmc(comparison: Comparison) -> dict[str, Any] | None:
    draws = comparison.draws
    if draws is None:
        return None
    convergence = draws.convergence
    ess = convergence.ess_bulk.minimum(convergence.ess_tail).amin(1)
    worst = zip(convergence.rhat.amax(1).tolist(), ess.tolist(), convergence.divergences, strict=True)
    data = [
        {"datum": d, "rhat": rhat, "ess": size, "divergences": int(divergent), "flag": flag}
        for d, (rhat, size, divergent), flag in zip(comparison.data, worst, convergence.flags, strict=True)
    ]
    sizes = {"num_chains": draws.flat.shape[0], "num_draws": draws.flat.shape[1]}
    return {**sizes, "num_warmup": draws.info.get("num_warmup"), "seed": draws.info.get("seed"), "data": data}
