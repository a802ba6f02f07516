"""Neal's funnel: the scale of some latents is the exponential of another one; observed with noise, or not at all."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, same_anywhere, scattered
from elbowroom.reference.reference import Quality, Reference

SPREAD = 3.0  # prior standard deviation of v
NOISE = 0.5


def funnel(name: str, num_wide: int, factorised: bool, quality: Quality) -> Reference:
    """v ~ N(0, 9), z_i | v ~ N(0, e^v), x_i | z_i ~ N(z_i, σ²), i = 1 … n.

    z is integrated out in closed form, x_i | v ~ N(0, e^v + σ²), and v by the trapezoidal rule, whose error on a smooth
    integrand that vanishes at both ends falls faster than any power of the mesh.
    """
    sizes = torch.tensor([0.1, 0.3, 1.0, 3.0], dtype=torch.float64).unsqueeze(1)
    x = same_anywhere(3.0 * sizes * scattered(4, num_wide, phase=0.5))
    v = torch.linspace(-30.0, 30.0, 6001, dtype=torch.float64)  # ten prior standard deviations
    log_joint = _log_joint(x, v)
    weight = log_joint.softmax(0)
    mean_v, sd_v = _moments(weight, v.unsqueeze(1))
    shrunk = v.exp() / (v.exp() + NOISE**2)  # z | v, x ~ N(shrunk x, shrunk σ²)
    mean_z = torch.einsum("vb,v->b", weight, shrunk).unsqueeze(1) * x
    square = (shrunk * NOISE**2).reshape(-1, 1, 1) + (shrunk.reshape(-1, 1, 1) * x).square()
    sd_z = (torch.einsum("vb,vbi->bi", weight, square) - mean_z.square()).sqrt()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            v = pyro.sample("v", dist.Normal(x.new_zeros(()), SPREAD))
            scale = (v / 2).exp().unsqueeze(-1)
            z = pyro.sample("z", dist.Normal(x.new_zeros(num_wide), scale).to_event(1))
            pyro.sample("x", dist.Normal(z, NOISE).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        coarse = torch.linspace(-15.0, 15.0, 601, dtype=x.dtype)
        mean, sd = _moments(_log_joint(x, coarse).softmax(0), coarse.unsqueeze(1))
        with pyro.plate("data", len(x)):
            v = pyro.sample("v", dist.Normal(mean, 1.2 * sd))
            given = mean if factorised else v
            shrunk = (given.exp() / (given.exp() + NOISE**2)).unsqueeze(-1)
            pyro.sample("z", dist.Normal(shrunk * x, NOISE * shrunk.sqrt()).to_event(1))

    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=log_joint.logsumexp(0) + math.log(60.0 / 6000),
        mean=torch.cat([mean_v.unsqueeze(1), mean_z], 1),
        sd=torch.cat([sd_v.unsqueeze(1), sd_z], 1),
        guide_quality=quality,
        accuracy=1e-10,
        provenance="z in closed form, v by the trapezoidal rule with mesh 0.01 over ±30; after Neal (2003), section 8",
        notes="z is drawn without regard to v"
        if factorised
        else "q(z | v, x) is exact, q(v | x) a normal 1.2 times as wide",
    )


def funnel_prior() -> Reference:
    """The funnel without data, in 3 dimensions: nothing is observed, so the evidence is one."""

    def model(spread: Tensor) -> None:
        v = pyro.sample("v", dist.Normal(torch.zeros_like(spread), spread))
        pyro.sample("z", dist.Normal(spread.new_zeros(2), (v / 2).exp().unsqueeze(-1)).to_event(1))
        pyro.factor("nothing", torch.zeros_like(v))

    def guide(spread: Tensor) -> None:
        v = pyro.sample("v", dist.Normal(torch.zeros_like(spread), spread))
        pyro.sample("z", dist.Normal(spread.new_zeros(2), torch.ones_like(v).unsqueeze(-1)).to_event(1))

    spread = torch.tensor(SPREAD, dtype=torch.float64)
    wide = math.exp(SPREAD**2 / 4)  # E[e^v] = e^(9/2)
    return Reference(
        name="funnel-prior",
        model=model,
        guide=guide,
        args=(spread,),
        plate=None,
        log_evidence=torch.zeros(1, dtype=torch.float64),
        mean=torch.zeros(1, 3, dtype=torch.float64),
        sd=torch.tensor([[SPREAD, wide, wide]], dtype=torch.float64),
        # KL(N(0, 1) ‖ N(0, e^v)) = ½ (e^(−v) − 1 + v) for each z, averaged over v
        gap=torch.tensor([math.exp(SPREAD**2 / 2) - 1], dtype=torch.float64),
        guide_quality="bad",
        accuracy=0.0,
        provenance="a normalised prior without data: p = 1 (Neal 2003, section 8)",
        notes="z ~ N(0, 1) fits the funnel at v = 0 only",
    )


def _log_joint(x: Tensor, v: Tensor) -> Tensor:
    """log p(v) p(x | v), `[V, B]`."""
    given = log_normal(x, 0.0, (v.exp() + NOISE**2).reshape(-1, 1, 1)).sum(-1)
    return log_normal(v, 0.0, SPREAD**2).unsqueeze(1) + given


def _moments(weight: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    mean = (weight * value).sum(0)
    return mean, (weight * (value - mean).square()).sum(0).sqrt()


_KINDS: tuple[tuple[str, int, bool, Quality], ...] = (
    ("funnel", 2, False, "good"),
    ("funnel-mean-field", 2, True, "mediocre"),
    ("funnel-10", 9, False, "good"),
)
PROBLEMS: dict[str, Callable[[], Reference]] = {row[0]: partial(funnel, *row) for row in _KINDS}
PROBLEMS["funnel-prior"] = funnel_prior
