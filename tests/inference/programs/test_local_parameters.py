"""Guides with something trained for each datum, however they are written: targets that cannot be cut."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom.inference import ProgramError, Target, calibrate
from toys.programs import data, normal

X = data(6)
SD = 0.2**0.5
Guide = Callable[[Tensor], None]


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def statement(x: Tensor) -> None:
    with pyro.plate("data", len(x)) as i:
        loc = pyro.param("loc", lambda: 0.8 * X)
        pyro.sample("z", dist.Normal(loc[i], SD))


def one_statement_each(x: Tensor) -> None:
    loc = torch.stack([pyro.param(f"loc_{b}", 0.8 * X[b]) for b in range(len(x))])
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(loc, SD))


def rows_of_the_plate(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        loc = pyro.param("loc", lambda: 0.8 * X, event_dim=0)
        pyro.sample("z", dist.Normal(loc, SD))


class Constrained(PyroModule):
    def __init__(self) -> None:
        super().__init__()
        self.loc = PyroParam(0.8 * X)
        self.scale = PyroParam(torch.full((6,), SD), constraints.positive)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)) as i:
            pyro.sample("z", dist.Normal(self.loc[i], self.scale[i]))


class OfModule(PyroModule):
    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(0.8 * X.unsqueeze(-1))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)) as i:
            pyro.sample("z", dist.Normal(self.loc[i].squeeze(-1), SD))


class Embedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 1, dtype=torch.float64)
        self.table.weight.data.copy_(0.8 * X.unsqueeze(-1))

    def guide(self, x: Tensor) -> None:
        pyro.module("embedding", self)
        with pyro.plate("data", len(x)) as i:
            pyro.sample("z", dist.Normal(self.table(i).squeeze(-1), SD))


class Unknown(nn.Module):
    """Its parameter is known to Pyro by nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(0.8 * X)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.loc[: len(x)], SD))


def auto_normal() -> Guide:
    guide = AutoNormal(model)
    guide(X)
    guide.locs.z.data.copy_(0.8 * X)
    guide.scales.z = torch.full((6,), SD)
    return guide


GUIDES: dict[str, Callable[[], Guide]] = {
    "a statement": lambda: statement,
    "a statement for each": lambda: one_statement_each,
    "rows of the plate": lambda: rows_of_the_plate,
    "PyroParam": Constrained,
    "nn.Parameter of a PyroModule": OfModule,
    "embedding": lambda: Embedding().guide,
    "nn.Parameter that Pyro does not know": Unknown,
    "AutoNormal": auto_normal,
}


@pytest.mark.parametrize("name", GUIDES)
@pytest.mark.parametrize("called", [False, True])
def test_the_data_stay_whole_and_the_numbers_are_right(name: str, called: bool) -> None:
    guide = GUIDES[name]()
    if called:
        guide(X)
    target = Target(model, guide, X)
    assert not target.sliceable
    truth = normal(0.0, 1.25**0.5, X)
    torch.testing.assert_close(target.log_weights(2), truth.expand(2, 6))
    torch.testing.assert_close(target.select([4, 1]).log_weights(2), truth[[4, 1]].expand(2, 2))
    with pytest.raises(
        ValueError, match=r"cannot be picked and repeated.*(have a row for each datum|keeps its size 6)"
    ):
        calibrate(target)


def test_weights_of_as_many_units_as_data_are_no_rows_of_theirs() -> None:
    """A hidden layer of six units, and six data."""
    net = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))

    def amortised(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(net(x.unsqueeze(-1)).squeeze(-1), SD))

    target = Target(model, amortised, X)
    assert target.sliceable and target.local == ()


def test_centred_data_are_still_refused() -> None:
    """No row of their own, but the others' mean."""
    loc = nn.Parameter(0.8 * X)

    def centred(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc.mean() + x - x.mean(), SD))

    with pytest.raises(ProgramError, match="by itself: it depends on the other data"):
        Target(model, centred, X)
