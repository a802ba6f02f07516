"""Planar layers written out, and their inverse where they are nearly flat or steep."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from elbowroom.guides import PlanarGuide
from elbowroom.guides.planar import _Planar
from toys.richer_guides import D, P, far

B = 3


def test_two_layers_written_out() -> None:
    guide, x = far("planar"), torch.randn(B, P)
    normal, h = guide.normal.encode(x).base_dist, guide.encoder(x).reshape(B, 2, 2 * D + 1)
    q_z, y = guide.encode(x), torch.randn(B, D)
    z, log_det = y, torch.zeros(B)
    for k in range(2):
        w, u, b = guide.directions[k] + h[:, k, :D], h[:, k, D : 2 * D], h[:, k, -1]
        along = (w * u).sum(-1)
        target = softplus(along + math.log(math.expm1(0.999))) - 0.999
        u = u + ((target - along) / w.square().sum(-1)).unsqueeze(-1) * w
        bent = torch.tanh((w * z).sum(-1) + b)
        jacobian = torch.eye(D) + (1 - bent.square())[:, None, None] * u.unsqueeze(-1) * w.unsqueeze(-2)
        z, log_det = z + u * bent.unsqueeze(-1), log_det + torch.linalg.det(jacobian).log()
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(y).sum(-1) - log_det - normal.scale.log().sum(-1)
    torch.testing.assert_close(q_z.log_prob(normal.loc + normal.scale * z), expected)


@pytest.mark.parametrize("along", [-1e3, -5.0, 0.0, 5.0, 1e3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-2)])
def test_layers_of_any_slope_are_inverted(along: float, dtype: torch.dtype, tolerance: float) -> None:
    """w·u far below zero makes a layer as flat as it may be, of slope 0.001 along w; far above, a cliff."""
    w, b = torch.tensor([[[0.6, 0.8]]], dtype=dtype), torch.tensor([[0.3]], dtype=dtype)
    layer, x = _Planar(w, along * w, b), 3 * torch.randn(2000, 1, D, dtype=dtype)
    y, log_det = layer.forward(x)
    assert log_det.isfinite().all() and (layer.slope > -1).all()
    scale = 1.0 if along < 10 else along
    torch.testing.assert_close(layer.inverse(y), x, rtol=0.0, atol=tolerance * scale)


def test_no_direction_is_no_layer() -> None:
    y, log_det = _Planar(torch.zeros(1, 1, D), torch.ones(1, 1, D), torch.zeros(1, 1)).forward(torch.randn(4, 1, D))
    assert y.isfinite().all() and torch.equal(log_det, torch.zeros(4, 1))


def test_the_number_of_layers_is_checked() -> None:
    with pytest.raises(ValueError, match=r"num_layers.* got 0"):
        PlanarGuide(P, D, num_layers=0)
