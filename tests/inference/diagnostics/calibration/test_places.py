"""Places of true values among draws: exact ranks, exact uniformity under unequal weights, ties."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.diagnostics.calibration.ranking import Places, places
from elbowroom.inference.diagnostics.calibration.reference_points import reference_points
from elbowroom.inference.diagnostics.calibration.simulations import simulated
from elbowroom.inference.diagnostics.calibration.uniformity import uniformity
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.reference import problem
from toys.failure_budget import BUDGET
from toys.programs import data, drawn_discrete, normal_guide, normal_model


def many(target: Target, num: int) -> Target:
    return target.select(torch.arange(num) % len(target)).pinned_to({})


def placed(
    source: Target, num_draws: int, around: bool = False, samples: int = 256, seed: int = 3, rows: int | None = None
) -> Places:
    """Places in a source whose guide is exact: its own draws are posterior draws to start from."""
    given = source.propose(1, seed=99)[0] if around else None
    cut = Plan(len(source), rows or len(source), samples)
    found = []
    for piece, part in cut.data(source):
        mine = None if given is None else {name: value[:, piece] for name, value in given.items()}
        found.append(places(simulated(part, mine, seed), cut, num_draws, seed, True))
    return Places(*(torch.cat(pair) for pair in zip(*found, strict=True)))


@pytest.mark.parametrize(
    ("name", "around", "num_draws"),
    [
        ("conjugate-normal", True, 1),
        ("conjugate-normal", False, 50),
        ("ppca", False, 1),
        ("ppca", True, 3),
        pytest.param("ppca", True, 50, marks=pytest.mark.slow),
    ],
)
def test_exact_guides_have_uniform_places(name: str, around: bool, num_draws: int) -> None:
    """For any number of draws, however few, and for weights as unequal as they are."""
    found = placed(many(problem(name).target(), 2000), num_draws, around)
    assert (uniformity(found.u).p_value > BUDGET / found.u.shape[1] / 12).all()


def test_weights_are_unequal_and_still_exact() -> None:
    """30 observed pixels against 10 latents: a handful of the draws have all the weight."""
    found = placed(many(problem("ppca-10").target(), 1000), 20, around=True)
    assert found.ess.median() < 5
    assert (uniformity(found.u).p_value > BUDGET / 12).all()


def test_without_weights_posterior_simulations_look_biased() -> None:
    """The weights are needed: latents near the observed datum's are no draws of p(z | x') alone."""
    source = many(Target(normal_model, normal_guide(1.0), torch.full((4,), 2.5)), 1000)
    new = simulated(source, source.propose(1, seed=99)[0], 3)
    cut = Plan(1000, 1000, 256)
    assert uniformity(places(new, cut, 50, 3, True).u).p_value[0] > BUDGET
    assert uniformity(places(new._replace(observed=None), cut, 50, 3, True).u).p_value[0] < 1e-6


def test_ranks_by_hand() -> None:
    source = many(Target(normal_model, normal_guide(0.8), data(20)), 60)
    new = simulated(source, None, 3)
    u = places(new, Plan(60, 60, 256), 9, 3, True).u
    z, log_q = new.target.propose(9, seed=3)
    prior, likelihood = new.target.log_joint(z)
    true_prior, true_likelihood = new.target.log_joint(new.truth)
    below = [
        (z["z"] < new.truth["z"]).sum(0),
        (prior + likelihood < true_prior + true_likelihood).sum(0),
        (log_q < new.target.log_guide(new.truth)).sum(0),
    ]
    for column, expected in enumerate(below):
        assert torch.equal((10 * u[:, column]).floor().long(), expected)
    reference = reference_points(new.target, None, 3)
    near = reference.distance(new.target, z) < reference.distance(new.target, dict(new.truth))
    assert torch.equal((10 * u[:, -1]).floor().long(), near.sum(0))


def test_weighted_places_by_hand() -> None:
    source = many(Target(normal_model, normal_guide(0.8), data(20)), 40)
    new = simulated(source, source.propose(1, seed=99)[0], 3)
    found = places(new, Plan(40, 40, 256), 9, 3, True)
    z, _ = new.target.propose(9, seed=3)
    assert new.observed is not None
    w, w_true = new.observed.log_joint(z)[1].exp(), new.observed.log_joint(dict(new.truth))[1].exp()
    below, total = (w * (z["z"] < new.truth["z"])).sum(0), w.sum(0) + w_true[0]
    assert (found.u[:, 0] >= below / total - 1e-12).all() and (
        found.u[:, 0] <= (below + w_true[0]) / total + 1e-12
    ).all()
    expected = total.square() / (w.square().sum(0) + w_true[0].square())
    assert torch.allclose(found.ess, expected)


def test_truth_given_is_what_data_are_made_of() -> None:
    source = many(problem("ppca-10").target(), 500)
    given = source.propose(1, seed=99)[0]
    new = simulated(source, given, 3)
    assert torch.equal(new.truth["z"], given["z"]) and new.target.model is source.model
    # log p(x' | z') of 30 pixels with noise 0.8: Σ ε² is χ²(30).
    squares = -2 * new.target.log_joint(given)[1][0] - 30 * torch.log(torch.tensor(2 * torch.pi * 0.64))
    assert abs(squares.mean() - 30) < 4 * (60 / 500) ** 0.5
    assert new.target.log_joint(source.propose(1, seed=98)[0])[1].mean() < new.target.log_joint(given)[1].mean() - 3


def test_ties_are_broken_at_random() -> None:
    """Latents that take two to four values: ranks would pile up."""

    def exact(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("flip", dist.Bernoulli(logits=x - 0.5))

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            flip = pyro.sample("flip", dist.Bernoulli(0.5))
            pyro.sample("x", dist.Normal(flip, 1.0), obs=x)

    found = placed(many(Target(model, exact, data(20)), 2000), 50)
    assert (uniformity(found.u).p_value > BUDGET / 4).all()


def test_guides_that_draw_discrete_sites_have_places() -> None:
    found = placed(many(drawn_discrete().target(), 60), 50)
    assert found.u.shape == (60, 7) and found.u.isfinite().all()


CUTS: dict[str, Callable[[Target], Places]] = {
    "samples": lambda source: placed(source, 600, samples=256),
    "rows": lambda source: placed(source, 600, samples=600, rows=7),
}


@pytest.mark.parametrize("cut", CUTS)
def test_cuts_change_nothing(cut: str) -> None:
    source = many(problem("ppca").target(), 30)
    whole = placed(source, 600, samples=600)
    assert torch.allclose(CUTS[cut](source).u, whole.u, atol=1e-12)


def test_cuts_of_simulated_data_that_are_alike_change_nothing() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            pyro.sample("x", dist.Bernoulli(logits=z), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x - 0.5, 0.9))

    source = many(Target(model, guide, torch.tensor([0.0, 1.0, 1.0])), 40)
    assert torch.allclose(placed(source, 50, rows=9).u, placed(source, 50).u, atol=1e-12)
    assert len(placed(source, 50).u[:, 0].unique()) == 40


def test_reference_points_depend_on_the_data_through_the_model() -> None:
    """A guide that is the prior: the reference lies on the posterior's side."""

    def prior_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.new_zeros(len(x)), 1.0))

    x = torch.cat([torch.full((50,), 3.0), torch.full((50,), -3.0)])
    point = reference_points(Target(normal_model, prior_guide, x), None, 0).point[:, 0]
    assert (point[:50] > 0).all() and (point[50:] < 0).all()
    exact = reference_points(Target(normal_model, normal_guide(1.0), x), None, 0).point[:, 0]
    assert 10 < (exact > 0).sum() < 90  # no side is the right one
