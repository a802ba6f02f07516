"""Counts under a Multinomial whose total is read off the data."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy.stats import multinomial
from torch import Tensor

from elbowroom.inference import Target, check_program, importance
from elbowroom.inference.programs.structure import ProgramError

P = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
X = torch.tensor([[3.0, 1.0, 2.0], [0.0, 4.0, 5.0]], dtype=torch.float64)


def counts(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), dtype=torch.float64), 1.0))
        pyro.sample("x", dist.Multinomial(probs=P, validate_args=False), obs=x)


def prior(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), dtype=torch.float64), 1.0))


def test_the_total_is_that_of_the_data() -> None:
    exact = [float(multinomial.logpmf(row.numpy(), int(row.sum()), P.numpy())) for row in X]
    estimate = importance(Target(counts, prior, X), num_samples=4)
    torch.testing.assert_close(estimate.value, torch.tensor(exact, dtype=torch.float64))
    assert not any(estimate.flags) and not check_program(counts, prior, X).notes


def test_counts_beyond_the_total_are_refused_where_nobody_consented() -> None:
    """A global default that is off says nothing of these data."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x), dtype=torch.float64), 1.0))
            pyro.sample("x", dist.Multinomial(6, probs=P), obs=x)  # the second datum has nine

    for switched_on in (True, False):
        with pyro.validation_enabled(switched_on), pytest.raises(ProgramError, match=r"outside the support.*\[1\]"):
            Target(model, prior, X)


def test_other_totals_are_not_simulated() -> None:
    with pytest.raises(ProgramError, match=r"sum to 1.*Give the site the data's total_count"):
        Target(counts, prior, X).simulate()


def test_many_samples_run_at_once() -> None:
    """In a model that knows of no sample dim; entries of probability zero count nothing where nothing was counted."""
    log_x = X.new_tensor([0.4, -0.2])

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1))
        logits = torch.cat([z, z.new_full((1,), -torch.inf)])
        pyro.sample("x", dist.Multinomial(logits=logits, validate_args=False), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1))

    x = torch.tensor([3.0, 2.0, 0.0], dtype=torch.float64)
    target = Target(model, guide, x, plate=None)
    assert target.layouts["model"] == "vmap"
    z = log_x.expand(2, 1, 2).clone().requires_grad_()
    likelihood = target.log_joint({"z": z})[1]
    p = float(log_x.softmax(-1)[0])
    exact = multinomial.logpmf([3, 2], 5, [p, 1 - p])
    torch.testing.assert_close(likelihood, torch.full((2, 1), float(exact), dtype=torch.float64))
    (gradient,) = torch.autograd.grad(likelihood.sum(), z)
    torch.testing.assert_close(gradient[0, 0, 0], gradient.new_tensor(3 - 5 * p))


@pytest.mark.parametrize("bad", [-1.0, 0.5], ids=["negative", "fraction"])
def test_what_is_no_count_is_refused(bad: float) -> None:
    x = X.clone()
    x[1, 0] = bad
    with pytest.raises(ProgramError, match="outside the support"):
        Target(counts, prior, x)
