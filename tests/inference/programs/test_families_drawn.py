"""Every family of Pyro's, drawn from counter-based noise: each datum's draws its own, by the right law, or refused."""

import inspect
from typing import Any, ClassVar

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs.intercept import CannotDraw, intercept
from elbowroom.inference.programs.noise import Noise
from toys.failure_budget import BUDGET
from toys.families import COMPOSED, FAMILIES, WRAPPERS, Family

ALL = FAMILIES | COMPOSED
DRAWN = sorted(name for name, family in ALL.items() if not family.refused)
KEYS = np.arange(6, dtype=np.uint64) + 5
S = 3
OF_LIBRARIES = pytest.mark.filterwarnings("ignore:class LKJCorrCholesky", "ignore:Singular sample detected")
"""What Pyro and torch warn of: a deprecated name; torch's Wishart takes its sound draws for singular, once."""


def parameters() -> Tensor:
    return torch.linspace(0.15, 0.85, 6)


def draw(family: Family, data: list[int], layout: str, num_samples: int = S) -> Tensor:
    """`[S, B, *event]` of some data: in a plate of samples, folded into the batch, in two plates, or one by one."""
    t, noise = parameters()[data], Noise(0, KEYS[data], num_samples)
    if family.single:
        return torch.stack([_single(family, b, num_samples) for b in data], 1)
    if layout == "loop":
        noise.keep = True
        return torch.stack([_drawn(family, t, noise, (len(data),), lambda v, s=s: v[s]) for s in range(num_samples)])
    if layout == "fold":
        z = _drawn(family, t.repeat(num_samples), noise, (num_samples * len(data),), lambda v: v.flatten(0, 1))
        return z.unflatten(0, (num_samples, len(data)))
    return _drawn(family, t.expand(num_samples, len(data)), noise, (num_samples, len(data)), lambda v: v)


def _drawn(family: Family, t: Tensor, noise: Noise, batch: tuple[int, ...], lead: Any) -> Tensor:
    fn = family.make(t)
    if fn.batch_shape != batch:
        fn = fn.expand(batch)
    with intercept(noise, "z", fn, lambda values, shape: lead(values).reshape(*shape, -1)):
        return fn.sample()


def _single(family: Family, datum: int, num_samples: int) -> Tensor:
    noise, fn = Noise(0, KEYS[[datum]], num_samples), family.make(parameters()[datum])
    noise.keep = True
    drawn = []
    for s in range(num_samples):
        with intercept(noise, "z", fn, lambda values, shape, s=s: values[s].reshape(*shape, -1)):
            drawn.append(fn.sample())
    return torch.stack(drawn)


def test_every_family_of_pyro_is_here() -> None:
    classes = {n for n, c in vars(dist).items() if inspect.isclass(c) and issubclass(c, dist.Distribution)}
    assert classes - WRAPPERS == set(FAMILIES)


@OF_LIBRARIES
@pytest.mark.parametrize("name", DRAWN)
def test_a_datums_draws_are_its_own(name: str) -> None:
    """In other company, in another order, alone, and in another layout."""
    family, layouts = ALL[name], ("plate", "fold", "loop")
    whole = draw(family, list(range(6)), "loop")
    for layout in layouts:
        for data in ([4, 1], [3], list(range(6)), [2, 3, 0]):
            torch.testing.assert_close(draw(family, data, layout), whole[:, data], rtol=1e-12, atol=1e-12)


@OF_LIBRARIES
@pytest.mark.parametrize("name", DRAWN)
def test_draws_have_the_law_of_the_familys_own_sampler(name: str) -> None:
    """Each element, and a mixture of all, against draws by torch's generator: Kolmogorov–Smirnov of two samples."""
    family, size = ALL[name], 150 if ALL[name].single else 4000
    t = torch.full((size,), 0.6)
    if family.single:
        ours = _single(family, 4, size)
        theirs = torch.stack([family.make(t[0]).sample() for _ in range(size)])
    else:
        noise, batch = Noise(1, np.arange(size, dtype=np.uint64), 1), (size,)
        ours = _drawn(family, t, noise, batch, lambda v: v[0])
        fn = family.make(t)
        theirs = (fn if fn.batch_shape == batch else fn.expand(batch)).sample()
    a, b = (z.reshape(size, -1).double().numpy() for z in (ours, theirs))
    mixed = np.sin(1 + np.arange(a.shape[1]))
    for left, right in [*zip(a.T, b.T, strict=True), (a @ mixed, b @ mixed)]:
        assert stats.ks_2samp(left, right, method="asymp").pvalue > BUDGET / len(DRAWN) / (1 + len(mixed))


@pytest.mark.parametrize("name", sorted(name for name, family in ALL.items() if family.refused))
def test_what_cannot_be_drawn_is_refused_by_name(name: str) -> None:
    family = ALL[name]
    with pytest.raises(CannotDraw, match=rf"site 'z'.*{family.refused}"):
        _single(family, 0, 1) if family.single else draw(family, [0, 1], "plate")


class Unexpandable(dist.TorchDistribution):
    """A Normal that Pyro has to expand for its author: new dims are drawn from the right, and reshaped."""

    arg_constraints: ClassVar[dict] = {}
    support = torch.distributions.constraints.real

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc.shape, validate_args=False)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self.loc + torch.randn(*sample_shape, *self.loc.shape)


def test_what_pyro_expands_is_drawn_in_its_order_or_refused() -> None:
    whole = draw(Family(lambda t: dist.Normal(t, 1.0)), [0, 1, 2], "loop")
    for loc, place in ((torch.zeros(()), 0.0), (parameters()[:3], parameters()[:3])):
        drawn = draw(Family(lambda t, loc=loc: Unexpandable(loc)), [0, 1, 2], "plate") - place
        torch.testing.assert_close(drawn, whole - parameters()[:3])
    with pytest.raises(CannotDraw, match=r"site 'z' \(Unexpandable\) .* cannot be told"):
        draw(Family(lambda t: Unexpandable(torch.zeros(S, 1))), [0, 1, 2], "plate")


def test_counts_of_categories_are_simulated() -> None:
    """`simulate` of a multinomial likelihood: each datum's counts are its own, and add up."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
            pyro.sample("x", dist.Multinomial(9, logits=z), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 9, 1.0).to_event(1))

    target = Target(model, guide, torch.tensor([[3.0, 3, 3], [9, 0, 0], [1, 2, 6]]))
    simulated, z = target.simulate(seed=3)
    assert simulated.data[0].sum(-1).tolist() == [9.0] * 3
    alone, z_alone = target.select([2]).simulate(seed=3)
    torch.testing.assert_close((alone.data[0][0], z_alone["z"][0, 0]), (simulated.data[0][2], z["z"][0, 2]))
