"""VI against MCMC against the exact posterior, as text."""

import math
from collections.abc import Mapping
from typing import Any

from elbowroom.entrances import checked
from elbowroom.inference import Comparison
from elbowroom.report.records.evidence import evidence_rows
from elbowroom.report.records.marginals import label, marginal_rows
from elbowroom.report.records.number_format import SIGMAS, compact, in_standard_errors, significant, with_error
from elbowroom.report.records.sentences import summary
from elbowroom.report.tables.evidence import evidence_parts
from elbowroom.report.tables.render import Part, Sheet, note, render, warning

_DECIMALS = 4  # of the latents: a fraction of the prior's unit scale is enough


@checked
def comparison_table(comparison: Comparison, *, width: int | None = None, color: bool | None = None) -> str:
    """Everything of a comparison: evidence, the identity, marginals by each method, costs, and what not to trust.

    Args:
        comparison: from `compare`.
        width: columns; by default those of the terminal, or what the tables need where there is none.
        color: ANSI codes; by default in a terminal only.
    """
    parts = [
        *(note(line, style="") for line in summary(comparison)),
        note(""),
        *evidence_parts(evidence_rows(comparison)),
        note(""),
        *_identity_parts(comparison),
        *_marginal_parts(comparison),
        note(""),
        *_cost_parts(comparison),
    ]
    return render(parts, width=width, color=color)


def _identity_parts(comparison: Comparison) -> list[Part]:
    """log p̂(x) = ELBO + KL(q‖p), side by side, and the difference in standard errors."""
    both = comparison.identity
    if both is None:
        return [
            note("log p(x) = ELBO + KL(q‖p) is not checked: KL needs the exact posterior (up to 3 latents)."),
            note(""),
        ]
    sheet = Sheet(
        "log p(x) = ELBO + KL(q‖p), its parts computed independently, nats",
        [
            ("datum", "right"), ("log\u00a0p̂(x)", "right"), ("=", "center"), ("ELBO", "right"), ("+", "center"),
            ("KL(q‖p)", "right"), ("difference", "right"), ("in\u00a0s.e.", "right"), ("", "left"),
        ],
    )  # fmt: skip
    exact = comparison.evidence["quadrature"]
    error = (both.stderr**2 + exact.stderr**2).sqrt()
    sigmas = in_standard_errors(both.residual, both.stderr, exact.stderr)
    flags = comparison.evidence["importance"].flags
    for b, datum in enumerate(comparison.data):
        distance = sigmas[b].item()
        holds = abs(distance) <= SIGMAS
        verdict = "holds" if holds else "log p̂ is flagged" if flags[b] else "DOES NOT HOLD"
        if math.isnan(distance):  # a guide whose density at a point is unknown
            verdict = "unknown"
        sheet.add(
            str(datum),
            with_error(both.log_p[b].item(), both.log_p_stderr[b].item()),
            "=",
            with_error(both.elbo[b].item(), both.elbo_stderr[b].item()),
            "+",
            compact(both.kl[b].item(), exact.stderr[b].item(), max_decimals=_DECIMALS),
            with_error(both.residual[b].item(), error[b].item()),
            "–" if math.isnan(distance) else f"{distance:+.1f}",
            verdict,
            style="" if holds else "red",
        )
    legend = "log p̂: importance sampling. ELBO: Monte Carlo with other noise. KL: quadrature. "
    legend += f"Holds: within {SIGMAS:.0f} s.e."
    return [sheet, note(legend), note("")]


def _marginal_parts(comparison: Comparison) -> list[Part]:
    reference = label(comparison.reference) if comparison.reference else None
    columns = [("datum", "right"), ("latent", "left"), ("method", "left"), ("mean", "right"), ("sd", "right")]
    columns += [(f"{p}\u00a0%", "right") for p in (5, 50, 95)]
    if reference:
        columns += [("W₁", "right"), ("noise", "right")]
    sheet = Sheet("Posterior of each latent", columns)
    group: tuple[int, str] | None = None
    for row in marginal_rows(comparison):
        new = (row["datum"], row["latent"]) != group
        if new and group is not None and group[0] != row["datum"]:
            sheet.add_line()
        group = row["datum"], row["latent"]
        _add_marginal(sheet, row, new, reference is not None)
    legend = "0.118(4) is 0.118 ± 0.004, a Monte Carlo standard error; no brackets: below the last digit shown."
    if reference:
        legend += (
            f" W₁: mean distance between quantiles of this method and of the reference ({reference}), in units of the "
            "latent; noise: the W₁ that as many independent draws of the reference would show."
        )
    else:
        legend += " No reference: more than 3 latents, and MCMC did not run or did not pass its gates."
    return [sheet, note(legend), *_flags(comparison)]


def _add_marginal(sheet: Sheet, row: Mapping[str, Any], new: bool, reference: bool) -> None:
    cells = [
        str(row["datum"]) if new else "",
        row["latent"] if new else "",
        label(row["method"]) + (" !" if row["flag"] else ""),
        with_error(row["mean"], row["mean_stderr"], max_decimals=_DECIMALS),
        *(compact(row[key], row[f"{key}_stderr"], max_decimals=_DECIMALS) for key in ("sd", "q05", "q50", "q95")),
    ]
    if reference:
        cells += ["" if row[key] is None else significant(row[key]) for key in ("wasserstein", "wasserstein_floor")]
    sheet.add(*cells, style="red" if row["flag"] else "")


def _flags(comparison: Comparison) -> list[Part]:
    return [
        warning(f"! datum {datum}, {label(method)}: {flag}")
        for b, datum in enumerate(comparison.data)
        for method, posterior in comparison.posteriors.items()
        if (flag := posterior.flags[b])
    ]


def _cost_parts(comparison: Comparison) -> list[Part]:
    sheet = Sheet(
        f"What it took for {_count(len(comparison.data))}",
        [
            ("method", "left"),
            ("seconds", "right"),
            ("evaluations of log p(x, z) a datum", "right"),
            ("worst ESS", "right"),
        ],
    )
    for row in comparison.costs():
        gradients = " gradients" if row["method"] in ("nuts", "hmc") else ""
        ess = (
            "exact" if row["ess"] == float("inf") else f"{row['ess']:,.0f}" if row["ess"] >= 10 else f"{row['ess']:.1f}"
        )
        evaluations = f"{row['evaluations_per_datum']:,.0f}{gradients}"
        sheet.add(label(row["method"]), significant(row["seconds"]), evaluations, ess)
    legend = (
        "Wall-clock seconds for all of them, warm-up included. ESS: independent draws that the marginals are worth."
    )
    return [sheet, note(legend)]


def _count(number: int) -> str:
    return "1 datum" if number == 1 else f"{number} data"
