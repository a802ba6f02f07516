"""Every bound on log p(x) that importance weights give, on one set of weights, datum by datum."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Bound, Estimate
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.compiled import check_compile
from elbowroom.inference.evidence.importance.bounds_result import Bounds, BoundsInfo, IwaeInfo
from elbowroom.inference.evidence.importance.harmonic import harmonic_of_draws, harmonic_of_weights
from elbowroom.inference.evidence.importance.importance import ImportanceInfo, check_counts, collect
from elbowroom.inference.evidence.importance.streaming import (
    Drawing,
    Reduction,
    Wanted,
    reduce_weights,
)
from elbowroom.inference.evidence.second_opinion import estimate_beside, opinion_of
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.progress import Tick, progress_bar
from elbowroom.inference.target import Target
from elbowroom.inference.weights import K_LIMIT
from elbowroom.inference.weights.jackknife import iwae_bias_delta
from elbowroom.inference.weights.power_means import PowerSums, check_alpha, check_order, power_mean, tangent
from elbowroom.inference.weights.ratio_bound import ratio_upper

PARTICLES = (1, 5, 50, 500)


@checked
@asked_again
def bounds(
    target: Target,
    *,
    num_samples: int = 5000,
    num_particles: Sequence[int] | None = None,
    alphas: Sequence[float] = (0.5, -1.0),
    orders: Sequence[float] = (1.0, 2.0),
    draws: Draws | None = None,
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: bool = False,
    search: bool | None = None,
    compile: bool | str = "auto",
) -> Bounds:
    """Lower and upper bounds on log p(x_b) from S draws of the guide, and S of the prior for comparison.

    All but `prior` (and `harmonic` where `draws` are given) are reductions of the same weights w = p(x, z) / q(z | x),
    which are streamed: memory stays within `memory_bytes` whatever S is, save for three times ΣK numbers a datum.

    Args:
        target: programs and data.
        num_samples: S.
        num_particles: K of the IWAE bounds, of their jackknife and, for 1 < K ≤ S/4, of the upper bounds `struski-K`
            from their gap; by default those of 1, 5, 50, 500 up to S.
        alphas: α of the Rényi bounds: lower for α ≥ 0; for α < 0 an estimate of an upper bound that is biased
            downwards.
        orders: n ≥ 1 of the χ bounds: `cubo-n`, the plug-in (n > 1), and `upper-n`, an upper bound in expectation.
        draws: posterior draws of these data for the harmonic mean; by default the weighted draws of the guide.
        seed: seed of the draws.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.
        search: look for modes that the guide misses, as `importance` does; what estimates log p(x), or bounds it from
            above, is flagged where these show more.
        compile: replay the model from a record, compiled or not, as `importance` does.

    Returns:
        Bounds, a mapping from name to Estimate. An `iwae-K` has in its `info` two estimates of its own bias:
        see `IwaeInfo`; `importance` and `prior` have an `ImportanceInfo`.

    Raises:
        ValueError: on a number out of range, a K outside 1 … S, α = 1 (the ELBO), an order below 1, draws of
            other data, another `compile`, or a budget too small.
    """
    target.check_proper()
    check_compile(compile)
    target = target.collapsed(needed=False)
    sizes = tuple(k for k in PARTICLES if k <= num_samples) if num_particles is None else tuple(num_particles)
    check_counts(num_samples, sizes)
    for alpha in alphas:
        check_alpha(alpha)
    for order in orders:
        check_order(order)
    check_same_data(target, draws=draws)
    powers = tuple(dict.fromkeys([*(1.0 - a for a in alphas), *map(float, orders)]))
    wanted = Wanted(sizes, jackknife=True, powers=powers, harmonic=draws is None)
    drawing = Drawing.of(target, num_samples, memory_bytes, compile, wanted)
    with progress_bar(2 * len(target) * num_samples, "bounds", "sample", progress) as tick:
        pieces = reduce_weights(target, drawing.plan, num_samples, seed, wanted, tick, drawing.from_guide)
        weighed = collect(pieces, num_samples, sizes)
        estimates = _lower(weighed, pieces, sizes)
        estimates |= {f"renyi-{a:g}": _renyi(_sums(pieces, 1.0 - a), a, weighed) for a in alphas}
        estimates |= {f"cubo-{n:g}": _cubo(_sums(pieces, n), n, weighed) for n in orders if n > 1}
        estimates |= {f"upper-{n:g}": _upper(_sums(pieces, n), n, weighed) for n in orders}
        estimates |= {f"struski-{k}": _struski(pieces, k, weighed) for k in sizes if 1 < k <= num_samples // 4}
        estimates |= {f"jackknife-{k}": _jackknife(pieces, k, weighed) for k in sizes if k > 1}
        if draws is None:
            estimates["harmonic"] = harmonic_of_weights(pieces, weighed)
        estimates = {name: estimate.flagged(target.cautions) for name, estimate in estimates.items()}
        estimates |= _searched(estimates, target, search, seed, memory_bytes)
        # What follows does not use log q.
        estimates["prior"] = _prior(target, num_samples, seed, drawing, tick)
    if draws is not None:
        estimates["harmonic"] = harmonic_of_draws(target, draws, drawing)
    estimates["harmonic"] = estimates.pop("harmonic")  # the last in the table
    estimates = {name: replace(e, unnormalised=target.unnormalised) for name, e in estimates.items()}
    return Bounds(estimates, _info(weighed, seed))


def _searched(
    estimates: dict[str, Estimate], target: Target, search: bool | None, seed: int, memory_bytes: int | None
) -> dict[str, Estimate]:
    """What claims to be as high as log p(x), flagged where a search from the prior shows more."""
    opinion = opinion_of(target, search, seed=seed, memory_bytes=memory_bytes)
    claims = ("importance", "upper-", "struski-", "jackknife-")
    high = {name: estimate for name, estimate in estimates.items() if name.startswith(claims)}
    return {} if opinion is None else {name: estimate_beside(estimate, opinion) for name, estimate in high.items()}


def _info(weighed: Estimate[ImportanceInfo], seed: int) -> BoundsInfo:
    info = weighed.info
    return {
        "ess": info["ess"],
        "pareto_k": info["pareto_k"],
        "pareto_k_stderr": info["pareto_k_stderr"],
        "pareto_k_long": info["pareto_k_long"],
        "heavy_tail": info["heavy_tail"],
        "min_ss": info["min_ss"],
        "convergence_rate": info["convergence_rate"],
        "max_weight": info["max_weight"],
        "constant_weights": info["constant_weights"],
        "num_samples": info["num_samples"],
        "relative_variance": _relative_variance(weighed),
        "num_evaluations": 2 * info["num_samples"],
        "seed": seed,
    }


def _lower(weighed: Estimate[ImportanceInfo], pieces: Sequence[Reduction], sizes: Sequence[int]) -> dict[str, Estimate]:
    """The ELBO, IWAE-K with its estimated bias, and the estimate from all S weights."""
    estimates = {"elbo": _lower_estimate(weighed.info["elbo"], weighed.info["elbo_stderr"], weighed)}
    relative_variance = _relative_variance(weighed)
    for k in sizes:
        value, stderr = weighed.info["iwae"][k], weighed.info["iwae_stderr"][k]
        if weighed.info["num_samples"] < 2 * k:  # one group: only the delta method knows an error
            stderr = (relative_variance / k).sqrt()
        info: IwaeInfo = {"bias_delta": iwae_bias_delta(relative_variance, k)}
        if k > 1:
            corrections = [c for piece in pieces if (c := piece.groups[k].correction) is not None]
            info["bias_jackknife"] = -torch.cat([c.mean for c in corrections]).cpu()
            info["bias_jackknife_stderr"] = torch.cat([c.stderr() for c in corrections]).cpu()
        estimates[f"iwae-{k}"] = _lower_estimate(value, stderr, weighed, info)
    return estimates | {"importance": weighed}


def _lower_estimate(value: Tensor, stderr: Tensor, weighed: Estimate, info: IwaeInfo | None = None) -> Estimate:
    empty = "a weight is zero: the guide draws where the model has no mass"
    columns = (value.tolist(), weighed.flags)
    flags = tuple(_broken(v, flag) or ("" if math.isfinite(v) else empty) for v, flag in zip(*columns, strict=True))
    return Estimate(value, _or_infinite(value, stderr), "lower", info or {}, flags)


def _renyi(sums: PowerSums, alpha: float, weighed: Estimate[ImportanceInfo]) -> Estimate:
    value, stderr = power_mean(sums)
    biased = "the exact bound is an upper one, its estimate is biased downwards and bounds nothing"
    # For α > 1 the power mean is one of 1/w, whose tail k̂ does not describe; it stays below the ELBO all the same.
    return _of_power(
        value, stderr, "lower" if alpha >= 0 else "none", max(1.0 - alpha, 0.0), "" if alpha >= 0 else biased, weighed
    )


def _cubo(sums: PowerSums, order: float, weighed: Estimate[ImportanceInfo]) -> Estimate:
    value, stderr = power_mean(sums)
    caveat = f"the plug-in estimate is biased downwards and bounds nothing (upper-{order:g} does, in expectation)"
    return _of_power(value, stderr, "none", order, caveat, weighed)


def _upper(sums: PowerSums, order: float, weighed: Estimate[ImportanceInfo]) -> Estimate:
    value, stderr = tangent(sums)
    # What the tail leaves open above log p̂ is open above its bounds, too.
    return _of_power(value, torch.maximum(_or_infinite(value, stderr), weighed.stderr), "upper", order, "", weighed)


def _of_power(
    value: Tensor, stderr: Tensor, bound: Bound, power: float, caveat: str, weighed: Estimate[ImportanceInfo]
) -> Estimate:
    """An estimate from the mean of w^power, whose tail index is `power` times that of w; flagged with its caveat."""
    constant = weighed.info["constant_weights"]
    columns = (
        value.tolist(),
        (power * weighed.info["pareto_k"]).tolist(),
        weighed.info["heavy_tail"].tolist(),
        constant.tolist(),
        weighed.flags,
    )
    flags = []
    for v, tail, heavy, exact, flag in zip(*columns, strict=True):
        reasons = [caveat] if caveat and not exact else []
        if not math.isfinite(v):
            reasons.append("no finite power mean: too few samples, or weights of zero")
        elif tail > K_LIMIT:
            reasons.append(f"the tail index of w^{power:g} is {tail:.2f} > {K_LIMIT}: the value is likely too low")
        elif power >= 1 and heavy:
            reasons.append(flag)
        elif tail != tail and not exact:
            reasons.append("too few distinct weights for a Pareto k̂: the error bar is unchecked")
        flags.append(_broken(v, flag) or "; ".join(reasons))
    stderr = torch.where(constant, 0.0, _or_infinite(value, stderr))
    return Estimate(value, stderr, bound, flags=tuple(flags))


def _struski(pieces: Sequence[Reduction], k: int, weighed: Estimate[ImportanceInfo]) -> Estimate:
    """The bound of `ratio_upper`; it rests on the mean of the weights themselves, and is flagged as that is."""
    found = [ratio_upper(r.sums()) for piece in pieces if (r := piece.groups[k].ratios) is not None]
    value, stderr = (torch.cat(column).cpu() for column in zip(*found, strict=True))
    constant = weighed.info["constant_weights"]
    flags = [
        flag or ("" if math.isfinite(v) else "a group of weights has none that is not zero")
        for v, flag in zip(value.tolist(), weighed.flags, strict=True)
    ]
    stderr = torch.where(constant, 0.0, torch.maximum(_or_infinite(value, stderr), weighed.stderr))
    return Estimate(value, stderr, "upper", flags=tuple(flags))


def _jackknife(pieces: Sequence[Reduction], k: int, weighed: Estimate[ImportanceInfo]) -> Estimate:
    corrected = [c for piece in pieces if (c := piece.groups[k].corrected) is not None]
    value, stderr = (torch.cat([read(c) for c in corrected]).cpu() for read in (lambda c: c.mean, lambda c: c.stderr()))
    if weighed.info["num_samples"] < 2 * k:
        stderr = (_relative_variance(weighed) / k).sqrt()
    flags = []
    for v, tail, flag in zip(value.tolist(), weighed.info["pareto_k"].tolist(), weighed.flags, strict=True):
        reason = "" if math.isfinite(v) else "a group of weights has one or none that is not zero"
        if not reason and tail > 0.5:
            reason = f"Pareto k̂ = {tail:.2f} > 0.5: the weights lack the variance that the correction expands in"
        flags.append(_broken(v, flag) or reason)
    return Estimate(value, _or_infinite(value, stderr), "none", flags=tuple(flags))


def _prior(target: Target, num_samples: int, seed: int, drawing: Drawing, tick: Tick) -> Estimate:
    """log (1/S) Σ p(x | z_s), z_s ~ p(z)."""
    try:
        pieces = reduce_weights(target, drawing.plan, num_samples, seed, Wanted(), tick, drawing.from_prior)
        return collect(pieces, num_samples)
    except NotImplementedError as error:  # one that draws by rejection
        nothing = torch.full((len(target),), torch.nan, dtype=torch.float64)
        reason = f"the prior cannot be drawn from: {error}"
        return Estimate(nothing, nothing, "none", flags=(reason,) * len(target))


def _sums(pieces: Sequence[Reduction], exponent: float) -> PowerSums:
    parts = [piece.powers[exponent].sums() for piece in pieces]
    log_sums, log_squares = (
        torch.cat([getattr(p, name) for p in parts], 1).cpu() for name in ("log_sums", "log_squares")
    )
    return PowerSums(exponent, log_sums, log_squares, parts[0].num_samples)


def _relative_variance(weighed: Estimate[ImportanceInfo]) -> Tensor:
    """Var(w) / (E w)², `[B]`; NaN from one sample."""
    if weighed.info["num_samples"] < 2:
        return torch.full_like(weighed.value, torch.nan)
    return weighed.info["delta_stderr"].square() * weighed.info["num_samples"]


def _or_infinite(value: Tensor, stderr: Tensor) -> Tensor:
    """An unknown standard error is an infinite one; that of NaN stays NaN."""
    return torch.where(stderr.isnan() & ~value.isnan(), torch.inf, stderr)


def _broken(value: float, flag: str) -> str:
    """The flag of weights that are NaN, infinite, all zero or no proof; an empty string for others."""
    return flag if flag and (value != value or any(word in flag for word in _BROKEN)) else ""


_BROKEN = ("NaN", "infinite", "every weight", "are equal", "only in float")
