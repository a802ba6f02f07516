"""Models that branch on a discrete latent: every branch is run, or it is said which site stands in the way."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import ProgramError, Target, hmc, importance, quadrature
from toys.programs import data, normal

SEQUENTIAL = {"enumerate": "sequential"}


def guide(x: Tensor) -> None:
    pyro.sample("z", dist.Normal(0.8 * x, 1.5))


def branching(infer: Any = SEQUENTIAL) -> Callable[[Tensor], None]:
    def model(x: Tensor) -> None:
        k = pyro.sample("k", dist.Bernoulli(0.7), infer=infer)
        z = pyro.sample("z", dist.Normal(2.0, 1.0) if k else dist.Normal(-2.0, 3.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    return model


def evidence(x: Tensor) -> Tensor:
    terms = [math.log(0.7) + normal(2.0, 1.25**0.5, x), math.log(0.3) + normal(-2.0, 9.25**0.5, x)]
    return torch.stack(terms).logsumexp(0)


@pytest.mark.slow
def test_every_branch_is_run() -> None:
    x = torch.tensor(1.0)
    target = Target(branching(), guide, x, plate=None)
    z = data(5, 1)
    prior, likelihood = target.log_joint({"z": z})
    both = [math.log(0.7) + normal(2.0, 1.0, z), math.log(0.3) + normal(-2.0, 3.0, z)]
    torch.testing.assert_close(prior, torch.stack(both).logsumexp(0))
    torch.testing.assert_close(likelihood, normal(z, 0.5, x))
    assert quadrature(target).value.item() == pytest.approx(evidence(x).item(), abs=1e-6)
    estimate = importance(target, num_samples=4000)
    assert abs(estimate.value - evidence(x)) < 4 * estimate.stderr
    assert hmc(target, num_draws=100).z["z"].isfinite().all()  # prior draws and records too


def test_a_branch_may_have_discrete_sites_of_its_own() -> None:
    """k = 1 draws j as well, which nobody sees in the other branch; both are summed out."""

    def model(x: Tensor) -> None:
        k = pyro.sample("k", dist.Bernoulli(0.7), infer=SEQUENTIAL)
        loc = torch.tensor(-1.0)
        if k:
            j = pyro.sample("j", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])), infer=SEQUENTIAL)
            loc = torch.tensor([0.0, 1.0, 2.0])[j]
        pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(loc, 0.5), obs=x)

    x = torch.tensor(0.4)
    locs, shares = torch.tensor([-1.0, 0.0, 1.0, 2.0]), torch.tensor([0.3, 0.14, 0.21, 0.35])
    expected = (shares.log() + normal(locs, 0.5, x)).logsumexp(0)
    likelihood = Target(model, guide, x, plate=None).log_joint({"z": data(3, 1)})[1]
    torch.testing.assert_close(likelihood, expected.expand(3, 1), check_dtype=False)


def test_in_a_data_plate_and_beside_a_parallel_site() -> None:
    """Each datum has its own k; a site that is enumerated in parallel is summed in every branch."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Bernoulli(0.7), infer=SEQUENTIAL)
            j = pyro.sample("j", dist.Bernoulli(0.4))
            z = pyro.sample("z", dist.Normal(4.0 * k - 2.0, 1.0))
            pyro.sample("x", dist.Normal(z + j, 0.5), obs=x)

    def amortized(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.8 * x, 1.0))

    x = data(4)
    z = data(2, 4)
    prior, likelihood = Target(model, amortized, x).log_joint({"z": z})
    expected = torch.stack([math.log(0.7) + normal(2.0, 1.0, z), math.log(0.3) + normal(-2.0, 1.0, z)]).logsumexp(0)
    torch.testing.assert_close(prior, expected)
    pair = torch.stack([math.log(0.4) + normal(z + 1.0, 0.5, x), math.log(0.6) + normal(z, 0.5, x)]).logsumexp(0)
    torch.testing.assert_close(likelihood, pair)


def test_a_branch_that_is_not_announced_is_refused_by_name() -> None:
    with pytest.raises(ProgramError, match=r"(?s)discrete sites \['k'\].*Boolean.*'enumerate': 'sequential'"):
        Target(branching({}), guide, torch.tensor(1.0), plate=None)


def test_a_latent_that_one_branch_lacks_is_refused() -> None:
    def model(x: Tensor) -> None:
        k = pyro.sample("k", dist.Bernoulli(0.999999), infer=SEQUENTIAL)
        z = pyro.sample("z", dist.Normal(2.0, 1.0)) if k else torch.tensor(0.0)
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    with pytest.raises(ProgramError, match=r"does not draw its latent sites \['z'\] where k = 0"):
        Target(model, guide, torch.tensor(1.0), plate=None)


def test_a_site_that_only_a_branch_draws_is_refused() -> None:
    def model(x: Tensor) -> None:
        k = pyro.sample("k", dist.Bernoulli(0.999999), infer=SEQUENTIAL)
        z = pyro.sample("z", dist.Normal(2.0, 1.0))
        w = torch.tensor(0.0) if k else pyro.sample("w", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z + w, 0.5), obs=x)

    with pytest.raises(ProgramError, match=r"draws site 'w' in some branches only \(k = 0\)"):
        Target(model, guide, torch.tensor(1.0), plate=None)


def test_a_support_that_depends_on_the_branch_is_refused() -> None:
    def model(x: Tensor) -> None:
        k = pyro.sample("k", dist.Bernoulli(0.5), infer=SEQUENTIAL)
        z = pyro.sample("z", dist.Uniform(0.0, 1.0) if k else dist.Uniform(0.0, 2.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def uniform(x: Tensor) -> None:
        pyro.sample("z", dist.Uniform(0.0, 2.0))

    target = Target(model, uniform, torch.tensor(1.0), plate=None)
    with pytest.raises(ProgramError, match=r"supports of the sites \['z'\] depend on \['k'\]"):
        quadrature(target)
