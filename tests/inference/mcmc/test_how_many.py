"""As many components as the points show modes, datum by datum."""

import torch
from torch import Tensor

from elbowroom.inference.mcmc.how_many import MOST_MODES, by_modes
from elbowroom.inference.mcmc.mixture import Mixture
from toys.programs import data


def clusters(modes: list[int], dim: int, num_points: int = 512, apart: float = 12.0) -> Tensor:
    """Points `[N, B, D]`: of datum b, standard normal ones about so many corners of a cube."""
    noise, columns = data(num_points, len(modes), dim, seed=1), []
    for count in modes:
        corner = torch.randint(count, (num_points,))
        bits = (corner.unsqueeze(1) // 2 ** torch.arange(dim)) % 2
        columns.append(apart * bits.double())
    return noise + torch.stack(columns, 1)


def standardised(points: Tensor) -> Tensor:
    return ((points - points.mean(0)) / points.std(0)).transpose(0, 1)


def sizes(points: Tensor, count: int = 1) -> list[int]:
    share = by_modes(standardised(points), count)
    assert bool((share.sum(-1) == 1).all())
    return (share.sum(1) > 0).sum(-1).tolist()


def test_each_mode_has_a_component() -> None:
    assert sizes(clusters([1, 2, 4, 8], dim=6)) == [1, 2, 4, 8]
    assert sizes(clusters([1, 2], dim=10)) == [1, 2]


def test_a_small_mode_counts() -> None:
    points = clusters([1], dim=10)
    points[:20] += 12.0
    assert sizes(points) == [2]


def test_never_fewer_than_asked_for_nor_more_than_the_points_allow() -> None:
    assert sizes(clusters([1], dim=3), 4) == [4]
    assert max(sizes(clusters([8], dim=3))) <= MOST_MODES
    assert sizes(clusters([8], dim=6, num_points=24)) == [2]  # two points for each coordinate of a component


def test_a_datums_number_is_its_own() -> None:
    points = clusters([1, 4, 2], dim=5)
    share = by_modes(standardised(points), 1)
    for b, modes in enumerate((1, 4, 2)):
        alone = by_modes(standardised(points[:, b : b + 1]), 1)
        assert alone.shape[-1] == modes and torch.equal(alone[0], share[b, :, :modes])
        assert not bool(share[b, :, modes:].any())


def test_a_mixture_of_fewer_components_is_the_same_beside_one_of_more() -> None:
    """Components that a datum does not have are never drawn and have no density."""
    points = clusters([2, 8], dim=6)
    both, alone = Mixture.fit(points), Mixture.fit(points[:, :1])
    at = points[:50]
    torch.testing.assert_close(both.log_density(at)[:, :1], alone.log_density(at[:, :1]), rtol=1e-9, atol=1e-9)
    normal, uniforms = data(400, 2, 6, seed=2), torch.rand(2, 400, 2)
    drawn = both.sample(normal, *uniforms)
    torch.testing.assert_close(drawn[:, :1], alone.sample(normal[:, :1], *uniforms[:, :, :1]), rtol=1e-9, atol=1e-9)
    assert len((drawn[:, 1, :3] > 6).unique(dim=0)) == 8
