"""N(0, I): its density against SciPy's, its draws by seed."""

from collections.abc import Callable

import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from elbowroom.models import VAE
from elbowroom.models.priors import draw_standard_normal, standard_normal


@pytest.mark.parametrize("make", [lambda: standard_normal(torch.zeros(3), torch.ones(3)), lambda: VAE(4, 3).prior()])
def test_density(make: Callable[[], dist.TorchDistribution]) -> None:
    prior, z = make(), torch.tensor([[0.3, -1.0, 2.0], [0.0, 0.0, 0.0]])
    assert prior.batch_shape == () and prior.event_shape == (3,)
    expected = torch.from_numpy(stats.norm.logpdf(z.numpy()).sum(-1))
    torch.testing.assert_close(prior.log_prob(z), expected)


def test_draws_are_a_function_of_the_seed_and_move_no_global_state() -> None:
    before, loc = torch.get_rng_state(), torch.zeros(2)
    first, again = (draw_standard_normal(5, loc, seed=3) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, draw_standard_normal(5, loc, seed=4))
    assert torch.equal(torch.get_rng_state(), before)


def test_buffers_stay_where_checkpoints_have_them() -> None:
    names = [name for name, _ in VAE(4, 2, (3,)).named_buffers()]
    assert {"prior_loc", "prior_scale"} <= set(names)
