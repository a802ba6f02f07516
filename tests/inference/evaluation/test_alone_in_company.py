"""What happens to programs after their target was made is seen in two data alone and in company, by every estimator."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import (
    Draws,
    Estimate,
    NotAReference,
    Target,
    adapted_importance,
    agreement,
    anneal,
    anneal_reverse,
    attribute_sites,
    bidirectional,
    bounds,
    bracket,
    bridge,
    calibrate,
    compare,
    decompose,
    hmc,
    importance,
    latent_use,
    nuts,
    quadrature,
    smc,
)
from elbowroom.inference.evaluation import alone_in_company
from elbowroom.inference.evaluation.alone_in_company import depends_on_company
from elbowroom.inference.programs.evaluations import total
from toys.estimators import stand_in
from toys.programs import Ppca
from toys.selections import all_but_slow

FLAG = "the programs mix data"


class Changeable:
    """Probabilistic PCA that may begin to mix its data, in the model or in the guide."""

    def __init__(self) -> None:
        self.exact, self.mixed = Ppca.make(4, 2, 1.0), ""

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            z = z - 0.1 * z.mean(-2, keepdim=True) if self.mixed == "model" else z
            pyro.sample("x", dist.Normal(z @ self.exact.weight.T, 1.0).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        q = self.exact.posterior(x)
        with pyro.plate("data", len(x)):
            scale = 1.1 + (0.1 * x.mean().abs() if self.mixed == "guide" else 0.0)
            pyro.sample("z", dist.Normal(q.mean, scale * q.stddev).to_event(1))

    def target(self, num_data: int = 6) -> Target:
        return Target(self.model, self.guide, self.exact.sample(num_data))


SHORT: dict[str, Any] = {"num_steps": 4, "num_chains": 2, "num_pilot": 2}


def weakest(*columns: tuple[str, ...]) -> tuple[str, ...]:
    """For each datum one of its flags, one that says nothing of company if there is such a one."""
    return tuple(min(flags, key=lambda flag: FLAG in flag) for flags in zip(*columns, strict=True))


def made_up(target: Target) -> Estimate:
    """A log p(x) that nobody has asked the programs for."""
    return Estimate(torch.zeros(len(target)), torch.zeros(len(target)), "none")


def of_bidirectional(target: Target) -> tuple[str, ...]:
    found = bidirectional(target, **SHORT)
    return weakest(found.lower.flags, found.upper.flags)


def of_adapted(target: Target) -> tuple[str, ...]:
    return weakest(*(side.flags for side in adapted_importance(target, stand_in(target), num_samples=50)))


def of_bracket(target: Target) -> tuple[str, ...]:
    found = bracket(target, budget="2e4 evaluations")
    return weakest(found.flags, found.lower.flags, found.upper.flags)


def of_draws(draws: Draws) -> tuple[str, ...]:
    chosen = draws.select([1, 0])
    with pytest.raises(NotAReference):
        chosen.reference()
    return weakest(draws.flags, draws.convergence.flags) if chosen.flags == draws.flags[:2][::-1] else ()


def of_decomposition(target: Target) -> tuple[str, ...]:
    found = decompose(target, log_p=made_up(target), families=["mean-field"], num_samples=32)
    terms = (found.elbo, found.log_p, found.amortization, found.optimisation, found.approximation, found.room())
    return weakest(found.flags, *(term.flags for term in (*terms, *found.ladder.values(), *found.gains.values())))


def of_sites(target: Target) -> tuple[str, ...]:
    found = attribute_sites(target, log_p=made_up(target), num_outer=4, num_inner=8)
    return weakest(found.flags, found.gap.flags, found.elbo.flags, *(term.flags for term in found.terms.values()))


def of_agreement(target: Target) -> tuple[str, ...]:
    found = agreement(target, stand_in(target), num_samples=50)
    return weakest(found.flags, found.kl_q_p.flags, found.kl_p_q.flags)


def of_comparison(target: Target) -> tuple[str, ...]:
    found = compare(target, num_samples=50, mcmc=False)
    return weakest(*(estimate.flags for estimate in found.evidence.values()))


def of_latent_use(target: Target) -> tuple[str, ...]:
    found = latent_use(target, num_samples=50)
    return weakest(found.rate.flags, found.mutual_information.flags, found.marginal_kl.flags)


FLAGS: dict[str, Callable[[Target], tuple[str, ...]]] = {
    "importance": lambda target: importance(target, num_samples=50, search=False).flags,
    "bounds": lambda target: bounds(target, num_samples=50)["importance"].flags,
    "anneal": lambda target: anneal(target, search=False, **SHORT).flags,
    "anneal_reverse": lambda target: anneal_reverse(target, stand_in(target), allow_failed=True, **SHORT).flags,
    "bidirectional": of_bidirectional,
    "smc": lambda target: smc(target, num_steps=4, num_particles=4, num_pilot=2, search=False).flags,
    "quadrature": lambda target: quadrature(target).flags,
    "bridge": lambda target: bridge(target, stand_in(target)).flags,
    "adapted_importance": of_adapted,
    "bracket": of_bracket,
    "hmc": lambda target: of_draws(hmc(target, num_chains=2, num_warmup=4, num_draws=4)),
    "nuts": lambda target: of_draws(nuts(target, range(6), num_chains=1, num_warmup=1, num_draws=2)),
    "decompose": of_decomposition,
    "attribute_sites": of_sites,
    "agreement": of_agreement,
    "compare": of_comparison,
}
"""What is computed of a target for each datum, by its flags."""

IN_ALL: dict[str, Callable[[Target], tuple[str, ...]]] = {
    "calibrate": lambda target: calibrate(target, num_simulations=30, num_draws=20).flags[:1],
    "latent_use": of_latent_use,
}
"""What speaks of all data together, by its one flag."""

LONG = ("anneal", "bidirectional", "smc", "quadrature", "bracket", "decompose", "attribute_sites", "compare")


@pytest.mark.parametrize("name", all_but_slow(FLAGS | IN_ALL, LONG))
def test_numbers_of_data_that_are_mixed_later_are_flagged(name: str) -> None:
    call, toy = (FLAGS | IN_ALL)[name], Changeable()
    assert not any(FLAG in flag for flag in call(toy.target()))
    target = toy.target()
    toy.mixed = "model"
    flags = call(target)
    assert len(flags) == (6 if name in FLAGS else 1)
    assert all(flag.startswith("log p(x|z) of datum ") and FLAG in flag for flag in flags), flags


@pytest.mark.parametrize(("mixed", "name"), [("model", "log p(x|z)"), ("guide", "log q(z|x)")])
def test_which_densities_are_mixed_is_told(mixed: str, name: str) -> None:
    toy = Changeable()
    target = toy.target()
    assert depends_on_company(target) == ""
    toy.mixed = mixed
    assert depends_on_company(target).startswith(f"{name} of datum ")
    assert depends_on_company(target.select([3])) == ""  # one datum has no company


def test_other_calls_choose_other_data() -> None:
    toy = Changeable()
    target = toy.target(200)
    toy.mixed = "model"
    told = {depends_on_company(target, seed).split(" of datum ")[1].split()[0] for seed in range(8)}
    assert len(told) > 4


def test_draws_of_some_of_the_data_are_asked_too() -> None:
    toy = Changeable()
    target = toy.target()
    toy.mixed = "model"
    draws = nuts(target, [4, 1], num_chains=1, num_warmup=1, num_draws=2)
    assert len(draws.flags) == 2 and all(FLAG in flag for flag in draws.flags)


def test_the_first_call_of_each_is_asked_and_those_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(alone_in_company, "depends_on_company", lambda target, seed: asked.append(seed) or "")
    target = Changeable().target()
    for _ in range(3):
        importance(target, num_samples=20, search=False)
    assert asked == [0]
    importance(target, num_samples=10_000, search=False)
    assert asked == [0, 1]
    quadrature(target)
    quadrature(target)
    assert asked == [0, 1, 2]
    bracket(Changeable().target(), budget="2e4 evaluations")  # whatever it calls
    assert asked == [0, 1, 2, 0]


def test_it_counts_as_no_evaluation() -> None:
    target = Changeable().target()
    counts = []
    for _ in range(2):  # asked, and not
        before = total()
        importance(target, num_samples=20, search=False)
        counts.append(total() - before)
    assert counts[0] == counts[1]
