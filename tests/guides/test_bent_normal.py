"""Densities of bent Normals: gradients with what was drawn remembered and without, and inverses."""

import pytest
import torch
from torch import Tensor

from elbowroom.guides.bent_normal import bent_normal
from toys.richer_guides import D, P, far

B, S = 3, 5
every_flow = pytest.mark.parametrize("name", ["planar", "iaf", "coupling", "spline"])


class Cubed:
    """y = x³ + x in each place; counts its inverses."""

    def __init__(self) -> None:
        self.inverses = 0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x**3 + x, (3 * x.square() + 1).log().sum(-1)

    def inverse(self, y: Tensor) -> Tensor:
        self.inverses += 1
        root = (y / 2 + (y.square() / 4 + 1 / 27).sqrt()) ** (1 / 3)  # Cardano's, for y > 0
        return root - 1 / (3 * root)


def test_log_q_is_the_change_of_variables() -> None:
    cubed, mean, std = Cubed(), torch.randn(B, D), torch.rand(B, D) + 0.5
    q_z, x = bent_normal(mean, std, cubed), torch.rand(S, B, D)
    z = mean + std * (x**3 + x)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x)
    torch.testing.assert_close(q_z.log_prob(z), (normal - ((3 * x.square() + 1) * std).log()).sum(-1))
    assert cubed.inverses == 1


def test_a_draw_takes_no_inverse_and_another_point_does() -> None:
    cubed = Cubed()
    q_z = bent_normal(torch.zeros(B, D, requires_grad=True), torch.ones(B, D), cubed).expand((S, B))
    z = q_z.rsample()
    q_z.log_prob(z)
    assert cubed.inverses == 0
    q_z.log_prob(z.abs())
    q_z.rsample()
    q_z.log_prob(z.abs())
    assert cubed.inverses == 2


@every_flow
def test_gradients_of_log_q_at_a_draw_are_those_at_the_point(name: str) -> None:
    """Of every parameter: a draw made without a graph is no constant, and one that is remembered moves with them."""
    guide, x = far(name), torch.randn(B, P)
    q_z, parameters = guide.encode(x).expand((S, B)), [*guide.parameters()]

    def gradients(z: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(q_z.log_prob(z).sum(), parameters, retain_graph=True)

    z = q_z.sample()
    torch.testing.assert_close(gradients(z), gradients(z.clone()))
    z = q_z.rsample()
    torch.testing.assert_close(gradients(z), gradients(z.clone()), rtol=1e-6, atol=1e-8)


@every_flow
def test_a_draw_of_a_frozen_guide_may_be_differentiated_in_place(name: str) -> None:
    q_z = far(name).requires_grad_(False).encode(torch.randn(B, P))
    z = q_z.rsample().requires_grad_(True)
    found, expected = (torch.autograd.grad(q_z.log_prob(at).sum(), z)[0] for at in (z, z * 1.0))
    torch.testing.assert_close(found, expected)


@every_flow
def test_the_gradient_of_log_q_is_that_of_its_differences(name: str) -> None:
    guide, x = far(name), torch.randn(B, P)
    q_z = guide.encode(x)
    z = q_z.sample().requires_grad_(True)
    assert torch.autograd.gradcheck(guide.encode(x).log_prob, (z,))


@every_flow
def test_single_precision_finds_the_way_back(name: str) -> None:
    guide, x = far(name).float(), torch.randn(200, P).float()
    q_z = guide.encode(x)
    z = q_z.rsample()
    torch.testing.assert_close(q_z.log_prob(z.clone()), q_z.log_prob(z), rtol=1e-3, atol=1e-3)
