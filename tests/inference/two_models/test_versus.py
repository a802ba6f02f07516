"""Which of two models is better: right on models whose evidence is known, and open where it cannot be told."""

import json
import math
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import InUseError, Target, Versus, versus
from elbowroom.inference.saving.one_writer import only_writer
from toys.programs import Ppca, data
from toys.shown import check_shown

ENOUGH = "1e9 evaluations"


class Wide(Ppca):
    """With a guide that is wider than the posterior."""

    def guide(self, x: Tensor) -> None:
        q = self.posterior(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(q.loc, scale_tril=3.0 * q.scale_tril))


def pinned(problem: Ppca, x: Tensor) -> Target:
    return Target(problem.model, problem.guide, x)


def pair(num_latents: int = 1, num_data: int = 24, other: float = 1.6) -> tuple[Ppca, Ppca, Tensor]:
    """The truth, another model of the same data, and data of the first."""
    first = Ppca.make(6, num_latents, 0.7)
    return first, Ppca(first.weight, first.mean, other), first.sample(num_data)


@pytest.fixture(scope="module")
def found() -> Versus:
    first, second, x = pair()
    torch.set_default_dtype(torch.float64)
    return versus(pinned(first, x), pinned(second, x), budget=ENOUGH)


def test_the_difference_is_that_of_the_evidence(found: Versus) -> None:
    first, second, x = pair()
    exact = first.evidence(x) - second.evidence(x)
    torch.testing.assert_close((found.log_p.low + found.log_p.high) / 2, exact, atol=1e-6, rtol=0)
    assert found.better == "a" and not found.is_reversed
    assert found.sentences[0].startswith("a is better than b: its log p(x) of new data like these is ")


def test_the_other_way_round_the_other_is_better(found: Versus) -> None:
    first, second, x = pair()
    turned = versus(pinned(second, x), pinned(first, x), names=("small", "large"), budget=ENOUGH)
    assert turned.better == "large"
    assert turned.log_p.value == pytest.approx(-found.log_p.value, abs=1e-6)


def test_rooms_are_log_p_less_elbo(found: Versus) -> None:
    room_a, room_b = found.rooms()
    assert room_a.value == pytest.approx(0.0, abs=1e-6)  # exact posteriors
    assert found.room.value == pytest.approx(room_a.value - room_b.value, abs=1e-9)
    assert found.elbo.value == pytest.approx(found.log_p.value - found.room.value, abs=1e-9)


def test_an_elbo_that_says_the_opposite() -> None:
    """A better model with a guide that is three times too wide: 4 − log 3 = 2.9 nats of room."""
    first, second, x = pair(other=1.2)
    found = versus(pinned(Wide(first.weight, first.mean, first.sigma), x), pinned(second, x), budget=ENOUGH)
    assert found.better == "a" and found.is_reversed
    assert found.rooms()[0].value == pytest.approx(4 - math.log(3), abs=0.2)
    assert "The ELBO says the opposite: it prefers b" in found.sentences[1] and "the guide of a" in found.sentences[1]


def test_an_elbo_that_tells_what_log_p_does_not() -> None:
    first, _, x = pair()
    found = versus(pinned(Wide(first.weight, first.mean, first.sigma), x), pinned(first, x), budget=ENOUGH)
    assert found.better is None and found.log_p.value == pytest.approx(0.0, abs=1e-9)
    assert "The ELBO prefers b" in found.sentences[1] and "does not confirm" in found.sentences[1]


def test_a_difference_too_small_says_how_many_data_would_tell() -> None:
    first, second, x = pair(other=0.73)
    found = versus(pinned(first, x), pinned(second, x), budget=ENOUGH)
    text = " ".join(found.sentences)
    assert found.better is None and "Which is better cannot be told at 99.9 %" in text
    assert ("data more would tell" in text) == math.isfinite(found.log_p.data_to_tell())


@pytest.mark.slow
def test_more_than_two_latents_by_chains() -> None:
    first, second, x = pair(num_latents=3, num_data=12, other=1.2)
    found = versus(pinned(first, x), pinned(second, x), budget=ENOUGH, about="these data")
    exact = first.evidence(x) - second.evidence(x)
    assert found.better == "a" and len(found.log_p) == 12
    assert (found.log_p.low - 0.1 <= exact).all() and (exact <= found.log_p.high + 0.1).all()


@pytest.mark.slow
def test_a_small_budget_takes_data_at_random() -> None:
    first, second, x = pair(num_data=400)
    found = versus(pinned(first, x), pinned(second, x), budget="2e5 evaluations")
    assert 16 <= len(found) < 400
    assert f"The budget was enough for {len(found)} of 400 data" in " ".join(found.sentences)
    assert found.data.tolist() != list(range(len(found)))


def test_one_datum_is_a_bayes_factor() -> None:
    """The whole program as one datum: nothing is said of other data."""
    x = data(6, seed=5)

    def around(at: float) -> Any:
        def model(x: Tensor) -> None:
            z = pyro.sample("z", dist.Normal(at, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0).expand([6]).to_event(1), obs=x)

        return model

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(x.mean(), 0.5))

    a, b = (Target(around(at), guide, x, plate=None) for at in (0.0, 8.0))
    covariance = torch.eye(6) + 1.0
    exact = [dist.MultivariateNormal(torch.full((6,), at), covariance).log_prob(x) for at in (0.0, 8.0)]
    found = versus(a, b, budget=ENOUGH)
    assert not found.anew and found.better == "a" and "log p(x) of this datum" in found.sentences[0]
    assert found.log_p.value == pytest.approx(float(exact[0] - exact[1]), abs=1e-5)


def test_these_data_need_no_spread() -> None:
    first, second, x = pair(other=0.73)
    about = versus(pinned(first, x), pinned(second, x), budget=ENOUGH, about="these data")
    exact = float((first.evidence(x) - second.evidence(x)).mean())
    assert about.better == ("a" if exact > 0 else "b") and "of these data" in about.sentences[0]


@pytest.mark.slow
def test_what_is_kept_is_gone_on_with(tmp_path: Path) -> None:
    first, second, x = pair(num_data=60)
    targets = pinned(first, x), pinned(second, x)
    with only_writer(tmp_path, "state", folder=True), pytest.raises(InUseError, match="is in use: this process"):
        versus(*targets, budget="2e4 evaluations", state=tmp_path)
    some = versus(*targets, budget="2e4 evaluations", state=tmp_path)
    more = versus(*targets, budget=ENOUGH, state=tmp_path)
    whole = versus(*targets, budget=ENOUGH)
    assert len(some) < len(more) == 60
    torch.testing.assert_close(more.log_p.low, whole.log_p.low, atol=1e-6, rtol=0)


def test_the_record_is_json_and_the_table_is_short(found: Versus) -> None:
    record = json.loads(json.dumps(found.record()))
    assert record["better"] == "a" and len(record["data"]) == 24
    low, high = record["means"]["log_p"]["interval"]
    assert low < record["means"]["log_p"]["value"] < high
    check_shown(found)


def test_an_unnormalised_value_decides_nothing() -> None:
    grey = torch.full((20, 3), 0.5)

    def grey_model(p: float) -> Any:
        def model(x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
                logits = p + z.unsqueeze(-1).expand(*z.shape, 3)
                pyro.sample("x", dist.Bernoulli(logits=logits, validate_args=False).to_event(1), obs=x)

        return model

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))

    found = versus(Target(grey_model(0.0), guide, grey), Target(grey_model(3.0), guide, grey), budget=ENOUGH)
    assert found.better is None and "no log-likelihoods" in found.sentences[0]
