"""Finite discrete latents are summed out: against sums written by hand over every combination."""

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import ProgramError, Target, check_program, importance
from toys.programs import data, normal

S, B = 4, 5
EXACT = {"rtol": 1e-12, "atol": 1e-12}
PROBS = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)
MEANS = torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64)
STEP = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)


def normal_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(0.3, 1.2))


def check(target: Target, prior: Tensor, likelihood: Tensor, z: dict[str, Tensor]) -> None:
    found = target.log_joint(z)
    torch.testing.assert_close(found[0], prior, **EXACT)
    torch.testing.assert_close(found[1], likelihood, **EXACT)


@pytest.mark.parametrize("layout", ["plate", "fold", "loop", None])
def test_mixture_prior(layout: str | None) -> None:
    """log p(z) = log Σ_k π_k N(z; m_k, 1) holds the sum; log p(x | z) does not depend on k."""
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(PROBS))
            z = pyro.sample("z", dist.Normal(MEANS[k], 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    target = Target(model, normal_guide, x, layout=layout)
    assert target.structure.discrete == ("k",) and list(target.latents) == ["z"]
    z, _ = target.propose(S)
    prior = (PROBS.log() + normal(MEANS, 1.0, z["z"].unsqueeze(-1))).logsumexp(-1)
    check(target, prior, normal(z["z"], 1.0, x), z)
    with pytest.raises(ProgramError, match=r"prior of site 'z' depends on \['k'\]"):
        target.latent_terms(z)


def test_mixture_likelihood() -> None:
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            k = pyro.sample("k", dist.Categorical(PROBS))
            pyro.sample("x", dist.Normal(z + MEANS[k], 1.0), obs=x)

    target = Target(model, normal_guide, x)
    z, log_q = target.propose(S)
    likelihood = (PROBS.log() + normal(z["z"].unsqueeze(-1) + MEANS, 1.0, x.unsqueeze(-1))).logsumexp(-1)
    check(target, normal(0.0, 1.0, z["z"]), likelihood, z)
    q, p = target.latent_terms(z)["z"]  # the prior of z does not see k: it has a density of its own
    torch.testing.assert_close(q, log_q, **EXACT)
    torch.testing.assert_close(p, normal(0.0, 1.0, z["z"]), **EXACT)


def test_two_sites_that_depend_on_each_other() -> None:
    x = data(B)
    table = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(PROBS))
            z = pyro.sample("z", dist.Normal(MEANS[k], 1.0))
            j = pyro.sample("j", dist.Bernoulli(table[k, 1]))
            pyro.sample("x", dist.Normal(z * (1 + j), 1.0), obs=x)

    target = Target(model, normal_guide, x)
    assert set(target.structure.discrete) == {"k", "j"}
    z, _ = target.propose(S)
    terms = [
        PROBS[k].log() + table[k, j].log() + normal(MEANS[k], 1.0, z["z"]) + normal(z["z"] * (1 + j), 1.0, x)
        for k, j in itertools.product(range(3), range(2))
    ]
    prior = (PROBS.log() + normal(MEANS, 1.0, z["z"].unsqueeze(-1))).logsumexp(-1)
    check(target, prior, torch.stack(terms).logsumexp(0) - prior, z)


@pytest.mark.parametrize("outer", [False, True])
def test_discrete_site_in_an_inner_plate(outer: bool) -> None:
    """Its own sum for each repeat: the product over repeats is of sums, whichever side the plate is on."""
    x = data(B, 3)
    dims = (-1, -2) if outer else (-2, -1)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=dims[0]):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with pyro.plate("repeats", 3, dim=dims[1]):
                k = pyro.sample("k", dist.Categorical(PROBS))
                pyro.sample("x", dist.Normal(z + MEANS[k], 1.0), obs=x.T if outer else x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=dims[0]):
            pyro.sample("z", dist.Normal(0.3, 1.2))

    for layout in ("plate", "fold", "loop", None):
        target = Target(model, guide, x, layout=layout)
        z, _ = target.propose(S)
        each = PROBS.log() + normal(z["z"][..., None, None] + MEANS, 1.0, x.unsqueeze(-1))  # [S, B, 3, K]
        check(target, normal(0.0, 1.0, z["z"]), each.logsumexp(-1).sum(-1), z)


@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize(("num_data", "num_repeats"), [(1, 1), (1, 3), (4, 1), (4, 3)])
def test_plates_of_size_one(num_samples: int, num_data: int, num_repeats: int) -> None:
    """One sample, one datum, one repeat: Pyro packs such dims away."""
    x = data(num_data, num_repeats)

    def model(x: Tensor) -> None:
        with pyro.plate("data", x.shape[0], dim=-2):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            with pyro.plate("repeats", x.shape[1], dim=-1):
                k = pyro.sample("k", dist.Categorical(PROBS))
                pyro.sample("x", dist.Normal(z + MEANS[k], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(0.3, 1.2))

    for layout in ("plate", "fold", "loop", None):
        target = Target(model, guide, x, layout=layout)
        z, _ = target.propose(num_samples)
        each = PROBS.log() + normal(z["z"][..., None, None] + MEANS, 1.0, x.unsqueeze(-1))
        check(target, normal(0.0, 1.0, z["z"]), each.logsumexp(-1).sum(-1), z)


def test_discrete_site_shared_by_an_inner_plate() -> None:
    """One k for all repeats: the sum is over products."""
    x = data(B, 3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            k = pyro.sample("k", dist.Categorical(PROBS))
            with pyro.plate("repeats", 3, dim=-1):
                pyro.sample("x", dist.Normal(z + MEANS[k], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(0.3, 1.2))

    target = Target(model, guide, x)
    z, _ = target.propose(S)
    each = normal(z["z"][..., None, None] + MEANS, 1.0, x.unsqueeze(-1)).sum(-2)  # [S, B, K]
    check(target, normal(0.0, 1.0, z["z"]), (PROBS.log() + each).logsumexp(-1), z)


def test_markov_chain() -> None:
    x = data(B, 3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            k = 0
            for i in pyro.markov(range(3)):
                k = pyro.sample(f"k{i}", dist.Categorical(STEP[k]))
                pyro.sample(f"x{i}", dist.Normal(z + k, 1.0), obs=x[..., i])

    target = Target(model, normal_guide, x)
    z, _ = target.propose(S)
    terms = []
    for path in itertools.product(range(2), repeat=3):
        term, last = torch.zeros(S, B), 0
        for i, k in enumerate(path):
            term = term + STEP[last, k].log() + normal(z["z"] + k, 1.0, x[:, i])
            last = k
        terms.append(term)
    check(target, normal(0.0, 1.0, z["z"]), torch.stack(terms).logsumexp(0), z)


def test_discrete_alone_with_an_empty_guide_is_exact() -> None:
    """Nothing is left to sample: every weight is log p(x)."""
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(PROBS))
            pyro.sample("x", dist.Normal(MEANS[k], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pass

    target = Target(model, guide, x)
    evidence = (PROBS.log() + normal(MEANS, 1.0, x.unsqueeze(-1))).logsumexp(-1)
    torch.testing.assert_close(target.log_weights(S), evidence.expand(S, B), **EXACT)
    estimate = importance(target, num_samples=30)
    torch.testing.assert_close(estimate.value, evidence, **EXACT)
    assert bool(estimate.info["constant_weights"].all()) and target.latents == {}


def test_masks_and_scales_hold_under_enumeration() -> None:
    x, keep = data(B), torch.tensor([True, False, True, True, False])

    def model(x: Tensor, keep: Tensor) -> None:
        with pyro.plate("data", 300, subsample_size=len(x)), poutine.scale(scale=0.2):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            k = pyro.sample("k", dist.Categorical(PROBS))
            with poutine.mask(mask=keep):
                pyro.sample("x", dist.Normal(z + MEANS[k], 1.0), obs=x)

    def guide(x: Tensor, keep: Tensor) -> None:
        with pyro.plate("data", 300, subsample_size=len(x)):
            pyro.sample("z", dist.Normal(0.3, 1.2))

    target = Target(model, guide, x, keep)
    z, _ = target.propose(S)
    likelihood = (PROBS.log() + normal(z["z"].unsqueeze(-1) + MEANS, 1.0, x.unsqueeze(-1))).logsumexp(-1)
    check(target, normal(0.0, 1.0, z["z"]), likelihood * keep, z)


def test_outside_the_prior_support_the_joint_is_minus_infinity() -> None:
    """Not NaN, and not the finite number that Exponential.log_prob gives there."""
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(PROBS))
            z = pyro.sample("z", dist.Exponential(1.0 + k))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    target = Target(model, normal_guide, x)
    z, _ = target.propose(40)
    outside = z["z"] < 0
    joint = sum(target.log_joint(z))
    assert torch.equal(joint == -torch.inf, outside) and bool(outside.any())
    rate = 1.0 + torch.arange(3.0)
    inside = (PROBS.log() + rate.log() - rate * z["z"].unsqueeze(-1)).logsumexp(-1) + normal(z["z"], 1.0, x)
    torch.testing.assert_close(joint[~outside], inside[~outside], **EXACT)


def test_gradients_and_unconstrained_coordinates() -> None:
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(PROBS))
            z = pyro.sample("z", dist.LogNormal(MEANS[k], 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.LogNormal(0.0, 1.0))

    target = Target(model, guide, x)
    u = {"z": data(S, B, seed=4).requires_grad_()}
    log_joint, log_jacobian, _ = target.log_joint_unconstrained(u)
    by_hand = (PROBS.log() + normal(MEANS, 1.0, u["z"].unsqueeze(-1))).logsumexp(-1) + normal(u["z"].exp(), 1.0, x)
    torch.testing.assert_close(log_joint, by_hand, **EXACT)
    torch.testing.assert_close(log_jacobian, u["z"], **EXACT)
    (found,), (expected,) = (torch.autograd.grad(f.sum(), [u["z"]], retain_graph=True) for f in (log_joint, by_hand))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_global_mixture_without_a_data_plate() -> None:
    """plate=None: one assignment for each row, in the program's own plate."""
    x = data(6)

    def model(x: Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 2.0))
        with pyro.plate("rows", len(x)):
            k = pyro.sample("k", dist.Bernoulli(0.3))
            pyro.sample("x", dist.Normal(loc * k, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("loc", dist.Normal(0.5, 1.0))

    target = Target(model, guide, x, plate=None)
    z, _ = target.propose(S)
    loc = z["loc"].unsqueeze(-1)  # [S, 1, 1]
    rows = torch.logaddexp(math.log(0.7) + normal(0.0, 1.0, x), math.log(0.3) + normal(loc, 1.0, x))
    check(target, normal(0.0, 2.0, z["loc"]), rows.sum(-1), z)


def test_infinite_discrete_latents_are_not_summed_out() -> None:
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            k = pyro.sample("k", dist.Poisson(2.0))
            pyro.sample("x", dist.Normal(z + k, 1.0), obs=x)

    with pytest.raises(ProgramError, match="model's latent site 'k' is not drawn by the guide"):
        Target(model, normal_guide, x)


def test_the_report_says_what_was_summed_out() -> None:
    x = data(B)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            k = pyro.sample("k", dist.Categorical(PROBS))
            pyro.sample("x", dist.Normal(z + MEANS[k], 1.0), obs=x)

    assert "summed out exactly: k" in str(check_program(model, normal_guide, x))
