"""A posterior of two separate modes of known weights, and a guide that is the posterior of one of them."""

import math

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.inference import Target

SPREAD, NARROW = 2.0, 0.5
WEIGHTS = {"small": 0.1, "large": 0.9}


class SeparateModes:
    """z ~ N(0, 2² I); the likelihood is 0.1 N(z; −c, ½² I) + 0.9 N(z; c, ½² I): two modes of these weights.

    Attributes:
        evidence: log p(x), nats, of every datum.
    """

    def __init__(self, num_latents: int, centre: float = 3.0, on: str = "small") -> None:
        self.num_latents, self.centre, self.on = num_latents, centre, on
        sd = math.hypot(SPREAD, NARROW)
        self.evidence = num_latents * dist.Normal(0.0, sd).log_prob(torch.tensor(centre)).item()

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x), self.num_latents), SPREAD).to_event(1))
            terms = [
                math.log(weight) + dist.Normal(centre, NARROW).log_prob(z).sum(-1)
                for weight, centre in ((WEIGHTS["small"], -self.centre), (WEIGHTS["large"], self.centre))
            ]
            pyro.factor("x", torch.logaddexp(*terms))

    def guide(self, x: Tensor) -> None:
        variance = 1 / (SPREAD**-2 + NARROW**-2)
        centre = -self.centre if self.on == "small" else self.centre
        loc = torch.full((len(x), self.num_latents), centre * variance / NARROW**2)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, math.sqrt(variance)).to_event(1))

    def target(self, copies: int) -> Target:
        """So many data that are all alike, each with random numbers of its own."""
        return Target(self.model, self.guide, torch.zeros(copies))
