"""A product observed: x = a b + noise says nothing of the sign of a and b, so that D pairs have 2^D modes."""

from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, real
from elbowroom.reference.reference import Reference

NOISE = 0.3
PEAK, WIDTH = 1.37, 0.4  # of the guide, on the modes with positive signs
VALUE = 2.0


def product_of_signs(num_pairs: int) -> Reference:
    """a_i ~ N(0, 1), b_i ~ N(0, 1), x_i | a_i, b_i ~ N(a_i b_i, 0.3²), i = 1 … D; x = 2 throughout.

    b_i is integrated in closed form, x_i | a_i ~ N(0, a_i² + 0.3²), and a_i by the trapezoidal rule, whose error on a
    smooth integrand that vanishes at both ends falls faster than any power of the mesh. All means are zero by symmetry,
    and a_i and b_i have one distribution.
    """
    x = torch.full((1, num_pairs), VALUE, dtype=torch.float64)
    a = torch.linspace(-12.0, 12.0, 9601, dtype=torch.float64)
    log_joint = log_normal(a, 0.0, 1.0) + log_normal(x[0, 0], 0.0, a.square() + NOISE**2)
    second = (log_joint.softmax(0) * a.square()).sum()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(torch.zeros_like(x), 1.0).to_event(1))
            b = pyro.sample("b", dist.Normal(torch.zeros_like(x), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(a * b, NOISE).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            for name in ("a", "b"):
                pyro.sample(name, dist.Normal(torch.full_like(x, PEAK), WIDTH).to_event(1))

    return Reference(
        name=f"product-{num_pairs}",
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=num_pairs * (log_joint.logsumexp(0, keepdim=True) + real(24.0 / 9600).log()),
        mean=torch.zeros(1, 2 * num_pairs, dtype=torch.float64),
        sd=second.sqrt().expand(1, 2 * num_pairs),
        guide_quality="bad",
        multimodal=True,
        accuracy=1e-10,
        provenance="b in closed form, a by the trapezoidal rule with mesh 0.0025 over ±12",
        notes=f"the guide sits on one of {2**num_pairs} equal modes",
    )


PROBLEMS: dict[str, Callable[[], Reference]] = {f"product-{n}": partial(product_of_signs, n) for n in (2, 3)}
