"""What is refused of a prior, and what is read through wrappers and plates."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from elbowroom.inference import Target
from elbowroom.inference.programs.log_prob import innermost
from toys.programs import data, hierarchical, inner_plate, normal_guide, outer_plate


def test_an_improper_prior_is_named_and_proper_ones_pass() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.ImproperUniform(constraints.real, torch.Size(), torch.Size()).mask(x > -9.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    with pytest.raises(ValueError, match="prior of site 'z' is improper"):
        Target(model, normal_guide(0.8), data(3)).check_proper()
    hierarchical().target().check_proper()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda fn: fn,
        lambda fn: fn.to_event(1),
        lambda fn: fn.mask(torch.tensor([True, False])).to_event(1),
        lambda fn: dist.TransformedDistribution(fn, [dist.transforms.ExpTransform()]).to_event(1),
    ],
)
def test_the_innermost_distribution(wrap: object) -> None:
    assert callable(wrap)
    assert type(innermost(wrap(dist.Normal(torch.zeros(2), 1.0)))) is dist.Normal


def test_plates_of_a_latent_are_those_besides_the_datas() -> None:
    inside, outside = (triple.target().structure.latents for triple in (inner_plate(), outer_plate()))
    assert {name: latent.plates for name, latent in inside.items()} == {"z": (), "w": (3,)}
    assert (outside["w"].plates, outside["w"].shape) == ((3,), (3, 2))
