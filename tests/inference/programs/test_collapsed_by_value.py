"""Discrete sites of the guide, in programs that do not broadcast over their values: run value by value, exactly."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, bounds, importance, quadrature
from elbowroom.inference.programs.structure import ProgramError
from toys.programs import normal

LOCS = torch.tensor([-2.0, 2.0], dtype=torch.float64)
PRIOR = torch.tensor([0.3, 0.7], dtype=torch.float64)
X = torch.tensor([-1.0, 0.2, 3.0], dtype=torch.float64)


def mixture(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.OneHotCategorical(PRIOR))
        z = pyro.sample("z", dist.Normal(k @ LOCS, 1.0))
        joined = torch.cat([z[..., None], k], -1)  # as networks do that take a latent and a label
        pyro.sample("x", dist.Normal(joined[..., 0], 0.5), obs=x)


def labelled(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.OneHotCategorical(logits=torch.stack([-x, x], -1)))
        joined = torch.cat([x[..., None], k], -1)
        pyro.sample("z", dist.Normal(0.8 * joined[..., 0] + 0.2 * k @ LOCS, 0.5))


def broadcasting(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.OneHotCategorical(logits=torch.stack([-x, x], -1)))
        pyro.sample("z", dist.Normal(0.8 * x + 0.2 * k @ LOCS, 0.5))


def evidence(x: Tensor) -> Tensor:
    terms = [math.log(p) + normal(loc, 1.25**0.5, x) for p, loc in zip(PRIOR, LOCS, strict=True)]
    return torch.stack(terms).logsumexp(0)


@pytest.mark.parametrize("guide", [labelled, broadcasting], ids=["neither broadcasts", "the guide broadcasts"])
def test_both_programs_are_summed_value_by_value(guide: object) -> None:
    summed = Target(mixture, guide, X).collapsed()  # type: ignore[arg-type]
    assert summed.latents == {"z": ()} and summed.structure.sequential == summed.structure.collapsed == ("k",)
    z, drawn = summed.propose(4)
    share = torch.stack([-X, X], -1).log_softmax(-1)
    log_q = torch.stack([share[:, k] + normal(0.8 * X + 0.2 * LOCS[k], 0.5, z["z"]) for k in (0, 1)]).logsumexp(0)
    torch.testing.assert_close(drawn, log_q)
    torch.testing.assert_close(summed.log_guide(z), log_q)
    prior, likelihood = summed.log_joint(z)
    terms = [math.log(p) + normal(loc, 1.0, z["z"]) for p, loc in zip(PRIOR, LOCS, strict=True)]
    torch.testing.assert_close(prior, torch.stack(terms).logsumexp(0))
    torch.testing.assert_close(likelihood, normal(z["z"], 0.5, X))
    one = Target(mixture, guide, X).select([2]).collapsed()  # type: ignore[arg-type]
    torch.testing.assert_close(one.log_guide({"z": z["z"][:, 2:]}), log_q[:, 2:])


@pytest.mark.slow
def test_estimators_answer() -> None:
    target, exact = Target(mixture, labelled, X), evidence(X)
    torch.testing.assert_close(quadrature(target).value, exact, rtol=0.0, atol=1e-6)
    estimate = importance(target, num_samples=2000, search=False)
    assert ((estimate.value - exact).abs() < 4 * estimate.stderr).all() and estimate.info["summed_out"] == ("k",)


def pointing(x: Tensor) -> None:
    """A label that follows from another one, in a network that does not broadcast."""
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.OneHotCategorical(logits=torch.stack([-x, x], -1)))
        pyro.sample("other", dist.Delta(((k[..., 0] > 0) ^ (x > 0)).long()))
        joined = torch.cat([x[..., None], k], -1)
        pyro.sample("z", dist.Normal(0.8 * joined[..., 0] + 0.2 * k @ LOCS, 0.5))


def two_labels(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.OneHotCategorical(PRIOR))
        pyro.sample("other", dist.Categorical(PRIOR))
        z = pyro.sample("z", dist.Normal(k @ LOCS, 1.0))
        joined = torch.cat([z[..., None], k], -1)
        pyro.sample("x", dist.Normal(joined[..., 0], 0.5), obs=x)


@pytest.mark.slow
def test_a_point_that_follows_from_another_site() -> None:
    summed = Target(two_labels, pointing, X).collapsed()
    assert summed.structure.sequential == summed.structure.collapsed and set(summed.latents) == {"z"}
    torch.testing.assert_close(quadrature(summed).value, evidence(X), rtol=0.0, atol=1e-6)
    z, log_q = summed.propose(4)
    torch.testing.assert_close(log_q, Target(mixture, labelled, X).collapsed().log_guide(z))


def with_a_global(x: Tensor) -> None:
    pyro.sample("s", dist.LogNormal(0.0, 1.0), obs=torch.tensor(3.0, dtype=torch.float64))
    mixture(x)


def running_the_model(x: Tensor) -> None:
    """Writes down what the model observes, as messengers do."""
    pyro.sample("s", dist.LogNormal(0.0, 1.0), obs=torch.tensor(3.0, dtype=torch.float64))
    labelled(x)


@pytest.mark.slow
def test_globals_that_a_guide_runs_are_no_part_of_log_q() -> None:
    summed = Target(with_a_global, running_the_model, X).collapsed()
    z, log_q = summed.propose(4)
    torch.testing.assert_close(log_q, Target(mixture, labelled, X).collapsed().log_guide(z))
    torch.testing.assert_close(quadrature(summed).value, evidence(X), rtol=0.0, atol=1e-6)


def many(x: Tensor) -> None:
    """Does not broadcast, and has more combinations than are run one by one."""
    with pyro.plate("data", len(x)):
        with pyro.plate("entries", 7, dim=-2):
            code = pyro.sample("code", dist.Bernoulli(torch.full((), 0.5, dtype=torch.float64)))
        assert code.dim() == 2, "does not broadcast"
        pyro.sample("x", dist.Normal(code.sum(-2), 1.0), obs=x)


def its_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)), pyro.plate("entries", 7, dim=-2):
        pyro.sample("code", dist.Bernoulli(torch.full((), 0.4, dtype=torch.float64)))


def test_draws_are_weighed_as_they_are_where_sites_cannot_be_summed_out() -> None:
    target = Target(many, its_guide, X)
    with pytest.raises(ProgramError, match=r"discrete sites \['code'\] are summed out"):
        target.collapsed()
    assert target.collapsed(needed=False) is target
    ways = torch.tensor([math.comb(7, n) / 2**7 for n in range(8)], dtype=torch.float64)
    exact = (ways.log()[:, None] + normal(torch.arange(8.0, dtype=torch.float64)[:, None], 1.0, X)).logsumexp(0)
    estimate = importance(target, num_samples=4000, search=False)
    assert ((estimate.value - exact).abs() < 4 * estimate.stderr).all() and "summed_out" not in estimate.info
    assert bounds(target, num_samples=8)["elbo"].value.isfinite().all()
