"""Posterior modes that q has next to no draws in, and how far q's centre is from the nearest mode."""

import math

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.agreement.ascent import ascend, valley
from elbowroom.inference.diagnostics.agreement.sides import Sides, scale_of, share
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.scalars import by_site
from elbowroom.inference.mcmc.rounding import on_grid

THIN = 20.0
"""q is thin at a point where its density is less than a twentieth of the posterior's."""

DEPTH = 3.0
"""Nats that a valley between two modes must have: the density falls to a twentieth of the lower one's."""

_SMALLEST = 0.005  # share of the posterior in thin places below which no mode is searched for
_NUM_THIN = 32  # posterior draws in thin places that climb
_NUM_APART = 8  # draws of q that climb
_NUM_CANDIDATES = 128  # draws of q that they are chosen among


def missed_mass(sides: Sides, log_p: Tensor, ess: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior probability of modes in which q has next to no draws, and its standard error, `[B]` each.

    A posterior draw counts if (1) q is thin there, q(z|x) < p(z|x)/20, which compares two densities at one point and
    so works in any dimension, and (2) it belongs to another mode than q's draws do: climbing from it and from
    draws of q that lie apart ends at points with a valley of more than 3 nats between them; and (3) most draws of which
    that holds lie where q's density is below its own first percentile. Thin places without a valley are where q is too
    narrow or too far off, which shows in tail mass and mean errors: (2) never holds for a log-concave posterior. A q
    that is wide enough to cover several modes is thin on all of them, but (3) does not hold.

    Args:
        sides: draws of both.
        log_p: log p(x), `[B]`, nats. A value that lacks the missed mode only makes q look thinner there.
        ess: effective number of posterior draws where the share itself shows none, `[B]`.

    Returns:
        Mass and standard error; NaN where q's density at the posterior's draws is unknown.
    """
    thin = sides.log_ratio - log_p > math.log(THIN)  # [C, T, B]
    mass, stderr = share(thin, ess)
    parted, doubt = torch.zeros_like(mass), torch.zeros_like(mass)
    index = (mass >= _SMALLEST).nonzero().flatten()
    if len(index):
        share_parted = _parted(sides, thin.flatten(0, 1)[:, index], index)
        climbed = (mass[index] * ess[index]).clamp(1, _NUM_THIN)
        smooth = (share_parted * climbed + 0.5) / (climbed + 1)
        parted[index], doubt[index] = share_parted, smooth * (1 - smooth) / climbed
    unknown = sides.log_ratio.isnan().all(0).all(0)
    stderr = ((parted * stderr).square() + mass.square() * doubt).sqrt()
    return (mass * parted).masked_fill(unknown, torch.nan), stderr.masked_fill(unknown, torch.nan)


def mode_distance(sides: Sides, lp: Tensor, posterior_sd: Tensor) -> Tensor:
    """The distance from q's mean to the nearest mode that ascents from there and from each chain's highest draw reach.

    It is the largest difference of a latent, in posterior sds, `[B]`, to a millionth: where an ascent ends is known to
    the root of the density's rounding.

    Args:
        sides: draws of both.
        lp: log density of the posterior draws, `[C, T, B]`.
        posterior_sd: `[B, N]`.
    """
    coordinates = Coordinates.of(sides.target)
    every = torch.arange(sides.q.shape[1])
    centre = sides.q.mean(0, keepdim=True)
    best = lp.argmax(1)  # [C, B]
    highest = sides.p.gather(1, best[:, None, :, None].expand(-1, 1, -1, sides.p.shape[-1])).squeeze(1)
    starts = _unconstrained(coordinates, torch.cat([_inside(sides), highest]))
    modes, _ = ascend(coordinates, starts, _scale(coordinates, sides, every, starts[1:]), sides.cells)
    with torch.no_grad():
        z = coordinates.constrain(modes.to(coordinates.target.device, coordinates.target.dtype)).double().cpu()
    return on_grid(((z - centre) / posterior_sd).abs().amax(2).amin(0))


def _inside(sides: Sides) -> Tensor:
    """The draw of q nearest to its mean, which lies in the support where the mean itself may not, `[1, B, N]`."""
    away = ((sides.q - sides.q.mean(0)) / scale_of(sides.q.std(0), sides.varying)).square().sum(-1)
    return sides.q.gather(0, away.argmin(0).reshape(1, -1, 1).expand(1, *sides.q.shape[1:]))


def _parted(sides: Sides, thin: Tensor, index: Tensor) -> Tensor:
    """The share of the thin draws `[C T, R]` of some data that belongs to other modes than q's, `[R]`.

    Where most of those beyond a valley are outside of q, all of them count: in many dimensions a single draw's log q
    scatters by more than some modes are apart.
    """
    coordinates = Coordinates.of(sides.target).at(index)
    p, q = sides.p.flatten(0, 1)[:, index], sides.q[:, index]
    z = _evenly(p, thin)  # [M, R, N]
    with torch.no_grad():
        log_q = coordinates.target.log_guide(by_site(coordinates.target, z)).double().cpu()
    outside = log_q < sides.log_q[:, index].sort(0).values[len(q) // 100]
    one = _unconstrained(coordinates, z)
    other = _unconstrained(coordinates, _apart(q, sides.log_q[:, index]))
    scale = _scale(coordinates, sides, index, one)
    one, _ = ascend(coordinates, one, scale, sides.cells)
    other, _ = ascend(coordinates, other, scale, sides.cells)
    away = torch.cdist((one / scale).transpose(0, 1), (other / scale).transpose(0, 1))  # [R, M, M']
    nearest = away.argmin(2).T.unsqueeze(-1).expand_as(one)
    beyond = valley(coordinates, one, other.gather(0, nearest), sides.cells) > DEPTH  # [M, R]
    counted = (beyond & outside).double().mean(0)
    share_beyond = beyond.double().mean(0)
    return torch.where(counted > share_beyond / 2, share_beyond, counted)


def _evenly(p: Tensor, thin: Tensor) -> Tensor:
    """Draws in thin places, evenly spaced among them in time, `[M, R, N]`."""
    order = thin.long().sort(dim=0, descending=True, stable=True).indices
    steps = torch.linspace(0, 1, _NUM_THIN, dtype=torch.float64).unsqueeze(1)
    place = (steps * (thin.sum(0) - 1)).round().long()
    return p.gather(0, order.gather(0, place).unsqueeze(-1).expand(-1, -1, p.shape[-1]))


def _apart(q: Tensor, log_q: Tensor) -> Tensor:
    """Draws of q that lie apart from each other, so that each of its modes has one, `[M', R, N]`.

    Each is the farthest from those chosen before it. The least dense twentieth is left out: stragglers may climb a mode
    in which q has next to no draws.
    """
    few = min(len(q), _NUM_CANDIDATES)
    place = log_q[:few].topk(few - few // 20, dim=0).indices
    candidates = q[:few].gather(0, place.unsqueeze(-1).expand(-1, -1, q.shape[-1]))
    unit = candidates.std(0).clamp_min(1e-300)
    chosen, nearest = [candidates[0]], torch.full_like(log_q[: len(candidates)], torch.inf)
    for _ in range(min(_NUM_APART, len(candidates)) - 1):
        nearest = torch.minimum(nearest, ((candidates - chosen[-1]) / unit).square().sum(-1))
        farthest = nearest.argmax(0).reshape(1, -1, 1).expand(1, *candidates.shape[1:])
        chosen.append(candidates.gather(0, farthest)[0])
    return torch.stack(chosen)


def _scale(coordinates: Coordinates, sides: Sides, index: Tensor, u: Tensor) -> Tensor:
    """A length within one mode for each coordinate, `[R, D]`: the smaller spread of q and of posterior draws `u`."""
    spread_of_q = _unconstrained(coordinates, sides.q[:64, index]).std(0)
    spread_of_p = u.std(0) if len(u) > 8 else spread_of_q
    return torch.minimum(spread_of_q, torch.where(spread_of_p > 0, spread_of_p, spread_of_q)).clamp_min(1e-12)


def _unconstrained(coordinates: Coordinates, z: Tensor) -> Tensor:
    with torch.no_grad():
        return coordinates.unconstrain(by_site(coordinates.target, z)).double().cpu()
