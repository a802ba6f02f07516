"""The search finds where posteriors are, and chains start apart."""

import math

import pytest
import torch

from elbowroom.inference import Target
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.population import NUM_POINTS, Population
from elbowroom.inference.mcmc.search import BELIEVED, PosteriorPoints, search
from elbowroom.reference import problem
from toys.programs import data, normal_guide, normal_model, one_mode, two_modes


def searched(
    target: Target, num_chains: int = 4, start: str = "both", seed: int = 0
) -> tuple[PosteriorPoints, torch.Tensor]:
    coordinates = Coordinates.of(target)
    numbers, path = RandomNumbers(target, seed), Path(coordinates, "prior")
    found = search(coordinates, coordinates.log_joint, numbers, num_chains=num_chains, start=start, path=path)
    assert (found.expedition is None) == (start == "guide" or coordinates.dim < 3)
    return found.points, found.starts


@pytest.mark.parametrize("start", ["both", "prior"])
def test_chains_start_in_both_modes(start: str) -> None:
    target = Target(two_modes, one_mode, torch.zeros(6))
    what, starts = searched(target, start=start)
    left = (starts[..., 0] < 0).sum(0)
    assert bool(((left > 0) & (left < 4)).all())
    share = (what.points[..., 0] < 0).double().mean(0)
    assert (share - 0.1).abs().max() < 5 * math.sqrt(0.09 / 200)  # 5 sigma at 200 points in effect
    assert bool((what.ess > BELIEVED).all())


def test_chains_start_where_the_guide_says_if_asked() -> None:
    _, starts = searched(Target(two_modes, one_mode, torch.zeros(6)), start="guide")
    assert bool((starts > 0).all())
    assert len(starts.unique()) == starts.numel()  # each chain at a draw of its own


def test_points_and_scale_of_a_normal_posterior() -> None:
    x = torch.tensor([0.3, -2.0, 4.0])
    what, starts = searched(Target(normal_model, normal_guide(2.0), x), num_chains=3)
    assert starts.shape == (3, 3, 1) and what.points.shape == (NUM_POINTS, 3, 1)
    stderr = math.sqrt(0.5) / what.ess.sqrt()
    assert ((what.points[..., 0].mean(0) - x / 2) / stderr).abs().max() < 5
    assert (what.scale[:, 0] / math.sqrt(0.5) - 1).abs().max() < 5 / math.sqrt(2 * float(what.ess.min()))
    assert what.evaluations == 128 + 256 + 3 * NUM_POINTS


def test_chains_of_a_datum_start_at_the_same_place_in_any_company() -> None:
    target = Target(two_modes, one_mode, torch.arange(5.0) / 10)
    what, starts = searched(target, seed=3)
    rows = [4, 1]
    fewer, same = searched(target.select(rows), seed=3)
    torch.testing.assert_close(same, starts[:, rows], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(fewer.points, what.points[:, rows], rtol=1e-9, atol=1e-9)
    _, other = searched(target, seed=4)
    assert not torch.allclose(other, starts)


def test_a_population_takes_over_only_where_it_is_better() -> None:
    old = PosteriorPoints(torch.zeros(NUM_POINTS, 2, 1), torch.tensor([100.0, 400.0]), torch.ones(2, 1), 7)
    new = old.improved(Population(1 + data(300, 2, 1).abs(), torch.zeros(300, 2)), torch.full((2,), 0.5))
    assert bool((new.points[:, 0] >= 1).all()) and bool((new.points[:, 1] == 0).all())
    torch.testing.assert_close(new.ess, torch.tensor([300.0, 400.0]))
    assert new.evaluations == 307


def test_random_numbers_are_of_the_datum_the_name_and_the_place() -> None:
    target = Target(normal_model, normal_guide(0.9), data(5))
    numbers = RandomNumbers(target, 2)
    whole = numbers.normal("a", 40, 3)
    torch.testing.assert_close(numbers.normal("a", 10, 3, start=25), whole[25:35])
    torch.testing.assert_close(RandomNumbers(target.select([3, 0]), 2).normal("a", 40, 3), whole[:, [3, 0]])
    for other in (
        numbers.normal("b", 40, 3),
        RandomNumbers(target, 3).normal("a", 40, 3),
        numbers.normal("a", 40, 3, 40),
    ):
        assert not bool((other == whole).any())
    uniform = numbers.uniform("a", 4000)
    assert uniform.shape == (4000, 5) and bool(((uniform >= 0) & (uniform < 1)).all())
    z, _ = target.propose(40, seed=2)
    assert not torch.isclose(
        (z["z"] - target.args[0] / 2) / 0.9 / math.sqrt(0.5), numbers.normal("z", 40, 1)[..., 0]
    ).any()


def test_a_mixture_of_the_points_reaches_both_modes() -> None:
    what, _ = searched(Target(two_modes, one_mode, torch.zeros(3)))
    log_q = Mixture.fit(what.points).log_density(torch.tensor([-6.0, 6.0])[:, None, None].expand(2, 3, 1))
    exact = torch.tensor([0.1, 0.9]).log() - 0.5 * math.log(2 * math.pi)
    assert (log_q - exact[:, None]).abs().max() < 0.6


def test_particles_that_never_arrive_do_not_spoil_what_the_guide_shows() -> None:
    """A posterior that is narrow in a wide prior: the guide is exact, and its draws alone make the first mixture."""
    reference = problem("sblri")
    what, _ = searched(reference.target())
    assert float(what.ess.min()) > 0.3 * NUM_POINTS
