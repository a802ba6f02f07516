"""Three posteriors of posteriordb: a linear regression, an autoregression and a Gaussian process, by quadrature.

The data are published under the BSD 3-clause licence (github.com/stan-dev/posteriordb, `sblri`, `arK`, `gp_pois_regr`).
Of the first two only what the likelihood depends on is kept: with X = Q R and b = Qᵀ y

    p(y | β, σ) = N(b; R β, σ² I) (2πσ²)^(−(n − D)/2) exp(−‖y − Q b‖² / 2σ²),

to twelve digits, which change log p(y) by less than 1e-10. Truncated priors are normalised.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import linear_gaussian, log_normal, real
from elbowroom.reference.reference import Reference

PRIOR_SCALE = 10.0  # of every coefficient


@dataclass(frozen=True)
class Regression:
    """What a regression's likelihood depends on.

    Attributes:
        factor: the upper triangle of R, row by row, D (D + 1) / 2 numbers.
        projection: b = Qᵀ y, D numbers.
        rest: ‖y − Q b‖².
        num_rows: n.
        scale_prior: of σ.
        source: of the data.
    """

    factor: tuple[float, ...]
    projection: tuple[float, ...]
    rest: float
    num_rows: int
    scale_prior: Callable[[], dist.TorchDistribution]
    source: str

    @property
    def matrix(self) -> Tensor:
        """R, `[D, D]`."""
        size = len(self.projection)
        matrix = torch.zeros(size, size, dtype=torch.float64)
        rows, columns = torch.triu_indices(size, size)
        matrix[rows, columns] = real(*self.factor)
        return matrix


SBLRI = Regression(
    factor=(
        *(1037.07875105, 137.978105323, 195.081138916, -85.8428974538, -51.934572703),
        *(856.51310827, 69.6614075912, -149.560494663, -9.4687910868),
        *(1040.18220363, 192.181292043, -61.1316681852),
        *(910.66935071, -6.8952544939, 924.076349993),
    ),
    projection=(1231.74097046, 767.188820378, 1171.8091945, 904.803974298, 925.507165831),
    rest=86.0076463704,
    num_rows=100,
    scale_prior=lambda: dist.HalfNormal(real(10.0)[0]),
    source="sblri-blr: 100 simulated rows, 5 predictors; σ half-normal(10)",
)
ARK = Regression(
    factor=(
        *(13.9642400438, -0.223716657227, -0.193561381837, -0.179719406528, -0.154078111573, -0.126867066828),
        *(6.98069389592, 6.63450910903, 6.38893496609, 5.96214681976, 5.42669297844),
        *(2.32651912322, 1.88332034619, 2.41547656529, 2.64918045552),
        *(2.30973728552, 1.95135575664, 2.54919627337),
        *(2.23278397954, 1.73253990856, 2.15061621841),
    ),
    projection=(-0.226329368778, 6.57180362082, 0.337810881025, -0.59475663439, -0.601521422873, -0.647815664455),
    rest=4.22153809711,
    num_rows=195,
    scale_prior=lambda: dist.HalfCauchy(real(2.5)[0]),
    source="arK-arK: an intercept and five lags of a simulated series of length 200; σ half-Cauchy(2.5)",
)


def regression(name: str, kept: Regression) -> Reference:
    """β ~ N(0, 10² I), y | β, σ ~ N(X β, σ² I): β in closed form, log σ by Gauss and Legendre's rule, 120 nodes."""
    matrix, b, size = kept.matrix, real(*kept.projection), len(kept.projection)
    spare = kept.num_rows - size
    centre = math.sqrt(kept.rest / spare)
    log_sigma, weight = _nodes(math.log(centre) - 1.0, math.log(centre) + 1.0, 120)  # 14 standard deviations and more
    sigma = log_sigma.exp()

    def log_rest(sigma: Tensor, rest: Tensor | float) -> Tensor:
        return -spare * (sigma.log() + math.log(2 * math.pi) / 2) - rest / (2 * sigma.square())

    prior = PRIOR_SCALE**2 * torch.eye(size, dtype=torch.float64)
    given = [linear_gaussian(b.unsqueeze(0), matrix, (s * s).expand(size), prior) for s in sigma]
    log_joint = torch.cat([g.log_evidence for g in given]) + log_rest(sigma, kept.rest)
    log_joint = log_joint + kept.scale_prior().log_prob(sigma) + log_sigma + weight.log()
    beta, spread = torch.cat([g.mean for g in given]), torch.cat([g.sd for g in given])
    share = log_joint.softmax(0).unsqueeze(1)
    first = torch.cat([sigma.unsqueeze(1), beta], 1)
    mean = (share * first).sum(0)
    inside = torch.cat([torch.zeros_like(spread[:, :1]), spread], 1)
    sd = (share * ((first - mean).square() + inside.square())).sum(0).sqrt()
    loc, log_scale = mean[0].log(), 1.2 * sd[0] / mean[0]

    def model(b: Tensor, rest: Tensor) -> None:
        sigma = pyro.sample("sigma", kept.scale_prior())
        beta = pyro.sample("beta", dist.Normal(b.new_zeros(size), PRIOR_SCALE).to_event(1))
        fitted = (matrix @ beta.unsqueeze(-1)).squeeze(-1)
        pyro.sample("projection", dist.Normal(fitted, sigma.unsqueeze(-1)).to_event(1), obs=b)
        pyro.factor("rest", log_rest(sigma, rest))

    def guide(b: Tensor, rest: Tensor) -> None:
        sigma = pyro.sample("sigma", dist.LogNormal(loc, log_scale))
        precision = matrix.T @ matrix / sigma.square()[..., None, None] + torch.eye(size).to(b) / PRIOR_SCALE**2
        at = torch.linalg.solve(precision, (matrix.T @ b) / sigma.square().unsqueeze(-1))
        pyro.sample("beta", dist.MultivariateNormal(at, precision_matrix=precision))

    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(b, real(kept.rest)[0]),
        plate=None,
        log_evidence=log_joint.logsumexp(0, keepdim=True),
        mean=mean.unsqueeze(0),
        sd=sd.unsqueeze(0),
        guide_quality="good",
        accuracy=1e-8,
        provenance=f"posteriordb's {kept.source}; β in closed form, σ by 120-point Gauss–Legendre quadrature",
        notes="q(β | σ) is exact, q(σ) a log-normal 1.2 times as wide",
    )


INPUTS = real(*range(-10, 11, 2))
OUTPUTS = real(4.75906, 1.59423, 2.99548, 5.27501, 1.66472, 2.24347, 2.8914, 4.08681, 4.60588, 0.802364, 3.92136)


def gaussian_process() -> Reference:
    """ρ ~ Gamma(25, 4), α ~ half-normal(2), σ ~ half-normal(1), y ~ N(0, α² exp(−(x − x')² / 2ρ²) + σ I)."""
    log_evidence, mean, sd = _gaussian_process()
    log_variance = torch.log1p((sd / mean).square())

    def model(y: Tensor, x: Tensor) -> None:
        rho = pyro.sample("rho", dist.Gamma(y.new_tensor(25.0), y.new_tensor(4.0)))
        alpha = pyro.sample("alpha", dist.HalfNormal(y.new_tensor(2.0)))
        sigma = pyro.sample("sigma", dist.HalfNormal(y.new_tensor(1.0)))
        distance = (x.unsqueeze(-1) - x) / rho[..., None, None]
        smooth = alpha.square()[..., None, None] * (-0.5 * distance.square()).exp()
        covariance = smooth + sigma[..., None, None] * torch.eye(len(x), dtype=y.dtype, device=y.device)
        pyro.sample("y", dist.MultivariateNormal(torch.zeros_like(y), covariance), obs=y)

    def guide(y: Tensor, x: Tensor) -> None:
        for i, name in enumerate(("rho", "alpha", "sigma")):
            loc, scale = (mean[i].log() - log_variance[i] / 2).to(y), (1.2 * log_variance[i].sqrt()).to(y)
            pyro.sample(name, dist.LogNormal(loc, scale))

    return Reference(
        name="gp-regr",
        model=model,
        guide=guide,
        args=(OUTPUTS, INPUTS),
        plate=None,
        log_evidence=log_evidence.unsqueeze(0),
        mean=mean.unsqueeze(0),
        sd=sd.unsqueeze(0),
        guide_quality="mediocre",
        accuracy=1e-8,
        provenance="posteriordb's gp_pois_regr-gp_regr; 80 × 60 × 60 points of Gauss and Legendre's rule",
        notes="independent log-normals with the posterior's moments, 1.2 times as wide on the log scale",
    )


@cache
def _gaussian_process() -> tuple[Tensor, Tensor, Tensor]:
    """log p(y), mean and standard deviation of (ρ, α, σ), from the eigenvalues of the kernel at each ρ."""
    (rho, u), (alpha, v), (sigma, w) = _nodes(1.0, 20.0, 80), _nodes(0.0, 16.0, 60), _nodes(0.0, 9.0, 60)
    distance = (INPUTS.unsqueeze(1) - INPUTS) / rho.reshape(-1, 1, 1)
    values, vectors = torch.linalg.eigh((-0.5 * distance.square()).exp())
    rotated = OUTPUTS @ vectors  # [R, n]
    variance = alpha.square().reshape(-1, 1, 1) * values[:, None, None].clamp_min(0) + sigma.reshape(-1, 1)
    log_joint = log_normal(rotated[:, None, None], 0.0, variance).sum(-1)  # [R, A, S]
    log_joint += (dist.Gamma(*real(25.0, 4.0)).log_prob(rho) + u.log()).reshape(-1, 1, 1)
    log_joint += (dist.HalfNormal(real(2.0)).log_prob(alpha) + v.log()).reshape(-1, 1)
    log_joint += dist.HalfNormal(real(1.0)).log_prob(sigma) + w.log()
    share = (log_joint - log_joint.logsumexp((0, 1, 2))).exp()
    sides = (share.sum((1, 2)), rho), (share.sum((0, 2)), alpha), (share.sum((0, 1)), sigma)
    mean = torch.stack([(p * at).sum() for p, at in sides])
    second = torch.stack([(p * at.square()).sum() for p, at in sides])
    return log_joint.logsumexp((0, 1, 2)), mean, (second - mean.square()).sqrt()


def _nodes(low: float, high: float, number: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss and Legendre's rule on an interval."""
    nodes, weights = np.polynomial.legendre.leggauss(number)
    half = (high - low) / 2
    return torch.from_numpy(low + half * (nodes + 1)), torch.from_numpy(half * weights)


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "sblri": partial(regression, "sblri", SBLRI),
    "ark": partial(regression, "ark", ARK),
    "gp-regr": gaussian_process,
}
