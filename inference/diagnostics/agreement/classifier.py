"""Can a classifier tell draws of q from draws of the posterior? One for each datum, all fitted at once."""

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.agreement.sides import Sides, effective

NUM_DRAWS = 1000
"""Draws of each side that are classified: an accuracy of one half is then known to ± 0.011."""

RIDGE = 1.0
"""Penalty ½ λ |β|² on all coefficients but the first (the default of scikit-learn, C = 1/λ)."""

Axes = tuple[Tensor, Tensor, Tensor]
"""Centre `[B, N]`, axes `[B, N, N]`, and along which of them squares count, `[B, N]`."""

_STEPS = 15
_LENGTHS = (1.0, 0.5, 0.125, 0.0)  # of Newton steps that are tried: the penalised likelihood never falls
# Each half is fitted to and tested on, so that their accuracies depend on each other and vary more than otherwise:
# this ratio of sds was measured where q is right, with 1 to 20 latents.
_FOLDS = 1.15
_FARTHEST = 8.0  # standard deviations: beyond, a draw is as far out as any


def two_sample(sides: Sides, ess: Tensor) -> tuple[Tensor, Tensor]:
    """Held-out accuracy of a classifier between draws of q and of the posterior, and its standard error, `[B]` each.

    Logistic regression on z and squares of z, in the coordinates where both covariances are diagonal: N linear and at
    most N square features hold the best quadratic boundary between two normals of any correlation, without the
    N(N − 1)/2 cross terms. Squares count only along axes whose variances differ by more than noise would make them
    differ (the edge of the semicircle, 2 √(N (1/n + 1/m))), for N of them without news would drown one with some.
    Each half of the chains (in time) and of q's draws is classified by what was fitted to the other half; axes are
    those of the fitted half, too. 0.5: the two cannot be told apart by means, variances and correlations. In many
    dimensions a small difference is hard to learn: the accuracy is then below that of the best classifier. The error
    takes the effective number of the chains' draws.

    Args:
        sides: draws of both.
        ess: effective number of posterior draws, `[B]`.

    Source: Lopez-Paz & Oquab (2017), "Revisiting classifier two-sample tests".
    """
    p, q = _thinned(sides)
    num_chains, length = p.shape[:2]
    right_p, right_q = torch.empty(p.shape[:3]), torch.empty(q.shape[:2])  # 1 where classified rightly
    times, numbers = _halves(length), _halves(len(q))
    for train, test in ((0, 1), (1, 0)):
        training = [q[numbers[train]], p[:, times[train]].flatten(0, 1)]
        axes = _axes(training[0], training[1], ess / 2)
        x = torch.cat([features(z, *axes) for z in training], 1)  # [B, n, F]
        y = torch.cat([x.new_zeros(len(training[0])), x.new_ones(len(training[1]))])
        beta = fit_logistic(x, y.expand(x.shape[:2]))
        right_q[numbers[test]] = (_logit(q[numbers[test]], axes, beta) < 0).to(right_q)
        correct = _logit(p[:, times[test]].flatten(0, 1), axes, beta) >= 0
        right_p[:, times[test]] = correct.unflatten(0, (num_chains, -1)).to(right_p)
    return _accuracy(right_p.double(), right_q.double(), ess)


def features(z: Tensor, centre: Tensor, axes: Tensor, squared: Tensor) -> Tensor:
    """Intercept, coordinates and their squares less one: `[n, B, N]` to `[B, n, 1 + 2N]`.

    Args:
        z: draws.
        centre: `[B, N]`.
        axes: columns of `[B, N, N]`.
        squared: along which axes squares count, `[B, N]`; zero along the others.
    """
    v = torch.einsum("nbi,bij->bnj", z - centre, axes).clamp(-_FARTHEST, _FARTHEST)
    return torch.cat([torch.ones_like(v[..., :1]), v, (v.square() - 1) * squared.unsqueeze(1)], -1)


def fit_logistic(x: Tensor, y: Tensor, ridge: float = RIDGE) -> Tensor:
    """Penalised logistic regression by Newton's method, for all data at once.

    Args:
        x: features `[B, n, F]`, the first of them the intercept.
        y: labels 0 or 1, `[B, n]`.
        ridge: λ of ½ λ |β|², which leaves the intercept out.

    Returns:
        β, `[B, F]`.
    """
    penalty = x.new_full((x.shape[-1],), ridge)
    penalty[0] = 1e-9
    beta = x.new_zeros(len(x), x.shape[-1])
    for _ in range(_STEPS):
        p = torch.einsum("bnf,bf->bn", x, beta).sigmoid()
        gradient = torch.einsum("bnf,bn->bf", x, y - p) - penalty * beta
        hessian = torch.einsum("bnf,bng->bfg", x * (p * (1 - p)).unsqueeze(-1), x) + torch.diag(penalty)
        step = torch.linalg.solve(hessian, gradient)
        candidates = torch.stack([beta + length * step for length in _LENGTHS])  # [L, B, F]
        objective = torch.stack([_objective(x, y, candidate, penalty) for candidate in candidates])
        beta = candidates.gather(0, objective.argmax(0).reshape(1, -1, 1).expand(1, *beta.shape))[0]
        if float(gradient.abs().max()) < 1e-6:
            break
    return beta


def _objective(x: Tensor, y: Tensor, beta: Tensor, penalty: Tensor) -> Tensor:
    logit = torch.einsum("bnf,bf->bn", x, beta)
    log_lik = (y * logit - torch.nn.functional.softplus(logit)).sum(1)
    return (log_lik - (penalty * beta.square()).sum(-1) / 2).nan_to_num(-torch.inf)


def _thinned(sides: Sides) -> tuple[Tensor, Tensor]:
    """Chains cut to T' draws evenly spaced in time, and as many draws of q, in all at most `NUM_DRAWS` of each."""
    num_chains, length = sides.p.shape[:2]
    num_kept = min(length, max(2, NUM_DRAWS // num_chains))
    p = sides.p[:, torch.linspace(0, length - 1, num_kept).round().long()]
    return p, sides.q[: min(len(sides.q), num_kept * num_chains)]


def _halves(count: int) -> tuple[slice, slice]:
    return slice(0, count // 2), slice(count // 2, count)


def _axes(q: Tensor, p: Tensor, ess: Tensor) -> Axes:
    """Axes in which the mean of both covariances is I and their difference diagonal; `ess` draws of p count, `[B]`."""
    centre = (q.mean(0) + p.mean(0)) / 2
    of_q, of_p = _covariance(q), _covariance(p)
    unit = ((of_q + of_p) / 2).diagonal(dim1=-2, dim2=-1).clamp_min(1e-300).rsqrt()
    of_q, of_p = (c * unit.unsqueeze(-1) * unit.unsqueeze(-2) for c in (of_q, of_p))
    values, vectors = torch.linalg.eigh(((of_q + of_p) / 2).nan_to_num(0.0))
    # A direction without variance (the sum of a simplex) has nothing to say.
    inverse = torch.where(values > 1e-10 * values[:, -1:], values.clamp_min(1e-300).rsqrt(), 0.0)
    white = vectors * inverse.unsqueeze(-2)
    difference, turn = torch.linalg.eigh((white.mT @ (of_p - of_q) @ white).nan_to_num(0.0))
    edge = 2 * (q.shape[-1] * (1 / len(q) + 1 / ess.clamp(1, len(p)))).sqrt()
    return centre, unit.unsqueeze(-1) * (white @ turn), (difference.abs() > edge.unsqueeze(1)).to(q)


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(0)
    return torch.einsum("nbi,nbj->bij", centred, centred) / (len(z) - 1)


def _logit(z: Tensor, axes: Axes, beta: Tensor) -> Tensor:
    return torch.einsum("bnf,bf->nb", features(z, *axes), beta)


def _accuracy(right_p: Tensor, right_q: Tensor, ess: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of both sides' accuracies and its standard error; `right_…`: 1 where a draw was classified rightly."""
    p, q = right_p.mean((0, 1)), right_q.mean(0)
    n = torch.where((p == 0) | (p == 1), ess, effective(right_p))
    variance = [(a * (1 - a) + 1 / (4 * m)) / m for a, m in ((p, n), (q, torch.full_like(n, len(right_q))))]
    return (p + q) / 2, _FOLDS * (variance[0] + variance[1]).sqrt() / 2
