"""Exact log p(x), posterior moments and divergences on a latent space of up to three dimensions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from elbowroom.inference.chunks import MEMORY_BYTES, bytes_per_cell
from elbowroom.inference.coordinates import Coordinates
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.lattice import DEPTH, Lattice, flood
from elbowroom.inference.marginals import marginal_quantiles
from elbowroom.inference.modes import Modes, climb
from elbowroom.inference.ragged import Evaluate, at_points
from elbowroom.inference.target import Target

MAX_DIM = 3
LEVELS = (0.05, 0.5, 0.95)
_ROWS = 256  # data integrated at once: bounds the lattice points held in memory
_SCAN = {1: 129, 2: 33, 3: 17}  # points along each axis of the scan for modes
_COARSEST = 4.0  # first spacing, in scales of the finest mode: the flood is quick, refinement starts from its points
_REFINEMENTS = 8


def quadrature(
    target: Target,
    *,
    tolerance: float = 1e-6,
    max_points: int = 2_000_000,
    quantiles: Sequence[float] = LEVELS,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Estimate:
    """Integrate p(x, z) over up to three latent dimensions, to stated accuracy, for every datum.

    log p(x) = log ∫ p(x, T(u)) |det dT/du| du by the trapezoidal rule on a lattice in unconstrained coordinates that
    grows from all modes found and is refined until two levels agree to `tolerance`. Modes are sought on a grid over the
    prior's mass and from draws of prior and guide; one narrower than that grid's mesh that neither the guide nor
    Newton's method reaches would be missed.

    Args:
        target: programs and data with at most three scalar latents a datum.
        tolerance: two successive lattices must agree on log p(x) to this, in nats.
        max_points: largest lattice of one datum.
        quantiles: levels of the marginal quantiles.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Estimate with bound `"exact"`; value `[B]` and stderr `[B]` (the last change between levels, not below the
        rounding of the programs' dtype), nats. `info`: posterior `mean`, `sd`, `mode` `[B, N]`, `covariance`
        `[B, N, N]`, `quantiles` `[Q, B, N]` at `levels`; `elbo`, `kl_q_p` = KL(q ‖ p(z|x)), `kl_p_q`
        `[B]`, nats (NaN where the guide's density is unknown); the guide's own `guide_mean`, `guide_sd`,
        `guide_quantiles`; `num_modes`, `num_points`, `num_evaluations` `[B]`; `latents`, names of the N coordinates;
        `flags`.

    Raises:
        ValueError: with four or more latent dimensions (a lattice grows as n^D), or a discrete latent in the guide.
    """
    coordinates = Coordinates.of(target)
    if coordinates.dim > MAX_DIM:
        raise ValueError(
            f"quadrature needs at most {MAX_DIM} latent dimensions, this target has {coordinates.dim}: a lattice of n "
            "points a side has n^D points. Use importance(target, ...) for a lower bound with an error bar, or "
            "nuts(target, ...) for the posterior."
        )
    if coordinates.dim == 0:
        return _no_latents(target)
    cells = max(1, int((memory_bytes or MEMORY_BYTES) // (3 * bytes_per_cell(target))))
    levels = torch.tensor(tuple(quantiles), dtype=torch.float64)
    rows = _ROWS if target.sliceable else len(target)
    bar = tqdm(total=len(target), desc="quadrature", unit="datum", delay=2, disable=not progress, leave=False)
    pieces = []
    with bar:
        for begin in range(0, len(target), rows):
            part = torch.arange(begin, min(begin + rows, len(target)))
            pieces.append(_integrate(coordinates.at(part), cells, tolerance, max_points, levels))
            bar.update(len(part))
    return _assemble(target, pieces, quantiles, tolerance)


@dataclass(frozen=True)
class _Integral:
    """A converged lattice of some data and what it took."""

    lattice: Lattice
    origin: Tensor
    error: Tensor  # change from the level before, [B]
    evaluations: Tensor  # [B]
    modes: Modes


def _integrate(
    coordinates: Coordinates, cells: int, tolerance: float, max_points: int, levels: Tensor
) -> dict[str, Tensor]:
    starts, widest = _starts(coordinates, cells)
    posterior = _refine(coordinates, _joint, starts, widest, cells, tolerance, max_points)
    result = _moments(coordinates, posterior, levels, cells)
    result |= {
        "value": posterior.lattice.log_integral,
        "error": posterior.error,
        "complete": posterior.lattice.complete,
        "num_points": posterior.lattice.counts(),
        "num_evaluations": posterior.evaluations,
        "num_modes": posterior.modes.distinct(DEPTH),
        "mode": _best_mode(coordinates, posterior.modes),
    }
    return result | _divergences(coordinates, posterior, starts, widest, cells, tolerance, max_points, levels)


def _joint(coordinates: Coordinates, u: Tensor) -> Tensor:
    return coordinates.log_joint(u.to(_dtype(coordinates)))


def _guide(coordinates: Coordinates, u: Tensor) -> Tensor:
    return coordinates.log_guide(u.to(_dtype(coordinates)))


def _values(coordinates: Coordinates, u: Tensor) -> Tensor:
    return coordinates.constrain(u.to(_dtype(coordinates)))


def _dtype(coordinates: Coordinates) -> torch.dtype:
    return coordinates.target.dtype


def _starts(coordinates: Coordinates, cells: int) -> tuple[Tensor, Tensor]:
    """Where to look for modes `[K, B, D]`, and the widest scale to believe in `[B, D]`.

    The local maxima of a scan over ±5 prior standard deviations, and the best draws of guide and prior.
    """
    target, dim = coordinates.target, coordinates.dim
    prior = coordinates.unconstrain(target.sample_prior(256)).double().cpu()
    guide = coordinates.unconstrain(target.propose(64)[0]).double().cpu()
    guide = torch.where(guide.isfinite(), guide, prior[:64])
    centre, sd = prior.median(0).values, prior.std(0).clamp_min(1e-12)
    axis = torch.linspace(-5, 5, _SCAN[dim], dtype=torch.float64)
    mesh = torch.stack(torch.meshgrid(*[axis] * dim, indexing="ij"), -1).reshape(-1, 1, dim)
    scan = centre + sd * mesh  # [G, B, D]
    values = _rectangle(coordinates, torch.cat([scan, prior[:64], guide]), cells)
    on_grid = values[: len(scan)]
    peaks = _local_maxima(on_grid, dim, 8)
    best_prior = values[len(scan) : len(scan) + 64].argmax(0, keepdim=True)
    best_guide = values[len(scan) + 64 :].argmax(0, keepdim=True)
    starts = [_pick(scan, peaks), _pick(prior, best_prior), _pick(guide, best_guide), guide.median(0, keepdim=True).values]
    return torch.cat(starts), sd


def _rectangle(coordinates: Coordinates, u: Tensor, cells: int) -> Tensor:
    """The log joint on a full rectangle `[S, B, D]`, `[S, B]`, NaN as −∞."""
    num_samples, num_data = u.shape[:2]
    datum = torch.arange(num_data).repeat_interleave(num_samples)
    points = u.transpose(0, 1).reshape(-1, coordinates.dim)
    values = at_points(coordinates, _joint, points, datum, cells).reshape(num_data, num_samples).T
    return values.nan_to_num(-torch.inf, posinf=-torch.inf)


def _local_maxima(values: Tensor, dim: int, most: int) -> Tensor:
    """Indices of the highest local maxima of each datum on the scan, `[most, B]`."""
    side = _SCAN[dim]
    grid = values.T.reshape(-1, 1, *(side,) * dim).clamp_min(-1e300)
    pool = {1: torch.nn.functional.max_pool1d, 2: torch.nn.functional.max_pool2d, 3: torch.nn.functional.max_pool3d}
    highest = pool[dim](grid, 3, stride=1, padding=1)
    peak = torch.where(grid >= highest, grid, -torch.inf).reshape(len(grid), -1)
    return peak.topk(min(most, peak.shape[1]), dim=1).indices.T


def _pick(points: Tensor, index: Tensor) -> Tensor:
    return points.gather(0, index.unsqueeze(-1).expand(*index.shape, points.shape[-1]))


def _refine(
    coordinates: Coordinates,
    density: Evaluate,
    starts: Tensor,
    widest: Tensor,
    cells: int,
    tolerance: float,
    max_points: int,
) -> _Integral:
    """Flood ever finer lattices until two agree, each datum on its own."""
    num_data, dim = starts.shape[1:]
    modes = _climb(coordinates, density, starts, cells)
    best = modes.log_density.argmax(0, keepdim=True)
    origin = _pick(modes.u, best)[0]
    spacing = torch.minimum(modes.finest(DEPTH), widest)
    spacing = torch.where(spacing.isfinite() & (spacing > 0), spacing, widest) * _COARSEST
    within = modes.log_density >= modes.log_density.amax(0) - 2 * DEPTH  # [K, B]
    active = torch.arange(num_data)
    kept: list[Lattice] = []
    owners: list[Tensor] = []
    value = torch.full((num_data,), torch.nan, dtype=torch.float64)
    error = torch.full((num_data,), torch.inf, dtype=torch.float64)
    evaluations = torch.zeros(num_data, dtype=torch.long)
    rounding = torch.finfo(_dtype(coordinates)).eps
    before: Lattice | None = None
    for level in range(_REFINEMENTS):
        part = coordinates.at(active)
        seeds, owner = _seeds(modes.u[:, active], within[:, active], origin[active], spacing[active])
        if before is not None:  # every point of the coarser lattice is a point of this one
            seeds, owner = torch.cat([seeds, 2 * before.index]), torch.cat([owner, before.datum])
        lattice = flood(
            lambda points, datum, part=part: at_points(part, density, points, datum, cells),
            origin[active],
            spacing[active],
            seeds,
            owner,
            max_points,
        )
        evaluations[active] += lattice.counts()
        change = (lattice.log_integral - value[active]).abs()
        floor = rounding * lattice.log_integral.abs()
        value[active] = lattice.log_integral
        error[active] = torch.maximum(change, floor).nan_to_num(torch.inf)
        settled = (change <= torch.maximum(floor, torch.tensor(tolerance))) | ~lattice.complete
        last = level == _REFINEMENTS - 1
        grown = lattice.counts() * 2**dim > max_points
        done = settled | grown | last
        kept.append(_restrict(lattice, done))
        owners.append(active[done])
        active, before = active[~done], _restrict(lattice, ~done)
        if len(active) == 0:
            break
        spacing[active] = spacing[active] / 2
    return _Integral(_joined(kept, owners, num_data), origin, error, evaluations, modes)


def _seeds(modes: Tensor, within: Tensor, origin: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
    """Lattice points nearest to the modes that count, `[M, D]`, and whose they are, `[M]`."""
    index = ((modes - origin) / spacing).round().clamp(-1000, 1000).long()  # [K, B, D]
    owner = torch.arange(len(origin)).expand(len(modes), -1)
    return index[within], owner[within]


def _climb(coordinates: Coordinates, density: Evaluate, starts: Tensor, cells: int) -> Modes:
    """`climb` from all starts, in pieces of data whose second derivatives fit the budget."""
    num_data = starts.shape[1]
    width = max(1, cells // (8 * len(starts))) if coordinates.target.sliceable else num_data
    pieces = []
    for begin in range(0, num_data, width):
        rows = torch.arange(begin, min(begin + width, num_data))
        part = coordinates.at(rows)
        pieces.append(climb(lambda u, part=part: density(part, u).double(), starts[:, rows]))
    return Modes(*(torch.cat([getattr(p, name) for p in pieces], 1) for name in ("u", "log_density", "scale")))


def _restrict(lattice: Lattice, chosen: Tensor) -> Lattice:
    """The lattice of some of its data, renumbered."""
    mine = chosen[lattice.datum]
    number = chosen.cumsum(0) - 1
    return Lattice(
        number[lattice.datum[mine]],
        lattice.index[mine],
        lattice.u[mine],
        lattice.log_density[mine],
        lattice.spacing[chosen],
        lattice.log_integral[chosen],
        lattice.complete[chosen],
    )


def _joined(parts: list[Lattice], owners: list[Tensor], num_data: int) -> Lattice:
    """Lattices of disjoint data back into one, points in order of their data."""
    owner = torch.cat(owners)
    datum = torch.cat([o[p.datum] for p, o in zip(parts, owners, strict=True)])
    order = datum.argsort(stable=True)

    def points(name: str) -> Tensor:
        return torch.cat([getattr(p, name) for p in parts])[order]

    def data(name: str) -> Tensor:
        values = torch.cat([getattr(p, name) for p in parts])
        return torch.empty_like(values).index_copy_(0, owner, values)

    return Lattice(
        datum[order],
        points("index"),
        points("u"),
        points("log_density"),
        data("spacing"),
        data("log_integral"),
        data("complete"),
    )


def _moments(coordinates: Coordinates, integral: _Integral, levels: Tensor, cells: int) -> dict[str, Tensor]:
    """Mean, standard deviations, covariance and marginal quantiles of z under a lattice's density."""
    lattice = integral.lattice
    z = at_points(coordinates, _values, lattice.u, lattice.datum, cells)  # [M, N]
    mean = lattice.average(z)
    centred = z - mean[lattice.datum]
    covariance = lattice.average(centred.unsqueeze(-1) * centred.unsqueeze(-2))
    return {
        "mean": mean,
        "covariance": covariance,
        "sd": covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt(),
        "quantiles": _quantiles(coordinates, integral, z, levels),
    }


def _quantiles(coordinates: Coordinates, integral: _Integral, z: Tensor, levels: Tensor) -> Tensor:
    """Marginal quantiles of z, `[Q, B, N]`: exact maps of those of u where T acts element by element."""
    lattice = integral.lattice
    if all(latent.elementwise for latent in coordinates.target.structure.latents.values()):
        u = marginal_quantiles(lattice, integral.origin, levels)
        with torch.no_grad():
            return _values(coordinates, u.to(coordinates.target.device)).double().cpu().sort(0).values
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
    u = _pick(modes.u, modes.log_density.argmax(0, keepdim=True))
    with torch.no_grad():
        return _values(coordinates, u.to(coordinates.target.device))[0].double().cpu()


def _divergences(
    coordinates: Coordinates,
    posterior: _Integral,
    starts: Tensor,
    widest: Tensor,
    cells: int,
    tolerance: float,
    max_points: int,
    levels: Tensor,
) -> dict[str, Tensor]:
    """ELBO, KL(q ‖ p) and KL(p ‖ q) exactly, and the guide's own moments, on lattices of p and of q."""
    lattice, log_p = posterior.lattice, posterior.lattice.log_integral
    try:
        log_q = at_points(coordinates, _guide, lattice.u, lattice.datum, cells)
        kl_p_q = lattice.average(lattice.log_density - log_p[lattice.datum] - log_q)
        draws = coordinates.unconstrain(coordinates.target.propose(4)[0]).double().cpu()
        draws = torch.where(draws.isfinite(), draws, starts[:1])
        guide = _refine(coordinates, _guide, draws, widest, cells, tolerance, max_points)
    except NotImplementedError:  # the guide's density at a point is unknown: only its draws can be used
        unknown = torch.full_like(log_p, torch.nan)
        return {"elbo": unknown, "kl_q_p": unknown, "kl_p_q": unknown, "guide_complete": log_p.isnan()}
    own = guide.lattice
    log_joint = at_points(coordinates, _joint, own.u, own.datum, cells)
    elbo = own.average(log_joint - own.log_density)
    return {
        "elbo": elbo,
        "kl_q_p": own.average(own.log_density - (log_joint - log_p[own.datum])),
        "kl_p_q": kl_p_q,
        "guide_complete": own.complete,
        **{f"guide_{name}": value for name, value in _moments(coordinates, guide, levels, cells).items()},
    }


def _no_latents(target: Target) -> Estimate:
    """Every latent is finite and summed out: one evaluation is exact."""
    prior, likelihood = target.log_joint({})
    value = (prior + likelihood)[0].detach().double().cpu()
    rounding = torch.finfo(target.dtype).eps * value.abs()
    return Estimate(value, rounding, "exact", {"latents": [], "flags": ("",) * len(target)})


def _assemble(target: Target, pieces: list[dict[str, Tensor]], levels: Sequence[float], tolerance: float) -> Estimate:
    along = {"quantiles": 1, "guide_quantiles": 1}
    joined: dict[str, Any] = {
        name: torch.cat([piece[name] for piece in pieces], along.get(name, 0)) for name in pieces[0]
    }
    value, error, complete = joined.pop("value"), joined.pop("error"), joined.pop("complete")
    joined.pop("guide_complete")
    names = target.latent_names
    flags = tuple(_flag(*row, tolerance) for row in zip(error.tolist(), complete.tolist(), value.tolist(), strict=True))
    return Estimate(value, error, "exact", {**joined, "levels": tuple(levels), "latents": names, "flags": flags})


def _flag(error: float, complete: bool, value: float, tolerance: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "log p(x) is not finite: the programs return NaN or zero density for this datum"
    if not complete:
        return "the mass was not covered within max_points: the posterior may be improper or very wide"
    if error > max(tolerance, 1e-5 * max(1.0, abs(value)) if error < 1e-3 else tolerance):
        return f"two lattices still differ by {error:.1e} nats: not exact to {tolerance:.0e}"
    return ""
