"""What a user's own file may hold; copied by the tests to where the command is run."""

import os
import signal

import pyro
import pyro.distributions as dist
import torch

from elbowroom.guides import AmortizedNormal
from elbowroom.models import VAE

_calls = 0


def make_model():
    return VAE(9, 2, (8,))


def make_guide():
    return AmortizedNormal(9, 2, (8,))


class Model(VAE):
    def __init__(self):
        super().__init__(9, 2, (8,))


class Guide(AmortizedNormal):
    def __init__(self):
        super().__init__(9, 2, (8,))


class NeedsWidth(VAE):
    def __init__(self, width):
        super().__init__(9, 2, (width,))


the_model = make_model()
the_guide = make_guide()


def model(x):
    weight = pyro.param("weight", lambda: 0.1 * torch.randn(2, 9))
    bias = pyro.param("bias", torch.zeros(9))
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Bernoulli(logits=z @ weight + bias).to_event(1), obs=x)


def guide(x):
    weight = pyro.param("back", lambda: 0.1 * torch.randn(9, 2))
    std = pyro.param("std", torch.ones(2), constraint=dist.constraints.positive)
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x @ weight, std).to_event(1))


def stopped_model(x):
    """The model; its STOP_AT-th call sends this process the signal STOP_BY."""
    global _calls
    _calls += 1
    if _calls == int(os.environ.get("STOP_AT", "0")):
        os.kill(os.getpid(), getattr(signal, os.environ["STOP_BY"]))
    return model(x)


a_number = 3


def fails():
    raise KeyError("not today")


def wrong_site(x):
    with pyro.plate("data", len(x)):
        pyro.sample("w", dist.Normal(torch.zeros(2), 1.0).to_event(1))
