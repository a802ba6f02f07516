"""Programs on which every objective of the registry can be trained: two latents; a small M2; a small codebook."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from elbowroom.guides import NearestCode
from elbowroom.inference.training import OBJECTIVES, fit
from elbowroom.models import VectorQuantized
from toys.training import SIZE, ToyGuide, ToyModel, make_data

LABELLED = ("semi-supervised",)
"""Objectives that are for programs with a label that is told of some data."""

OPTIONS: dict[str, dict[str, Any]] = {"exact": {"loss_options": {"points": 5}}}
"""Arguments of `fit` with which an objective is tried, besides its name and as few particles as it takes."""


class LabelledModel(PyroModule):
    """y ~ Cat(π), z ~ N(0, I_2), x | y, z ~ N(W z + c_y, 1), with y told where `seen`."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.centres = nn.Linear(2, SIZE), nn.Parameter(torch.randn(3, SIZE))

    def forward(self, x: Tensor, y: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("y", dist.Categorical(torch.ones(3) / 3), obs=y, obs_mask=seen)
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.network(z) + self.centres[k], 1.0).to_event(1), obs=x)


class LabelledGuide(PyroModule):
    """q(y|x) q(z|x, y) = Cat(y; softmax(V x)) N(z; U x + d_y, 1/4)."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier, self.network = nn.Linear(SIZE, 3), nn.Linear(SIZE, 2)
        self.shifts = nn.Parameter(torch.randn(3, 2))

    def forward(self, x: Tensor, y: Tensor, seen: Tensor) -> None:
        with pyro.plate("data", len(x)):
            drawn = pyro.sample("y_unobserved", dist.Categorical(logits=self.classifier(x)).mask(~seen))
            k = torch.where(seen, y, drawn)
            pyro.sample("z", dist.Normal(self.network(x) + self.shifts[k], 0.5).to_event(1))


def quantized() -> tuple[nn.Module, nn.Module]:
    """Two codes of four vectors, of which a minibatch of eight data leaves some idle."""
    model = VectorQuantized(SIZE, 4, 2, 2, (5,), "normal-fixed", sigma=1.0, prior_hidden=(3,))
    return model, NearestCode(model, (5,))


PROGRAMS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
    "semi-supervised": lambda: (LabelledModel(), LabelledGuide()),
    "quantized": quantized,
}
"""Of the objectives that are for programs of a kind."""


def programs(name: str) -> tuple[nn.Module, nn.Module]:
    """A pair with the same initial parameters at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PROGRAMS.get(name, lambda: (ToyModel(), ToyGuide()))()


def rows(name: str, num_data: int = 20, seed: int = 1) -> Any:
    """Data for them."""
    x = make_data(num_data, seed)
    index = torch.arange(num_data)
    return (x, index % 3, index % 2 == 0) if name in LABELLED else x


def train(name: str, pair: tuple[Any, Any] | None = None, **options: Any) -> tuple[tuple[Any, Any], Any]:
    """Six steps, three an epoch, by an objective; the programs and what `fit` says."""
    model, guide = pair or programs(name)
    objective = OBJECTIVES[name]
    defaults: dict[str, Any] = {
        "num_epochs": 2, "batch_size": 8, "learning_rate": 0.02, "seed": 1, "progress": False, "loss": name,
        "num_particles": objective.least_particles, **OPTIONS.get(name, {}),
    }  # fmt: skip
    data = options.pop("data", None)
    return (model, guide), fit(model, guide, rows(name) if data is None else data, **defaults | options)
