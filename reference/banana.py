"""The banana: a linear Gaussian posterior bent by a shear of unit Jacobian."""

from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import linear_gaussian, real
from elbowroom.reference.reference import Reference

SPREAD = 1.5  # prior standard deviation of a
BEND = 0.6
NOISE = 0.7


def banana(exact_guide: bool) -> Reference:
    """a ~ N(0, s²), b | a ~ N(β (a² − s²), 1), x | a, b ~ N(a + b − β (a² − s²), σ²).

    With u = b − β (a² − s²) the pair (a, u) is linear Gaussian, and the change of variables has Jacobian 1, so the
    evidence is that of the straight problem; the moments of b follow from those of a normal up to the fourth.
    """
    prior = real([SPREAD**2, 0.0], [0.0, 1.0])
    x = real(-2.5, -0.4, 0.6, 1.8, 3.3)
    straight = linear_gaussian(x.unsqueeze(1), real([1.0, 1.0]), real(NOISE**2), prior)
    c11, c12, c22 = straight.covariance[0, 0], straight.covariance[0, 1], straight.covariance[1, 1]
    gain = straight.mean[1] / x[1]  # E[(a, u) | x] = gain x
    m1, m2 = straight.mean.T
    mean_b = m2 + BEND * (m1.square() + c11 - SPREAD**2)
    variance_b = c22 + BEND**2 * (2 * c11**2 + 4 * m1.square() * c11) + 4 * BEND * m1 * c12

    def bent(a: Tensor) -> Tensor:
        return BEND * (a.square() - SPREAD**2)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(x.new_zeros(()), SPREAD))
            b = pyro.sample("b", dist.Normal(bent(a), 1.0))
            pyro.sample("x", dist.Normal(a + b - bent(a), NOISE), obs=x)

    def posterior(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(gain[0] * x, c11.sqrt()))
            loc = gain[1] * x + c12 / c11 * (a - gain[0] * x) + bent(a)
            pyro.sample("b", dist.Normal(loc, (c22 - c12**2 / c11).sqrt()))

    def moment_matched(x: Tensor) -> None:
        m1, m2 = gain[0] * x, gain[1] * x
        mean = m2 + BEND * (m1.square() + c11 - SPREAD**2)
        variance = c22 + BEND**2 * (2 * c11**2 + 4 * m1.square() * c11) + 4 * BEND * m1 * c12
        with pyro.plate("data", len(x)):
            pyro.sample("a", dist.Normal(m1, c11.sqrt()))
            pyro.sample("b", dist.Normal(mean, variance.sqrt()))

    return Reference(
        name="banana" if exact_guide else "banana-mean-field",
        model=model,
        guide=posterior if exact_guide else moment_matched,
        args=(x,),
        log_evidence=straight.log_evidence,
        mean=torch.stack([m1, mean_b], 1),
        sd=torch.stack([c11.sqrt().expand_as(m1), variance_b.sqrt()], 1),
        gap=torch.zeros_like(x) if exact_guide else None,
        guide_quality="exact" if exact_guide else "bad",
        accuracy=1e-13,
        provenance="closed form by change of variables, after Haario, Saksman & Tamminen (1999)",
        notes="" if exact_guide else "factorised normals with the posterior's own means and variances",
    )


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "banana": partial(banana, True),
    "banana-mean-field": partial(banana, False),
}
