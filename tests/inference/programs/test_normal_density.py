"""Normal densities in fewer passes: torch's, to the bit."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.func import vmap

from elbowroom.inference.programs.log_prob import log_prob, unexpanded


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (6,), (4, 1), (5, 4, 6)])
def test_normal_densities_are_torchs(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    scale = (0.1 + torch.rand(shape)).to(dtype).expand(5, 4, 6)
    loc, value = torch.randn(4, 6).to(dtype), (3 * torch.randn(5, 4, 6)).to(dtype)
    fn = dist.Normal(loc, scale).to_event(1)
    with torch.no_grad():
        found = log_prob(fn, value)
    assert torch.equal(found, fn.log_prob(value)) and found.dtype == dtype


def test_normal_densities_take_vmap() -> None:
    value, scale = torch.randn(5, 4), 0.1 + torch.rand(5, 1)

    def density(value: Tensor, scale: Tensor) -> Tensor:
        return log_prob(dist.Normal(value.new_zeros(4), scale.expand(4), validate_args=False), value)

    with torch.no_grad():
        found = vmap(density)(value, scale)
    torch.testing.assert_close(found, dist.Normal(0.0, scale).log_prob(value), rtol=1e-15, atol=1e-15)


def test_a_row_in_place_of_many() -> None:
    row = torch.randn(1, 3)
    assert torch.equal(unexpanded(row.expand(4, 5, 3)), row.unsqueeze(0))
    assert unexpanded(row.expand(4, 5, 3)).shape == (1, 1, 3)
    assert unexpanded(torch.randn(4, 5)).shape == (4, 5)
