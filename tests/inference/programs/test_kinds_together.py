"""What is answered of one kind of program is answered of two kinds in one: exact log p(x) of each pair."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, bracket, importance, quadrature
from toys.programs import data, normal

PLACES = torch.tensor([-2.0, 2.0], dtype=torch.float64)
SHARES = torch.tensor([0.3, 0.7], dtype=torch.float64)
SCALE = torch.tensor(1.3, dtype=torch.float64)
X = 2.0 * data(3)
Programs = tuple[Callable[[Tensor], None], Callable[[Tensor], None]]


def mixture(x: Tensor, scale: float = 1.0) -> Tensor:
    """log p(x) of z ~ N(scale · place, 1) for one of two places, x | z ~ N(z, 1/2)."""
    parts = [math.log(p) + normal(scale * place, 1.25**0.5, x) for p, place in zip(SHARES, PLACES, strict=True)]
    return torch.stack(parts).logsumexp(0)


def sizeless_with_a_global() -> Programs:
    def model(x: Tensor) -> None:
        scale = pyro.sample("scale", dist.Gamma(2.0, 1.0), obs=SCALE)
        with pyro.plate("data"):
            k = pyro.sample("k", dist.Categorical(SHARES.expand(len(x), 2)))
            z = pyro.sample("z", dist.Normal(PLACES[k] * scale, 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data"):
            pyro.sample("z", dist.Normal(0.8 * x, 0.6))

    return model, guide


def sequential_with_labels() -> Programs:
    def model(x: Tensor) -> None:
        for i in pyro.plate("data", len(x)):
            k = pyro.sample(f"k_{i}", dist.Categorical(SHARES))
            z = pyro.sample(f"z_{i}", dist.Normal(PLACES[k] * SCALE, 1.0))
            pyro.sample(f"x_{i}", dist.Normal(z, 0.5), obs=x[i])

    def guide(x: Tensor) -> None:
        for i in pyro.plate("data", len(x)):
            pyro.sample(f"k_{i}", dist.Categorical(logits=torch.stack([-x[i], x[i]])))
            pyro.sample(f"z_{i}", dist.Normal(0.8 * x[i], 0.6))

    return model, guide


@pytest.mark.slow
@pytest.mark.parametrize("make", [sizeless_with_a_global, sequential_with_labels])
def test_discrete_latents_in_plates_of_other_kinds(make: Callable[[], Programs]) -> None:
    target = Target(*make(), X).collapsed()
    torch.testing.assert_close(quadrature(target).value, mixture(X, 1.3), rtol=0.0, atol=1e-6)
    mapped = Target(*make(), X, layout="vmap").collapsed()
    z, log_q = target.propose(2)
    torch.testing.assert_close(mapped.log_joint(z), target.log_joint(z))
    torch.testing.assert_close(mapped.propose(2)[1], log_q)
    u = target.unconstrain(z)
    joint, _, z = target.log_joint_unconstrained(u)
    torch.testing.assert_close(joint, sum(target.log_joint(z)))
    picked = target.select([2, 0]).log_joint({"z": z["z"][:, [2, 0]]})
    torch.testing.assert_close(sum(picked), joint[:, [2, 0]])
    assert len(target.simulate(1)[0]) == len(X)


def test_labels_of_data_along_another_axis() -> None:
    x = data(6, 3).T.contiguous()  # [3, 6]

    def model(x: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            k = pyro.sample("k", dist.Categorical(SHARES))
            z = pyro.sample("z", dist.Normal(PLACES[k], 1.0))
            with pyro.plate("values", 3):
                pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            pyro.sample("k", dist.Categorical(logits=torch.stack([-x.mean(0), x.mean(0)], -1)))
            pyro.sample("z", dist.Normal(0.9 * x.mean(0), 0.4))

    covariance = torch.ones(3, 3) + 0.25 * torch.eye(3)
    fns = [dist.MultivariateNormal(place.expand(3), covariance) for place in PLACES]
    truth = torch.stack([p.log() + fn.log_prob(x.T) for p, fn in zip(SHARES, fns, strict=True)]).logsumexp(0)
    target = Target(model, guide, x)
    assert target.per_datum == {0: 1}
    torch.testing.assert_close(quadrature(target.select([5, 0]).collapsed()).value, truth[[5, 0]], rtol=0.0, atol=1e-6)


def test_grey_data_with_labels_in_a_plate_without_a_size() -> None:
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]])

    def model(x: Tensor) -> None:
        with pyro.plate("data"):
            y = pyro.sample("y", dist.OneHotCategorical(SHARES.expand(len(x), 2)))
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            logits = z.unsqueeze(-1) + y @ weight
            pyro.sample("x", dist.Bernoulli(logits=logits, validate_args=False).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data"):
            pyro.sample("y", dist.OneHotCategorical(SHARES.expand(len(x), 2)))
            pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))

    z = torch.linspace(-9.0, 9.0, 2001)
    logits = z[:, None, None] + weight  # [Z, 2, 3]
    log_p = (logits * x[:, None, None] - torch.nn.functional.softplus(logits)).sum(-1)  # [B, Z, 2]
    log_p = log_p + normal(0.0, 1.0, z)[:, None] + SHARES.log()
    found = quadrature(Target(model, guide, x).collapsed())
    torch.testing.assert_close(found.value, log_p.flatten(1).logsumexp(1) + math.log(18.0 / 2000), rtol=0.0, atol=1e-6)
    assert all(found.unnormalised)


@pytest.mark.slow
def test_functions_that_hold_their_data_under_a_budget_of_evaluations() -> None:
    x = data(5, 2)
    target = Target.from_functions(
        lambda num_samples: 0.4 * x + 0.8 * torch.randn(num_samples, 5, 2),
        lambda z: normal(0.4 * x, 0.8, z).sum(-1),
        lambda z: (normal(0.0, 1.0, z).sum(-1), normal(z, 1.0, x).sum(-1)),
        dim=2,
        num_data=5,
        sample_prior=lambda num_samples: torch.randn(num_samples, 5, 2),
    ).select([3, 1])
    truth = normal(0.0, 2.0**0.5, x[[3, 1]]).sum(-1)
    one, other = (bracket(target, budget="1e5 evaluations") for _ in range(2))
    assert bool(one.settled.all()) and torch.equal(one.lower.value, other.lower.value)
    torch.testing.assert_close(one.lower.value, truth, rtol=0.0, atol=1e-4)


def test_an_argument_of_all_data_with_as_many_rows() -> None:
    """Is W `[3, 3]` of three data cut with them? Whatever is taken, the numbers are right."""

    def model(x: Tensor, weight: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight, 0.5).to_event(1), obs=x)

    def guide(x: Tensor, weight: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.8 * x, 0.2**0.5).to_event(1))

    x = data(3, 3)
    truth = normal(0.0, 1.25**0.5, x).sum(-1)
    for target in (Target(model, guide, x, torch.eye(3)), Target(model, guide, x, torch.eye(3), per_datum=[0])):
        torch.testing.assert_close(importance(target, num_samples=10, search=False).value, truth)
        torch.testing.assert_close(importance(target.select([2]), num_samples=10, search=False).value, truth[2:])
