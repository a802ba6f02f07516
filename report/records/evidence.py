"""log p(x) of each datum from below and exactly: a flat record a datum."""

from typing import Any

from elbowroom.inference import Comparison, Estimate
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo


def evidence_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """`comparison.evidence_rows()` with `exact_flag`, the reason not to trust quadrature."""
    records = comparison.evidence_rows()
    if "quadrature" not in comparison.evidence:
        return records
    flags = comparison.evidence["quadrature"].flags
    return [record | {"exact_flag": flag} for record, flag in zip(records, flags, strict=True)]


def evidence_row(
    sampled: Estimate[ImportanceInfo], exact: Estimate[QuadratureInfo] | None, b: int, datum: int
) -> dict[str, Any]:
    """The record of a datum as in `Comparison.evidence_rows`, without a comparison."""
    record: dict[str, Any] = {
        "datum": datum,
        "elbo": sampled.info["elbo"][b].item(),
        "elbo_stderr": sampled.info["elbo_stderr"][b].item(),
        "importance": sampled.value[b].item(),
        "importance_stderr": sampled.stderr[b].item(),
        "pareto_k": sampled.info["pareto_k"][b].item(),
        "flag": sampled.flags[b],
        "unnormalised": sampled.unnormalised[b],
    }
    if exact is None:
        room = record["importance"] - record["elbo"]
        return record | {
            "kl_q_p": room,
            "kl_q_p_stderr": (record["importance_stderr"] ** 2 + record["elbo_stderr"] ** 2) ** 0.5,
        }
    error = exact.stderr[b].item()
    record |= {"exact": exact.value[b].item(), "exact_error": error, "exact_flag": exact.flags[b]}
    if "kl_q_p" not in exact.info:  # no latents, or all of them summed out
        room = record["exact"] - record["elbo"]
        return record | {"num_modes": None, "kl_q_p": room, "kl_q_p_stderr": record["elbo_stderr"]}
    return record | {
        "num_modes": int(exact.info["num_modes"][b]),
        "kl_q_p": exact.info["kl_q_p"][b].item(),
        "kl_q_p_stderr": error,
        "kl_p_q": exact.info["kl_p_q"][b].item(),
        "kl_p_q_stderr": error,
    }
