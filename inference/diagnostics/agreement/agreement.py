"""Hold q against the posterior, datum by datum, and say for what it may be used."""

import time
from typing import Any

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.diagnostics.agreement.classifier import two_sample
from elbowroom.inference.diagnostics.agreement.divergences import exactly, forward, reverse
from elbowroom.inference.diagnostics.agreement.errors import moment_errors, of_draws, of_guide, of_quadrature, tail_mass
from elbowroom.inference.diagnostics.agreement.missed import missed_mass, mode_distance
from elbowroom.inference.diagnostics.agreement.result import Agreement
from elbowroom.inference.diagnostics.agreement.sides import Sides, effective, pieces, sorted_quantiles
from elbowroom.inference.diagnostics.agreement.uses import Limits, Measured, judge
from elbowroom.inference.diagnostics.marginals import GRID_LEVELS, Posterior, wasserstein, wasserstein_floor
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import check_fits
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evidence.importance.importance import ImportanceInfo, collect
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.target import Target

CLOSE = 0.15
"""Draws that failed their gates are believed beside quadrature if means and log sds are this near to the truth."""

Columns = dict[str, Tensor]
"""Fields of the result by name; the first dim of each is the data."""


@checked
@asked_again
def agreement(
    target: Target,
    draws: Draws,
    *,
    num_samples: int = 2000,
    exact: Estimate[QuadratureInfo] | None = None,
    log_p: Estimate | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    memory_bytes: int | None = None,
) -> Agreement:
    """Compare draws of the guide with a reference posterior, for every datum at once.

    Moments, correlations and both divergences are held against quadrature where it is given, else against MCMC; tail
    mass, missed modes and the classifier always use MCMC draws. Errors of both sides are counted. All numbers of a
    datum are functions of (seed, datum, its posterior draws).

    Args:
        target: programs and data.
        draws: posterior draws of the same data, from `hmc` or `nuts`.
        num_samples: S draws of the guide.
        exact: the result of `quadrature(target, …)`; with `quantiles=GRID_LEVELS.tolist()` the Wasserstein distance is
            held against it, too.
        log_p: a better estimate of log p(x) than importance sampling from the guide, for the divergences.
        limits: from where on an error matters.
        seed: of the guide's draws.
        memory_bytes: byte budget (default 256 MiB).

    Raises:
        ValueError: if draws, `exact` or `log_p` are of other data, or `num_samples` is below 50.
    """
    target.check_proper()
    target = target.collapsed()
    _check(target, draws, num_samples, exact, log_p)
    begin, limits = time.perf_counter(), limits or Limits()
    parts: list[Columns] = []
    reductions = []
    for sides in pieces(target, draws, num_samples, seed, memory_bytes):
        reductions.append(sides.weights)
        sampled = collect([sides.weights], num_samples)
        best = _of_data(exact or log_p or sampled, sides.index)
        parts.append(_columns(sides, draws, best.value.double().cpu(), exact))
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    sampled = collect(reductions, num_samples)
    close = columns.pop("draws_close") > 0
    ratio, ratio_stderr = columns.pop("ratio"), columns.pop("ratio_stderr")
    best = exact or log_p or sampled
    reverse_kl = exactly(exact, "kl_q_p") if exact is not None else reverse(best, sampled)
    forward_kl = exactly(exact, "kl_p_q") if exact is not None else forward(best, ratio, ratio_stderr, draws.flags)
    uses, why_not = judge(_measured(target, columns, sampled, exact or log_p), limits)
    return Agreement(
        reference="quadrature" if exact is not None else "hmc" if draws.info["method"] == "hmc" else "nuts",
        latents=tuple(target.latent_names),
        **columns,
        kl_q_p=reverse_kl.flagged(target.cautions),
        kl_p_q=forward_kl.flagged(target.cautions),
        pareto_k=sampled.info["pareto_k"],
        ess_share=sampled.info["ess"] / num_samples,
        uses=uses,
        why_not=why_not,
        flags=_flags(draws, exact, close.tolist()),
        seconds=time.perf_counter() - begin,
    )


def _columns(sides: Sides, draws: Draws, log_p: Tensor, exact: Estimate[QuadratureInfo] | None) -> Columns:
    """All that is computed for a piece of the data."""
    index, convergence = sides.index, draws.convergence
    of_q, by_chains = of_guide(sides.q, sides.varying), of_draws(sides.p, convergence, index, sides.varying)
    truth = by_chains if exact is None else of_quadrature(exact.info, index, sides.varying)
    ess = convergence.ess_bulk[index].nan_to_num(1.0).clamp_min(1.0)  # [B, N]
    least_ess = ess.amin(1)
    mass, far = (tail_mass(sides, central, ess) for central in (0.9, 0.99))
    missed, accuracy = missed_mass(sides, log_p, least_ess), two_sample(sides, least_ess)
    lp = draws.stats["lp"][:, :, index].double().cpu()
    ess_of_ratio = torch.minimum(effective(sides.log_ratio), least_ess)
    return {
        **moment_errors(of_q, truth),
        **_named("tail_mass", mass),
        **_named("far_tail_mass", far),
        **_named("missed_mass", missed),
        **_named("c2st", accuracy),
        **_named("ratio", (sides.log_ratio.mean((0, 1)), (sides.log_ratio.flatten(0, 1).var(0) / ess_of_ratio).sqrt())),
        **_distances(sides, exact, truth.sd, least_ess),
        "mode_distance": mode_distance(sides, lp, truth.sd),
        "draws_close": _close(by_chains.mean, by_chains.sd, truth.mean, truth.sd).double(),
    }


def _distances(sides: Sides, exact: Estimate[QuadratureInfo] | None, sd: Tensor, ess: Tensor) -> Columns:
    """W₁ of each marginal and what noise alone would show, in posterior sds; `ess` of the posterior's draws, `[B]`."""
    size = float(len(sides.q))
    guide = _marginals("guide", sides.q_sorted, torch.full_like(ess, size))
    if exact is not None and tuple(exact.info["levels"]) == tuple(GRID_LEVELS.tolist()):
        ess = torch.full_like(ess, torch.inf)
        grid = exact.info["quantiles"][:, sides.index]
        reference = Posterior(**{**guide.__dict__, "method": "quadrature", "grid": grid, "ess": ess})
    else:
        reference = _marginals("draws", sides.p.flatten(0, 1).sort(0).values, ess)
    return {
        "wasserstein": wasserstein(guide, reference) / sd,
        "wasserstein_floor": wasserstein_floor(reference, 1 / (1 / ess + 1 / size)) / sd,
    }


def _marginals(method: str, ordered: Tensor, ess: Tensor) -> Posterior:
    """The marginals of draws sorted along their first dim, `[S, B, N]`."""
    num_data, sd = ordered.shape[1], ordered.std(0)
    return Posterior(
        method=method,
        mean=ordered.mean(0),
        sd=sd,
        mean_stderr=sd / ess.unsqueeze(1).sqrt(),
        grid=sorted_quantiles(ordered, GRID_LEVELS),
        ess=ess,
        seconds=0.0,
        evaluations=torch.zeros(num_data, dtype=torch.long),
        flags=("",) * num_data,
    )


def _measured(target: Target, columns: Columns, sampled: Estimate[ImportanceInfo], better: Estimate | None) -> Measured:
    """What the uses are judged by; `better` is an estimate of log p(x) to hold importance sampling against."""
    off, stderr = torch.full_like(sampled.value, torch.nan), torch.zeros_like(sampled.value)
    if better is not None:
        off = sampled.value - better.value.double().cpu()
        # Below an upper bound, or above a lower one, is where log p(x) may be.
        off = off.clamp_max(0) if better.bound == "lower" else off.clamp_min(0) if better.bound == "upper" else off
        stderr = (sampled.stderr.square() + better.stderr.double().cpu().square()).sqrt()
    wanted = ("mean_error", "tail_mass", "far_tail_mass", "missed_mass")
    fields: dict[str, Any] = {name: columns[name] for name in wanted}
    fields |= {f"{name}_stderr": columns[f"{name}_stderr"] for name in wanted}
    return Measured(
        latents=tuple(target.latent_names),
        **fields,
        pareto_k=sampled.info["pareto_k"],
        heavy_tail=sampled.info["heavy_tail"],
        log_p_stderr=sampled.stderr,
        log_p_off=off,
        log_p_off_stderr=stderr,
        cautions=target.cautions,
    )


def _close(mean: Tensor, sd: Tensor, true_mean: Tensor, true_sd: Tensor) -> Tensor:
    """Whether means and log sds of every latent are within `CLOSE` of the true ones, `[B]`."""
    near = ((mean - true_mean).abs() <= CLOSE * true_sd) & ((sd / true_sd).log().abs() <= CLOSE)
    return near.all(1)


def _flags(draws: Draws, exact: Estimate[QuadratureInfo] | None, close: list[bool]) -> tuple[str, ...]:
    """Draws alone must have passed their gates; beside quadrature it will do that they agree with it."""
    if exact is None:
        return draws.flags
    reason = "the draws behind tail mass, missed mass and classifier are off quadrature: "
    return tuple(
        exact_flag or (reason + flag if flag and not near else "")
        for exact_flag, flag, near in zip(exact.flags, draws.flags, close, strict=True)
    )


def _named(name: str, pair: tuple[Tensor, Tensor]) -> Columns:
    return {name: pair[0], f"{name}_stderr": pair[1]}


def _of_data(estimate: Estimate, index: slice) -> Estimate:
    """The estimate of some of the data; one of just these is left alone."""
    if len(estimate) == index.stop - index.start:
        return estimate
    return Estimate(estimate.value[index], estimate.stderr[index], estimate.bound)


def _check(
    target: Target, draws: Draws, num_samples: int, exact: Estimate[QuadratureInfo] | None, log_p: Estimate | None
) -> None:
    if num_samples < 50:
        raise ValueError(f"num_samples must be at least 50, got {num_samples}: q's intervals are read off its draws")
    check_fits(target, num_samples=num_samples)
    check_same_data(target, draws=draws, exact=exact, log_p=log_p)
    if exact is not None and "covariance" not in exact.info:
        raise ValueError(
            "exact must be the result of quadrature(target, ...), which holds the posterior's moments; its info has "
            f"{sorted(exact.info)}. Pass other estimates of log p(x) as log_p="
        )
