"""Masks where discrete sites are summed out of both programs: the prior draws what is hidden, or the guide."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import Target, importance, quadrature
from toys.failure_budget import sigmas
from toys.selections import rest_slow

X = torch.tensor([-1.0, 0.2, 3.0], dtype=torch.float64)
SEEN = torch.tensor([True, False, False])
SHARES, CENTRES = torch.tensor([0.3, 0.7], dtype=torch.float64), torch.tensor([-2.0, 2.0], dtype=torch.float64)
GRID = torch.linspace(-24.0, 24.0, 1201, dtype=torch.float64)


def evidence() -> Tensor:
    """log Σ_k p(k) N(x; m_k, 1.25)."""
    return (SHARES.log() + dist.Normal(CENTRES, 1.25**0.5).log_prob(X.unsqueeze(-1))).logsumexp(-1)


def code_hidden(reads: bool) -> Target:
    """k is masked in both programs for two of three data; the guide's z may depend on it."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            with poutine.mask(mask=SEEN):
                k = pyro.sample("k", dist.Categorical(SHARES))
            z = pyro.sample("z", dist.Normal(CENTRES[k], 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            with poutine.mask(mask=SEEN):
                k = pyro.sample("k", dist.Categorical(logits=torch.stack([-x, x], -1) / 3))
            pyro.sample("z", dist.Normal(0.8 * x + (0.2 * CENTRES[k] if reads else 0.0), 0.6))

    return Target(model, guide, X)


def value_hidden(reads: bool = False, sequential: bool = False, first: bool = False) -> Target:
    """z is masked for two of three data, and x then missing; the guide draws k before it, or after and by it."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(SHARES))
            j = pyro.sample("j", dist.Bernoulli(0.4), infer={"enumerate": "sequential"} if sequential else None)
            shift = (1.0 if j.flatten()[0] else 0.0) if sequential else j
            with poutine.mask(mask=SEEN):
                z = pyro.sample("z", dist.Normal(CENTRES[k] + shift, 1.0))
                pyro.sample("x", dist.Normal(z, 0.5), obs=x)
            pyro.sample("y", dist.Normal(CENTRES[k], 2.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            if first:
                with poutine.mask(mask=SEEN):
                    z = pyro.sample("z", dist.Normal(0.8 * x, 2.5))
                pyro.sample("k", dist.Categorical(logits=torch.stack([-z, z], -1) / 3))
                return
            k = pyro.sample("k", dist.Categorical(logits=torch.stack([-x, x], -1) / 3))
            with poutine.mask(mask=SEEN):
                pyro.sample("z", dist.Normal(0.8 * x + (0.2 * CENTRES[k] if reads else 0.0), 0.6))

    return Target(model, guide, X)


def evidence_of_both() -> Tensor:
    """log Σ_kj p(k) p(j) N(y; m_k, 2) N(x; m_k + j, 1.25), the last where x is seen."""
    x, shift = X[:, None, None], torch.tensor([0.0, 1.0], dtype=torch.float64)
    log_p = SHARES.log()[:, None] + torch.tensor([0.6, 0.4], dtype=torch.float64).log()
    log_y = dist.Normal(CENTRES, 2.0).log_prob(X.unsqueeze(-1)).unsqueeze(-1)
    log_x = dist.Normal(CENTRES[:, None] + shift, 1.25**0.5).log_prob(x)
    return (log_p + log_y + torch.where(SEEN[:, None, None], log_x, 0.0)).flatten(1).logsumexp(1)


PAIRS: dict[str, tuple[Callable[[], Target], Callable[[], Tensor]]] = {
    "a hidden code": (lambda: code_hidden(False), evidence),
    "a hidden code that z reads": (lambda: code_hidden(True), evidence),
    "a hidden value": (value_hidden, evidence_of_both),
    "a hidden value that reads the code": (lambda: value_hidden(reads=True), evidence_of_both),
    "a hidden value below a branch": (lambda: value_hidden(sequential=True), evidence_of_both),
    "a hidden value that the code reads": (lambda: value_hidden(first=True), evidence_of_both),
}


@pytest.mark.parametrize("name", rest_slow(PAIRS, 2))
def test_the_evidence_is_exact(name: str) -> None:
    make, truth = PAIRS[name]
    target = make()
    summed = target.collapsed()
    assert summed.structure.collapsed == ("k",) and list(summed.latents) == ["z"]
    z = {"z": GRID.unsqueeze(-1).expand(-1, len(X))}
    mass = summed.log_guide(z).logsumexp(0) + (GRID[1] - GRID[0]).log()
    torch.testing.assert_close(mass, torch.zeros(3, dtype=torch.float64), rtol=0.0, atol=1e-9)
    torch.testing.assert_close(quadrature(target).value, truth(), rtol=0.0, atol=1e-6)
    estimate = importance(target, num_samples=300, search=False)
    assert (estimate.value - truth()).abs().lt(sigmas(3) * estimate.stderr + 1e-9).all()
    drawn, log_q = summed.propose(50)
    torch.testing.assert_close(log_q, summed.log_guide(drawn), rtol=1e-12, atol=1e-12)
    few = summed.select([2, 0])
    torch.testing.assert_close(few.log_weights(5), summed.log_weights(5)[:, [2, 0]], rtol=1e-12, atol=1e-12)


def test_a_guide_that_draws_fewer_codes_misses_none_in_the_models_sum() -> None:
    """Its own draws are doubted; summed out, the third code counts in p(x, z), and the reason is gone."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.full((3,), 1 / 3, dtype=torch.float64)))
            z = pyro.sample("z", dist.Normal(k.to(x) - 1.0, 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Categorical(torch.tensor([0.5, 0.5], dtype=torch.float64)))
            pyro.sample("z", dist.Normal(0.8 * x, 0.7))

    target = Target(model, guide, X)
    assert "'k' (Categorical) cannot reach" in target.cautions[0] and target.collapsed().cautions == ("", "", "")
    centres = torch.arange(3, dtype=torch.float64) - 1.0
    truth = dist.Normal(centres, 1.25**0.5).log_prob(X.unsqueeze(-1)).logsumexp(-1) - torch.tensor(3.0).log()
    estimate = importance(target, num_samples=4000)
    assert estimate.flags == ("", "", "")
    assert (estimate.value - truth).abs().lt(sigmas(3) * estimate.stderr).all()


def test_a_site_whose_values_the_guide_does_not_list_is_drawn() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Binomial(3, 0.3))
            pyro.sample("x", dist.Normal(k, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Geometric(torch.full_like(x, 0.5)))

    target = Target(model, guide, X)
    assert target.collapsed() is target
    k = torch.arange(4.0)
    truth = (dist.Binomial(3, 0.3).log_prob(k) + dist.Normal(k, 1.0).log_prob(X.unsqueeze(-1))).logsumexp(-1)
    estimate = importance(target, num_samples=4000)
    assert (estimate.value - truth).abs().lt(sigmas(3) * estimate.stderr).all()
