"""log p(x) of every tiny instance, trained a little, against the exact value that the registry names."""

from functools import cache
from itertools import product

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import Estimate, Target, fit, importance, quadrature
from toys.contract import ALSO, REGISTERED, B, Pair
from toys.failure_budget import sigmas
from toys.selections import every

SIGMAS = sigmas(B * len(REGISTERED))  # of one test of all these comparisons: about 4


def by_sum(target: Target) -> Tensor:
    """log Σ p(x, k) over every combination of the discrete latents' values, each run by itself, `[B]`."""
    model, args = target.model, target.args
    nodes = poutine.trace(model).get_trace(*args).nodes
    finite = [name for name, latent in target.structure.latents.items() if latent.num_values]  # which the guide draws
    names = [*target.structure.discrete, *finite]
    fns = {n: nodes[n]["fn"] for n in names}
    supports = {n: fn.enumerate_support(expand=False).reshape(-1, *fn.event_shape) for n, fn in fns.items()}
    joints = []
    for values in product(*supports.values()):
        given = {n: v.expand(fns[n].batch_shape + fns[n].event_shape) for n, v in zip(supports, values, strict=True)}
        trace = poutine.trace(poutine.condition(model, given)).get_trace(*args)
        trace.compute_log_prob()
        joints.append(sum(n["log_prob"] for n in trace.nodes.values() if n["type"] == "sample"))
    return torch.stack(joints).logsumexp(0)


EXACT = {
    "quadrature": lambda target: quadrature(target).value,
    "closed form": lambda target: target.model.log_prob(*target.args),
    "sum": by_sum,
}


def agrees(estimate: Estimate, exact: Tensor) -> bool:
    """No value is off by more than its error unless it is flagged; and flags are the exception."""
    flagged = torch.tensor([bool(flag) for flag in estimate.flags])
    off = (estimate.value - exact).abs() > SIGMAS * estimate.stderr + 1e-6
    return not bool((off & ~flagged).any()) and int(flagged.sum()) <= B // 2


def sampled(target: Target) -> Estimate:
    return importance(target, num_samples=2000, seed=0, search=False)


@cache
def trained(pair: Pair) -> Target:
    model, guide = pair.build()
    fit(model, guide, pair.data(60), num_epochs=50, learning_rate=0.04, progress=False)
    return Target(model, guide, *pair.data(B))


@pytest.mark.parametrize("name", every(4, REGISTERED))
def test_log_p_is_the_one_that_is_known_exactly(name: str) -> None:
    pair = REGISTERED[name]
    target = trained(pair)
    exact = EXACT[pair.exact](target)
    if pair.exact == "closed form" and sum(map(torch.Size.numel, map(torch.Size, target.latents.values()))) <= 2:
        torch.testing.assert_close(exact, quadrature(target).value, rtol=1e-6, atol=1e-6)
    if pair.exact != "closed form" and hasattr(target.model, "log_prob"):
        torch.testing.assert_close(target.model.log_prob(*target.args), exact, rtol=1e-6, atol=1e-6)
    assert agrees(sampled(target), exact)


@pytest.mark.slow
@pytest.mark.parametrize("pair", ALSO.values(), ids=list(ALSO))
def test_log_p_beneath_a_guide_of_another_model(pair: Pair) -> None:
    target = trained(pair)
    assert agrees(sampled(target), EXACT[pair.exact](target))


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("vae, normal", "prior"),
        ("ppca, normal", "likelihood"),
        ("patterns, none", "likelihood"),
        ("chain, chain", "prior"),
    ],
)
def test_a_flipped_sign_is_found(name: str, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same comparison, of an estimate in which one of the two terms of log p(x, z) has the wrong sign."""
    target = trained(REGISTERED[name])
    exact, joint = EXACT[REGISTERED[name].exact](target), Target.log_joint
    assert agrees(sampled(target), exact)

    def flipped(self: Target, z: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        prior, likelihood = joint(self, z)
        return (-prior, likelihood) if term == "prior" else (prior, -likelihood)

    monkeypatch.setattr(Target, "log_joint", flipped)
    assert not agrees(sampled(target), exact)


def test_the_sum_by_hand_is_a_mixture_written_out() -> None:
    x, weights, centres = torch.tensor([[-1.0], [0.2], [3.0]]), torch.tensor([0.3, 0.7]), torch.tensor([-2.0, 2.0])

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(weights))
            pyro.sample("x", dist.Normal(centres[k].unsqueeze(-1), 1.0).to_event(1), obs=x)

    found = by_sum(Target(model, lambda x: None, x))
    expected = dist.MixtureSameFamily(dist.Categorical(weights), dist.Normal(centres, 1.0)).log_prob(x[:, 0])
    torch.testing.assert_close(found, expected)
