"""Eight schools (Rubin 1981), non-centred: a hierarchical model with a funnel that its data almost tame."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import linear_gaussian, real
from elbowroom.reference.reference import Reference

EFFECTS = real(28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0)
ERRORS = real(15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0)
PRIOR_SCALE = 5.0  # of μ, and of τ


def eight_schools(factorised: bool) -> Reference:
    """μ ~ N(0, 5²), τ ~ HalfCauchy(5), η_j ~ N(0, 1), y_j ~ N(μ + τ η_j, σ_j²).

    Given τ the rest is linear Gaussian and integrated in closed form. τ = 5 tan(πt/2) with t uniform on (0, 1), over
    which Gauss and Legendre's rule with 200 nodes has converged to rounding.
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(200)
    t, weight = torch.from_numpy((nodes + 1) / 2), torch.from_numpy(node_weights / 2)
    tau = PRIOR_SCALE * (torch.pi * t / 2).tan()
    eye = torch.eye(8, dtype=torch.float64)
    design = torch.cat([torch.ones(len(tau), 8, 1, dtype=torch.float64), tau.reshape(-1, 1, 1) * eye], -1)
    prior = torch.cat([real(PRIOR_SCALE**2), torch.ones(8, dtype=torch.float64)]).diag()
    given = linear_gaussian(EFFECTS.expand(len(tau), 8), design, ERRORS.square(), prior)
    log_joint = given.log_evidence + weight.log()
    mean, sd = _moments(log_joint.softmax(0), given.mean, given.sd, tau)

    def model(effects: Tensor, errors: Tensor) -> None:
        mu = pyro.sample("mu", dist.Normal(effects.new_zeros(()), PRIOR_SCALE))
        tau = pyro.sample("tau", dist.HalfCauchy(effects.new_tensor(PRIOR_SCALE)))
        eta = pyro.sample("eta", dist.Normal(effects.new_zeros(8), 1.0).to_event(1))
        theta = mu.unsqueeze(-1) + tau.unsqueeze(-1) * eta
        pyro.sample("effects", dist.Normal(theta, errors).to_event(1), obs=effects)

    def conditional(effects: Tensor, errors: Tensor) -> None:
        tau = pyro.sample("tau", dist.HalfCauchy(effects.new_tensor(3.0)))
        variance = errors.square() + tau.square().unsqueeze(-1)  # of y_j given μ and τ
        precision = PRIOR_SCALE**-2 + variance.reciprocal().sum(-1)
        mu = pyro.sample("mu", dist.Normal((effects / variance).sum(-1) / precision, precision.rsqrt()))
        shrunk = tau.unsqueeze(-1) * (effects - mu.unsqueeze(-1)) / variance
        pyro.sample("eta", dist.Normal(shrunk, errors / variance.sqrt()).to_event(1))

    def mean_field(effects: Tensor, errors: Tensor) -> None:
        log_variance = (1 + (sd[1] / mean[1]).square()).log()  # of a log-normal with the mean and sd of τ
        pyro.sample("mu", dist.Normal(mean[0], sd[0]))
        pyro.sample("tau", dist.LogNormal(mean[1].log() - log_variance / 2, log_variance.sqrt()))
        pyro.sample("eta", dist.Normal(mean[2:], sd[2:]).to_event(1))

    return Reference(
        name="eight-schools-mean-field" if factorised else "eight-schools",
        model=model,
        guide=mean_field if factorised else conditional,
        args=(EFFECTS, ERRORS),
        plate=None,
        log_evidence=log_joint.logsumexp(0, keepdim=True),
        mean=mean.unsqueeze(0),
        sd=sd.unsqueeze(0),
        guide_quality="bad" if factorised else "good",
        accuracy=1e-10,
        provenance="Rubin (1981); priors of posteriordb's eight_schools_noncentered; μ and η in closed form, τ by "
        "200-point Gauss–Legendre quadrature in its prior's distribution function",
        notes="the guide factorises, with the posterior's own means and standard deviations; at τ = 0 it is zero"
        if factorised
        else "q(μ, η | τ, y) is exact, q(τ) half-Cauchy",
    )


def _moments(weight: Tensor, mean: Tensor, sd: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
    """Of (μ, τ, η), `[10]` each, from those of (μ, η) given each τ."""
    first = torch.cat([mean[:, :1], tau.unsqueeze(1), mean[:, 1:]], 1)
    spread = torch.cat([sd[:, :1], torch.zeros_like(sd[:, :1]), sd[:, 1:]], 1)
    total = weight @ first
    return total, (weight @ (spread.square() + (first - total).square())).sqrt()


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "eight-schools": partial(eight_schools, False),
    "eight-schools-mean-field": partial(eight_schools, True),
}
