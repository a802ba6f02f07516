"""The conjugate normal: z ~ N(0, 1), x | z ~ N(z, 1), with a guide whose spread is off by a factor s."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, real
from elbowroom.reference.reference import Quality, Reference

SCALES: dict[float, Quality] = {1.0: "exact", 0.95: "good", 0.9: "good", 0.7: "mediocre", 0.5: "bad", 1.5: "good"}


def model(x: Tensor) -> None:
    """z ~ N(0, 1), x | z ~ N(z, 1)."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def conjugate_normal(s: float) -> Reference:
    """q = N(x/2, s²/2): gap −log s + (s² − 1)/2, tail index 1 − s²."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, s * math.sqrt(0.5)))

    x = real(-3.1, -1.6, -0.8, -0.2, 0.4, 1.1, 2.0, 3.7)
    return Reference(
        name=_name(s),
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=log_normal(x, 0.0, 2.0),
        mean=(x / 2).unsqueeze(1),
        sd=torch.full_like(x, math.sqrt(0.5)).unsqueeze(1),
        gap=torch.full_like(x, -math.log(s) + (s * s - 1) / 2),
        guide_quality=SCALES[s],
        accuracy=1e-14,
        provenance="closed form: p(x) = N(x; 0, 2), p(z | x) = N(x/2, 1/2)",
        notes=f"importance weights have tail index 1 − s² = {max(1 - s * s, 0.0):.4g}"
        if s <= 1
        else "the guide is wider than the posterior: bounded weights",
    )


def _name(s: float) -> str:
    return "conjugate-normal" if s == 1 else f"conjugate-normal-{s:g}"


PROBLEMS: dict[str, Callable[[], Reference]] = {_name(s): partial(conjugate_normal, s) for s in SCALES}
