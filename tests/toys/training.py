"""Small programs that the tests of training share. Model and guide name their networks alike on purpose."""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

SIZE = 5


class ToyModel(PyroModule):
    """z ~ N(0, I_2), x | z ~ N(W z + b, s²) with learned W, b, s."""

    def __init__(self, num_latents: int = 2) -> None:
        super().__init__()
        self.num_latents = num_latents
        self.network = nn.Linear(num_latents, SIZE)
        self.scale = PyroParam(torch.tensor(1.0), constraint=constraints.positive)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(self.num_latents), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(self.network(z), self.scale).to_event(1), obs=x)


class ToyGuide(PyroModule):
    """q(z|x) = N(V x + c, t²) with learned V, c, t."""

    def __init__(self, num_latents: int = 2) -> None:
        super().__init__()
        self.network = nn.Linear(SIZE, num_latents)
        self.scale = PyroParam(torch.full((num_latents,), 0.7), constraint=constraints.positive)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.network(x), self.scale).to_event(1))


class NormalisedGuide(ToyGuide):
    """The same behind batch normalisation, whose running statistics are part of what a run must save."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.BatchNorm1d(SIZE), nn.Dropout(0.2), nn.Linear(SIZE, 2))


class Conjugate(PyroModule):
    """z ~ N(0, 1), x | z ~ N(z, 1), so that log p(x) = log N(x; 0, 2); nothing to learn."""

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    @staticmethod
    def log_evidence(x: Tensor) -> Tensor:
        return dist.Normal(0.0, math.sqrt(2.0)).log_prob(x)


class ConjugateGuide(PyroModule):
    """q(z|x) = N(a x + c, s²); exact at a = 1/2, c = 0, s² = 1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.slope, self.offset = nn.Parameter(torch.tensor(0.1)), nn.Parameter(torch.tensor(0.3))
        self.spread = PyroParam(torch.tensor(1.0), constraint=constraints.positive)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.slope * x + self.offset, self.spread))


def make_pair(seed: int = 0) -> tuple[ToyModel, ToyGuide]:
    """A model and a guide with the same initial parameters for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ToyModel(), ToyGuide()


def make_data(num_data: int = 40, seed: int = 1) -> Tensor:
    """Data that a ToyModel could have made, `[N, SIZE]`."""
    generator = torch.Generator().manual_seed(seed)
    z, w = torch.randn(num_data, 2, generator=generator), torch.randn(2, SIZE, generator=generator)
    return z @ w + 0.3 * torch.randn(num_data, SIZE, generator=generator)


def values(*modules: nn.Module) -> list[Tensor]:
    """Copies of every parameter and buffer."""
    return [t.detach().clone() for m in modules for t in (*m.parameters(), *m.buffers())]


def equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    """Whether two lists of tensors are the same to the last bit."""
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
