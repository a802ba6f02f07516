"""What all guides built around a Normal do: densities that integrate to one, and the trained guide where they begin."""

import pytest
import torch
from torch import Tensor, nn

from elbowroom.guides import AmortizedNormal, ConvolutionalNormal, from_encoder
from elbowroom.guides.around_normal import AroundNormal
from elbowroom.inference import Target
from elbowroom.models import VAE
from toys.networks import Returns
from toys.richer_guides import GUIDES, D, P, far, make

B = 3
every_guide = pytest.mark.parametrize("name", GUIDES)


def trained() -> AmortizedNormal:
    """A guide with spreads well below one and means well apart."""
    torch.manual_seed(1)
    guide = AmortizedNormal(P, D, (5,), activation="tanh")
    with torch.no_grad():
        guide.encoder.layers[-1].weight.mul_(2.0)
        guide.encoder.layers[-1].bias[D:].sub_(1.0)
    return guide


def lattice(num_points: int, width: float) -> tuple[Tensor, float]:
    """Points `[N², 1, 2]` in a square about zero, and the area of one of them."""
    line = torch.linspace(-width, width, num_points)
    return torch.cartesian_prod(line, line).unsqueeze(1), float((line[1] - line[0]) ** 2)


@every_guide
def test_the_density_integrates_to_one(name: str) -> None:
    (guide, x), (z, area) = (far(name), torch.randn(1, P)), lattice(400, 12.0)
    with torch.no_grad():
        density = guide.encode(x).expand((len(z), 1)).log_prob(z).exp()
        normal = guide.normal.encode(x).log_prob(z).exp()
    assert float(density.sum()) * area == pytest.approx(1.0, abs=1e-3)
    assert float((density - normal).abs().sum()) * area > 0.1  # and it is another than the Normal's


@every_guide
def test_the_density_of_a_draw_is_that_of_the_point(name: str) -> None:
    guide = far(name)
    q_z = guide.encode(torch.randn(B, P)).expand((50, B))
    z = q_z.rsample()
    torch.testing.assert_close(q_z.log_prob(z), q_z.log_prob(z.clone()), rtol=1e-9, atol=1e-9)


@every_guide
def test_it_begins_at_the_guide_that_was_trained(name: str) -> None:
    normal = trained()
    guide, x = make(name, around=normal), torch.randn(B, P)
    z = normal.encode(x).sample((400,))
    torch.testing.assert_close(guide.encode(x).log_prob(z), normal.encode(x).log_prob(z), rtol=0.0, atol=0.05)
    (model, x), elbos = (VAE(P, D, (4,)), torch.ones(B, P)), []
    for one in (guide, normal):
        q_z = Target(model, one, x)
        prior, likelihood = q_z.log_joint({"z": z})
        elbos.append((prior + likelihood - q_z.log_guide({"z": z})).mean(0))
    tolerance = 3e-3 if name == "normal-mixture" else 1e-9  # components that are alike would stay so
    torch.testing.assert_close(*elbos, rtol=0.0, atol=tolerance)


@every_guide
def test_the_trained_parameters_are_copied_and_trained_on(name: str) -> None:
    normal = trained()
    guide, x = make(name, around=normal), torch.randn(B, P)
    assert not {id(p) for p in guide.parameters()} & {id(p) for p in normal.parameters()}
    before = {key: value.clone() for key, value in normal.state_dict().items()}
    optimiser = torch.optim.Adam(guide.parameters(), 0.1)
    for _ in range(2):  # what is beyond the Normal moves its hidden layers from the second step on
        optimiser.zero_grad()
        guide.encode(x).log_prob(torch.randn(B, D)).sum().backward()
        optimiser.step()
    assert all(torch.equal(value, before[key]) for key, value in normal.state_dict().items())
    fresh = make(name, around=normal).state_dict()
    assert not [
        key for key, value in guide.state_dict().items() if value.is_floating_point() and torch.equal(value, fresh[key])
    ]


@every_guide
def test_it_begins_at_any_diagonal_normal_of_its_dtype(name: str) -> None:
    images = ConvolutionalNormal(P, D, (1, 2, 3), (2,)).float()
    x = torch.randn(B, 1, 2, 3, dtype=torch.float32)
    assert make(name, around=images).encode(x).sample().dtype == torch.float32
    heads = from_encoder(Returns(lambda x: (torch.zeros(B, D), torch.ones(B, D))), output="mean_std")
    assert make(name, around=heads).encode(torch.randn(B, P)).sample().shape == (B, D)


@every_guide
def test_what_it_cannot_begin_at_is_refused(name: str) -> None:
    x = torch.randn(B, P)
    with pytest.raises(TypeError, match=r"around must be an AmortizedGuide, or None, got 'runs/a'"):
        make(name, around="runs/a")
    with pytest.raises(TypeError, match=r"around must be an AmortizedGuide, or None, got the Linear"):
        make(name, around=nn.Linear(2, 2))
    with pytest.raises(
        TypeError,
        match=r"AmortizedFullNormal: its encode\(x\) returned MultivariateNormal.*, expected a diagonal Normal",
    ):
        make(name, around=make("full-normal")).encode(x)
    with pytest.raises(
        ValueError, match=r"AmortizedNormal: its Normal has shape \(3, 4\) .*\(3, 2\); is latent_dim=4 meant"
    ):
        make(name, around=AmortizedNormal(P, 4)).encode(x)
    with pytest.raises(ValueError, match=r"x.* got 5 values per datum"):
        make(name).encode(torch.randn(B, 5))
    assert issubclass(type(make(name)), AroundNormal)
