"""Exact log p(x), posterior moments and divergences on a latent space of up to three dimensions."""

import math
from collections.abc import Sequence
from typing import Required, TypedDict

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.at_points import at_points
from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.coordinates import Coordinates, constrained, log_guide, log_joint
from elbowroom.inference.evidence.quadrature.lattice import DEPTH
from elbowroom.inference.evidence.quadrature.modes import Modes
from elbowroom.inference.evidence.quadrature.quantiles import marginal_quantiles
from elbowroom.inference.evidence.quadrature.refinement import Accuracy, Integral, refine
from elbowroom.inference.evidence.quadrature.starts import find_starts, pick
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.target import Target

MAX_DIM = 3
MAX_LATTICE_DIM = 2
"""Up to here a lattice is cheaper than chains or annealing, so it is taken without being asked for."""

MOST_TOLERANCE = 1.0
"""Nats: lattices that differ by more have not found the integral."""

LEVELS = (0.05, 0.5, 0.95)
_DATA_AT_ONCE = 256  # data integrated at once: bounds the lattice points held in memory
_ROUGH = 1e-4  # error of the log integral of q's own lattice beyond which draws of q give its ELBO
_NUM_DRAWS = 1 << 14


class QuadratureInfo(TypedDict, total=False):
    """What a lattice says besides log p(x). N scalar latents; with none of them, `latents` is all there is.

    Keys:
        latents: names of the N scalar latents.
        mean, sd, mode: of the posterior, `[B, N]`; the mode is the highest in unconstrained coordinates.
        covariance: of the posterior, `[B, N, N]`.
        quantiles: of the posterior's marginals at `levels`, `[Q, B, N]`.
        levels: of the quantiles.
        elbo: of the guide, `[B]`, nats; NaN where the guide's density is unknown, as are both divergences. Where no
            lattice takes the guide's density (a spline flow), it is the mean over 16384 draws.
        cautions: for each datum the reasons to doubt what rests on log q (`elbo`, both KL, what begins with `guide_`),
            as `Target.cautions`; log p(x) and the posterior use no log q, so they are none of their flags.
        kl_q_p, kl_p_q: KL(q ‖ p(z|x)) and KL(p(z|x) ‖ q), `[B]`, nats.
        guide_mean, guide_sd, guide_covariance, guide_quantiles: the guide's own; missing where its density is unknown.
        num_modes: modes of the posterior that were found, `[B]`.
        num_points: points of the lattice, `[B]`.
        num_evaluations: of log p(x, z), `[B]`.
    """

    latents: Required[list[str]]
    mean: Tensor
    sd: Tensor
    mode: Tensor
    covariance: Tensor
    quantiles: Tensor
    levels: tuple[float, ...]
    elbo: Tensor
    cautions: tuple[str, ...]
    kl_q_p: Tensor
    kl_p_q: Tensor
    guide_mean: Tensor
    guide_sd: Tensor
    guide_covariance: Tensor
    guide_quantiles: Tensor
    num_modes: Tensor
    num_points: Tensor
    num_evaluations: Tensor


@checked
@asked_again
def quadrature(
    target: Target,
    *,
    tolerance: float = 1e-6,
    max_points: int = 2_000_000,
    quantiles: Sequence[float] = LEVELS,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Estimate[QuadratureInfo]:
    """Integrate p(x, z) over up to three latent dimensions, to stated accuracy, for every datum.

    log p(x) = log ∫ p(x, T(u)) |det dT/du| du by the trapezoidal rule on a lattice in unconstrained coordinates that
    grows from all modes found and is refined until two levels agree to `tolerance`. Modes are sought on a grid over the
    prior's mass (where that cannot be drawn from, around the guide: flagged) and from draws of both; one narrower than
    that grid's mesh that neither the guide nor Newton's method reaches would be missed.

    Args:
        target: programs and data with at most three scalar latents a datum.
        tolerance: two successive lattices must agree on log p(x) to this, in nats.
        max_points: largest lattice of one datum.
        quantiles: levels of the marginal quantiles.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Estimate with bound `"exact"`; value `[B]` and stderr `[B]` (the last change between levels, not below the
        rounding of the programs' dtype), nats; `info`: see `QuadratureInfo`.

    Raises:
        ValueError: for an argument out of its range; with four or more latent dimensions (a lattice grows as n^D), a
            discrete latent in the guide that cannot be summed out, or an improper prior.
    """
    if tolerance > MOST_TOLERANCE:
        raise ValueError(f"tolerance must be at most {MOST_TOLERANCE:g} nat, got {tolerance}: more is no exact number")
    target.check_proper()
    target = target.collapsed()
    coordinates = Coordinates.of(target)
    if coordinates.dim > MAX_DIM:
        raise ValueError(
            f"quadrature needs at most {MAX_DIM} latent dimensions, this target has {coordinates.dim}: a lattice of n "
            "points a side has n^D points. Use importance(target, ...) for a lower bound with an error bar, or "
            "nuts(target, ...) for the posterior."
        )
    if coordinates.dim == 0:
        return _no_latents(target)
    accuracy = Accuracy(tolerance, max_points, cells_within(target, memory_bytes, copies=3))
    levels = torch.tensor(tuple(quantiles), dtype=torch.float64)
    at_once = _DATA_AT_ONCE if target.sliceable else len(target)
    pieces = []
    # Programs may hold parameters that are being trained: no gradients.
    with progress_bar(len(target), "quadrature", "datum", progress) as tick, torch.no_grad():
        for begin in range(0, len(target), at_once):
            data = torch.arange(begin, min(begin + at_once, len(target)))
            pieces.append(_integrate(coordinates.at(data), accuracy, levels))
            tick(len(data))
    return _assemble(target, pieces, quantiles, tolerance)


def _integrate(coordinates: Coordinates, accuracy: Accuracy, levels: Tensor) -> dict[str, Tensor]:
    """Everything that is reported of some data, `[b, ...]` each."""
    starts, widest, blind = find_starts(coordinates, accuracy.cells)
    posterior = refine(coordinates, log_joint, starts, widest, accuracy)
    result = _moments(coordinates, posterior, levels, accuracy.cells)
    result |= {
        "value": posterior.lattice.log_integral,
        "error": posterior.error,
        "complete": posterior.lattice.complete,
        "blind": torch.full_like(posterior.lattice.complete, blind),
        "num_points": posterior.lattice.counts(),
        "num_evaluations": posterior.evaluations,
        "num_modes": posterior.modes.distinct(DEPTH),
        "mode": _best_mode(coordinates, posterior.modes),
    }
    return result | _divergences(coordinates, posterior, starts, widest, accuracy, levels)


def _moments(coordinates: Coordinates, integral: Integral, levels: Tensor, cells: int) -> dict[str, Tensor]:
    """Mean, standard deviations, covariance and marginal quantiles of z under a lattice's density."""
    lattice = integral.lattice
    z = at_points(coordinates, constrained, lattice.u, lattice.datum, cells)  # [M, N]
    mean = lattice.average(z)
    centred = z - mean[lattice.datum]
    covariance = lattice.average(centred.unsqueeze(-1) * centred.unsqueeze(-2))
    return {
        "mean": mean,
        "covariance": covariance,
        "sd": covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt(),
        "quantiles": _quantiles(coordinates, integral, z, levels),
    }


def _quantiles(coordinates: Coordinates, integral: Integral, z: Tensor, levels: Tensor) -> Tensor:
    """Marginal quantiles of z, `[Q, B, N]`: exact maps of those of u where T acts element by element."""
    lattice = integral.lattice
    if all(latent.elementwise for latent in coordinates.target.structure.latents.values()):
        u = marginal_quantiles(lattice, integral.origin, levels)
        with torch.no_grad():
            return constrained(coordinates, u.to(coordinates.target.device)).double().cpu().sort(0).values
    result = torch.full((len(levels), len(lattice.spacing), z.shape[1]), torch.nan, dtype=torch.float64)
    weights = lattice.weights()
    for i in range(z.shape[1]):  # sorted by (datum, value): weighted empirical quantiles
        order = z[:, i].argsort()
        order = order[lattice.datum[order].argsort(stable=True)]
        cumulative = weights[order].cumsum(0) - weights[order] / 2
        wanted = levels.unsqueeze(1) + torch.arange(len(lattice.spacing))
        place = torch.searchsorted(cumulative, wanted).clamp(0, len(order) - 1)
        result[:, :, i] = z[order, i][place]
    return result


def _best_mode(coordinates: Coordinates, modes: Modes) -> Tensor:
    """z at the highest mode, `[B, N]`."""
    u = pick(modes.u, modes.log_density.argmax(0, keepdim=True))
    with torch.no_grad():
        return constrained(coordinates, u.to(coordinates.target.device))[0].double().cpu()


def _divergences(
    coordinates: Coordinates,
    posterior: Integral,
    starts: Tensor,
    widest: Tensor,
    accuracy: Accuracy,
    levels: Tensor,
) -> dict[str, Tensor]:
    """ELBO, KL(q ‖ p) and KL(p ‖ q) exactly, and the guide's own moments, on lattices of p and of q."""
    lattice, log_p = posterior.lattice, posterior.lattice.log_integral
    try:
        log_q = at_points(coordinates, log_guide, lattice.u, lattice.datum, accuracy.cells)
        kl_p_q = lattice.average(lattice.log_density - log_p[lattice.datum] - log_q)
        draws = coordinates.unconstrain(coordinates.target.propose(4)[0]).double().cpu()
        draws = torch.where(draws.isfinite(), draws, starts[:1])
        guide = refine(coordinates, log_guide, draws, widest, accuracy)
    except NotImplementedError:  # the guide's density at a point is unknown: only its draws can be used
        unknown = torch.full_like(log_p, torch.nan)
        return {"elbo": unknown, "kl_q_p": unknown, "kl_p_q": unknown, "guide_complete": ~log_p.isnan()}
    on_q = guide.lattice
    joint = at_points(coordinates, log_joint, on_q.u, on_q.datum, accuracy.cells)
    elbo = on_q.average(joint - on_q.log_density)
    rough = (guide.error > _ROUGH) | on_q.flat()
    if bool(rough.any()):  # a density with kinks, spikes or cliffs (a spline flow, a uniform one): draws say more
        elbo = torch.where(rough, _elbo_of_draws(coordinates, accuracy.cells), elbo)
    return {
        "elbo": elbo,
        "kl_q_p": log_p - elbo,
        "kl_p_q": kl_p_q,
        "guide_complete": on_q.complete,
        **{f"guide_{name}": value for name, value in _moments(coordinates, guide, levels, accuracy.cells).items()},
    }


def _elbo_of_draws(coordinates: Coordinates, cells: int) -> Tensor:
    """The mean log weight of many draws of the guide, `[B]`."""
    target = coordinates.target
    step, total = max(1, min(cells // len(target), _NUM_DRAWS)), torch.zeros(len(target), dtype=torch.float64)
    for start in range(0, _NUM_DRAWS, step):
        count = min(step, _NUM_DRAWS - start)
        total += target.log_weights(count, start=start).double().cpu().sum(0)
    return total / _NUM_DRAWS


def _no_latents(target: Target) -> Estimate[QuadratureInfo]:
    """Every latent is finite and summed out: one evaluation is exact."""
    prior, likelihood = target.log_joint({})
    value = (prior + likelihood)[0].detach().double().cpu()
    rounding = torch.finfo(target.dtype).eps * value.abs()
    return Estimate(value, rounding, "exact", {"latents": []}, unnormalised=target.unnormalised)


def _assemble(
    target: Target, pieces: list[dict[str, Tensor]], levels: Sequence[float], tolerance: float
) -> Estimate[QuadratureInfo]:
    along = {"quantiles": 1, "guide_quantiles": 1}
    joined = {name: torch.cat([piece[name] for piece in pieces], along.get(name, 0)) for name in pieces[0]}
    value, error, complete = joined["value"], joined["error"], joined["complete"]
    limit = (torch.finfo(target.dtype).eps * value.abs()).clamp_min(tolerance)
    columns = (value, error, limit, complete, joined["guide_complete"], joined["blind"])
    flags = tuple(_flag(*row) for row in zip(*(column.tolist() for column in columns), strict=True))
    info = _info(joined, target.latent_names, tuple(levels))
    if any(target.cautions):
        info["cautions"] = target.cautions
    return Estimate(value, error, "exact", info, flags, target.unnormalised)


def _info(joined: dict[str, Tensor], latents: list[str], levels: tuple[float, ...]) -> QuadratureInfo:
    info: QuadratureInfo = {
        "latents": latents,
        "mean": joined["mean"],
        "sd": joined["sd"],
        "mode": joined["mode"],
        "covariance": joined["covariance"],
        "quantiles": joined["quantiles"],
        "levels": levels,
        "elbo": joined["elbo"],
        "kl_q_p": joined["kl_q_p"],
        "kl_p_q": joined["kl_p_q"],
        "num_modes": joined["num_modes"],
        "num_points": joined["num_points"],
        "num_evaluations": joined["num_evaluations"],
    }
    if "guide_mean" in joined:
        info["guide_mean"], info["guide_sd"] = joined["guide_mean"], joined["guide_sd"]
        info["guide_covariance"], info["guide_quantiles"] = joined["guide_covariance"], joined["guide_quantiles"]
    return info


def _flag(value: float, error: float, limit: float, complete: bool, guide_complete: bool, blind: bool) -> str:
    if not math.isfinite(value):
        return "log p(x) is not finite: the programs return NaN or zero density for this datum"
    if not complete:
        return "the mass was not covered within max_points: the posterior may be improper or very wide"
    if error > limit:
        return f"two lattices still differ by {error:.1e} nats, more than the {limit:.0e} asked for"
    if blind:
        return "modes more than 20 sds of the guide away were not looked for: the prior cannot be drawn from"
    if not guide_complete:
        return "log p(x) is exact, but q's mass was not covered within max_points: its ELBO and KL are not"
    return ""
