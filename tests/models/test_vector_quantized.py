"""Codes of a codebook: densities by hand and by brute force, bounds at a code, the straight-through copy, draws."""

from itertools import product

import pytest
import torch
from torch import Tensor

from elbowroom.guides import NearestCode
from elbowroom.inference import Target, bracket, importance, quadrature
from elbowroom.models import VectorQuantized
from elbowroom.models.priors.codes import Codes
from toys.failure_budget import sigmas

B, P, K, L, E = 5, 6, 3, 2, 2
EVERY = torch.tensor(list(product(range(K), repeat=L)))
both = pytest.mark.parametrize("prior", ["autoregressive", "uniform"])


def made(prior: str = "autoregressive", **options: int) -> VectorQuantized:
    sizes = {"num_codes": K, "num_positions": L, "code_dim": E}
    model = VectorQuantized(P, **{**sizes, **options}, hidden=(4,), prior=prior, prior_hidden=(3,))
    with torch.no_grad():
        model.codebook.mul_(3)
    return model


def data() -> Tensor:
    return (torch.randn(B, P) > 0).double()


def log_prior(model: VectorQuantized, k: Tensor) -> Tensor:
    """log p(k) of one code, position by position."""
    if not hasattr(model.codes, "network"):
        return -L * torch.tensor(float(K)).log()
    total = torch.zeros(())
    for position in range(L):
        seen = torch.zeros(L, K)
        for before in range(position):
            seen[before, k[before]] = 1
        inputs = torch.cat([seen.flatten(), torch.eye(L)[position]])
        total = total + model.codes.network(inputs).log_softmax(-1)[k[position]]
    return total


def by_hand(model: VectorQuantized, x: Tensor) -> Tensor:
    """log p(x, k) of every code, `[B, K^L]`."""
    columns = []
    for k in EVERY:
        p = torch.sigmoid(model.decoder(torch.cat([model.codebook[i] for i in k])))
        columns.append(log_prior(model, k) + (x * p.log() + (1 - x) * (1 - p).log()).sum(-1))
    return torch.stack(columns, -1)


@both
def test_log_p_is_the_sum_over_every_code(prior: str) -> None:
    model, x = made(prior), data()
    joint = by_hand(model, x)
    exact = joint.logsumexp(-1)
    torch.testing.assert_close(model.log_prob(x), exact, rtol=1e-12, atol=1e-12)
    target = Target(model, NearestCode(model, (4,)), x)
    torch.testing.assert_close(quadrature(target).value, exact, rtol=1e-10, atol=1e-10)
    found = bracket(target, budget="1e5 evaluations")
    assert bool(found.settled.all()) and torch.allclose(found.lower.value, exact, rtol=0, atol=1e-6)
    torch.testing.assert_close(importance(target, num_samples=50).value, exact, rtol=1e-10, atol=1e-10)


@both
def test_at_one_code_it_is_lower_by_how_unlikely_that_code_is(prior: str) -> None:
    model, x = made(prior), data()
    guide = NearestCode(model, (4,), temperature=0)
    codes = guide.nearest(x)
    joint = by_hand(model, x)
    log_posterior = joint.log_softmax(-1).gather(1, (codes @ torch.tensor([K, 1])).unsqueeze(1))[:, 0]
    bound = model.log_joint(x, codes)
    torch.testing.assert_close(bound, model.log_prob(x) + log_posterior, rtol=0, atol=1e-6)
    assert bool((bound <= model.log_prob(x)).all()) and bool((bound < model.log_prob(x) - 1e-3).any())
    torch.testing.assert_close(Target(model, guide, x).log_weights(3), bound.expand(3, B), rtol=1e-10, atol=1e-10)


def test_a_code_is_given_the_ones_before_it() -> None:
    prior = made(num_positions=3).prior()
    every = prior.enumerate_support()
    assert every.shape == (K**3, 3) and len(every.unique(dim=0)) == K**3
    torch.testing.assert_close(prior.log_prob(every).exp().sum(), torch.tensor(1.0))
    logits = prior.logits(every)  # [K^3, 3, K]
    for position in range(3):
        alike = (every[:, None, :position] == every[None, :, :position]).all(-1)
        same = (logits[:, None, position] == logits[None, :, position]).all(-1)
        assert torch.equal(alike, same)


@pytest.mark.parametrize("independent", [True, False])
def test_codes_are_drawn_as_often_as_they_are_probable(independent: bool) -> None:
    codes = Codes.of_logits(torch.randn(2, L, K)) if independent else made().prior().expand((2,))
    draws = codes.sample((20_000,))
    assert draws.shape == (20_000, 2, L)
    for k in EVERY:
        p = codes.log_prob(k.expand(2, L)).exp()
        share = (draws == k).all(-1).double().mean(0)
        assert bool(((share - p).abs() < sigmas(2 * len(EVERY)) * (p * (1 - p) / 20_000).sqrt()).all())


def test_what_is_copied_has_the_gradient_and_codes_keep_their_values() -> None:
    model, codes = made(), EVERY[:B]
    vectors = torch.randn(B, L, E, requires_grad=True)
    plain = model.embed(codes)
    with model.copying(vectors):
        copied = model.embed(codes)
        model.decode(codes).mean.sum().backward()
    torch.testing.assert_close(copied, plain, rtol=1e-12, atol=1e-12)
    leaf = plain.detach().requires_grad_()
    model.decoder(leaf.flatten(-2)).sigmoid().sum().backward()
    torch.testing.assert_close(vectors.grad, leaf.grad, rtol=1e-10, atol=1e-10)
    assert model.codebook.grad is None and torch.equal(model.embed(codes), plain)


def test_more_codes_than_can_be_summed_are_drawn() -> None:
    model, x = made(num_codes=11, num_positions=5), data()
    with pytest.raises(NotImplementedError, match="11\\^5 combinations of codes are more than 100000"):
        model.log_prob(x)
    target = Target(model, NearestCode(model, (4,), temperature=0), x)
    found = importance(target, num_samples=20, search=False)
    torch.testing.assert_close(found.value, model.log_joint(x, target.guide.nearest(x)).double(), rtol=1e-8, atol=1e-8)
    assert found.bound == "lower" and all("more samples cannot tighten" in flag for flag in found.flags)


def test_draws_are_of_the_prior_and_leave_the_generator_alone() -> None:
    model, state = made(), torch.get_rng_state()
    codes, mean = model.generate(4, seed=3)
    assert torch.equal(state, torch.get_rng_state()) and torch.equal(codes, model.generate(4, seed=3).z)
    torch.testing.assert_close(mean, model.decode(codes).mean)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "flat"}, "prior.* got 'flat', expected one of 'autoregressive', 'uniform'"),
        ({"num_codes": 0}, "num_codes.* got 0"),
        ({"likelihood": "multinomial"}, "are for models of x alone that read its totals"),
    ],
)
def test_what_it_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorQuantized(P, **options)
