"""What happens to programs after their target was made is seen in two data alone and in company, by every estimator."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, anneal, bounds, bracket, bridge, hmc, importance, quadrature, smc
from elbowroom.inference.evaluation import alone_in_company
from elbowroom.inference.evaluation.alone_in_company import depends_on_company
from elbowroom.inference.programs.evaluations import total
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


ESTIMATORS: dict[str, Callable[[Target], Any]] = {
    "importance": lambda target: importance(target, num_samples=50, search=False),
    "bounds": lambda target: bounds(target, num_samples=50)["importance"],
    "anneal": lambda target: anneal(target, num_steps=4, num_chains=2, num_pilot=2, search=False),
    "smc": lambda target: smc(target, num_steps=4, num_particles=4, num_pilot=2, search=False),
    "quadrature": quadrature,
    "bracket": lambda target: bracket(target, budget="2e4 evaluations"),
}


@pytest.mark.parametrize("name", all_but_slow(ESTIMATORS, ("anneal", "smc", "quadrature", "bracket")))
def test_estimators_flag_data_that_are_mixed_later(name: str) -> None:
    toy = Changeable()
    sound = ESTIMATORS[name](toy.target())
    assert not any(FLAG in flag for flag in sound.flags)
    target = toy.target()
    toy.mixed = "model"
    flags = ESTIMATORS[name](target).flags
    assert len(flags) == 6 and all(flag.startswith("log p(x|z) of datum ") and FLAG in flag for flag in flags)


@pytest.mark.slow
def test_a_bridge_is_asked_too() -> None:
    toy = Changeable()
    target = toy.target()
    draws = hmc(target, num_chains=4, num_warmup=50, num_draws=100)
    toy.mixed = "model"
    assert all(FLAG in flag for flag in bridge(target, draws).flags)


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


def test_the_first_call_is_asked_and_those_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(alone_in_company, "depends_on_company", lambda target, seed: asked.append(seed) or "")
    target = Changeable().target()
    for _ in range(3):
        importance(target, num_samples=20, search=False)
    assert asked == [0]
    importance(target, num_samples=10_000, search=False)
    assert asked == [0, 1]
    bracket(Changeable().target(), budget="2e4 evaluations")  # whatever it calls
    assert asked == [0, 1, 0]


def test_it_counts_as_no_evaluation() -> None:
    target = Changeable().target()
    counts = []
    for _ in range(2):  # asked, and not
        before = total()
        importance(target, num_samples=20, search=False)
        counts.append(total() - before)
    assert counts[0] == counts[1]
