"""Heavy tails: Student-t priors or likelihoods with 1 or 3 degrees of freedom, in 1 or 10 latents."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, real
from elbowroom.reference.reference import Quality, Reference

HALF, NUM_POINTS = 60.0, 12001  # of the quadrature: ± 60 with mesh 0.01
SPREAD = 2.0  # of the normal prior
GUIDE_FREEDOM, STRETCH = 5.0, 1.3
VALUES = (0.3, -1.1, 2.4, 0.0, -0.6, 4.1, -2.9, 1.5, 0.8, -5.2)


def student(name: str, heavy: str, freedom: float, dim: int, quality: Quality) -> Reference:
    """One of the two is heavy, latent by latent: z ~ t_ν and x | z ~ N(z, 1), or z ~ N(0, 2²) and x | z ~ t_ν(z, 1).

    Latents are independent, so p(x) = Π_i ∫ p(z) p(x_i | z) dz, each by the trapezoidal rule: the integrands vanish at
    both ends and have no singularity nearer than 1 to the real line, so that the error is below 1e-12. A Student-t with
    the posterior's mean and somewhat more than its standard deviation is the guide.
    """
    values = real(*VALUES)
    x = torch.stack([values, values.roll(1) / 2]) if dim > 1 else values.unsqueeze(1)
    z = torch.linspace(-HALF, HALF, NUM_POINTS, dtype=torch.float64)

    def log_terms(z: Tensor, x: Tensor) -> Tensor:
        """log p(z) p(x_i | z), `[Z, B, D]`."""
        if heavy == "prior":
            return log_student(z, freedom) + log_normal(x, z, 1.0)
        return log_normal(z, 0.0, SPREAD**2) + log_student(x - z, freedom)

    def moments(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log ∫, mean and standard deviation of each latent, `[B, D]`."""
        grid = z.reshape(-1, 1, 1)
        log_joint = log_terms(grid, x)
        weight = log_joint.softmax(0)
        mean = (weight * grid).sum(0)
        variance = (weight * (grid - mean).square()).sum(0)
        return log_joint.logsumexp(0) + (z[1] - z[0]).log(), mean, variance.sqrt()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            if heavy == "prior":
                z = pyro.sample("z", dist.StudentT(freedom, torch.zeros_like(x), 1.0).to_event(1))
                pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)
            else:
                z = pyro.sample("z", dist.Normal(torch.zeros_like(x), SPREAD).to_event(1))
                pyro.sample("x", dist.StudentT(freedom, z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        _, mean, sd = moments(x, torch.linspace(-20.0, 20.0, 401, dtype=x.dtype))
        scale = STRETCH * sd * math.sqrt((GUIDE_FREEDOM - 2) / GUIDE_FREEDOM)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.StudentT(GUIDE_FREEDOM, mean, scale).to_event(1))

    log_evidence, mean, sd = moments(x, z)
    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=log_evidence.sum(-1),
        mean=mean,
        sd=sd,
        guide_quality=quality,
        accuracy=1e-10,
        provenance="independent latents, each by the trapezoidal rule with mesh 0.01 over ±60",
        notes="the guide's tails are polynomial and the posterior's are not: bounded weights",
    )


def log_student(value: Tensor, freedom: float) -> Tensor:
    """log density of a standard Student-t, elementwise, nats."""
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return constant - (freedom + 1) / 2 * torch.log1p(value.square() / freedom)


PROBLEMS: dict[str, Callable[[], Reference]] = {
    f"student-{heavy}-{freedom}-{dim}": partial(
        student, f"student-{heavy}-{freedom}-{dim}", heavy, float(freedom), dim, "good"
    )
    for heavy in ("prior", "likelihood")
    for freedom in (1, 3)
    for dim in (1, 10)
}
