"""Distributions that state no support: taken as real, wherever they stand."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions.transforms import Spline
from torch import Tensor

from elbowroom.inference import Target, quadrature
from elbowroom.inference.programs.log_prob import bijection, enumerable, support_of
from toys.programs import data, normal


class Bare(dist.TorchDistribution):  # type: ignore[misc]
    """A density and draws, and nothing else: no support, no constraints, as flows of other libraries are wrapped."""

    has_rsample = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        super().__init__(inner.batch_shape, inner.event_shape, validate_args=False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        return self.inner.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.inner.log_prob(value)

    def expand(self, shape: torch.Size, _instance: Any = None) -> "Bare":
        return Bare(self.inner.expand(shape))


WRAPPED = {
    "as it is": lambda fn: Bare(fn.to_event(1)),
    "independent": lambda fn: Bare(fn).to_event(1),
    "expanded": lambda fn: (
        Bare(dist.Normal(torch.zeros(2), 1.0).to_event(1)).expand(fn.batch_shape[:1])
        if fn.batch_shape[:1] == (3,) and not fn.loc.any()
        else Bare(fn.to_event(1))
    ),
    "masked": lambda fn: Bare(fn.to_event(1)).mask(torch.tensor(True)),
    "transformed": lambda fn: dist.TransformedDistribution(Bare(fn.to_event(1)), []),
}


@pytest.mark.parametrize("how", sorted(WRAPPED))
def test_latent_observed_and_guide_sites_without_a_support(how: str) -> None:
    """z ~ N(0, I), x | z ~ N(z, 1/4), q = N(.8 x, 1/5), the exact posterior: every weight is N(x; 0, 5/4)."""
    x, wrap = data(3, 2), WRAPPED[how]

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", wrap(dist.Normal(torch.zeros(len(x), 2), 1.0)))
            pyro.sample("x", wrap(dist.Normal(z, 0.5)), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", wrap(dist.Normal(0.8 * x, 0.2**0.5)))

    target = Target(model, guide, x)
    evidence = normal(0.0, 1.25**0.5, x).sum(-1)
    torch.testing.assert_close(target.log_weights(4), evidence.expand(4, 3))
    assert target.structure.latents["z"].real
    torch.testing.assert_close(quadrature(target).value, evidence, rtol=0.0, atol=1e-6)


def test_what_a_distribution_may_not_say() -> None:
    class Silent:
        event_dim = 1

        @property
        def support(self) -> Any:
            raise NotImplementedError

        @property
        def has_enumerate_support(self) -> bool:
            raise NotImplementedError

    assert support_of(Silent()) is None and not enumerable(Silent())
    assert support_of(object()) is None and not enumerable(object())
    assert torch.equal(bijection(Silent())(torch.ones(2)), torch.ones(2))


def test_a_lattice_of_a_spline_ends() -> None:
    """A density with kinks converges as the square of the spacing: an end is put to it, and the error is said."""
    torch.manual_seed(0)
    spline = Spline(2, count_bins=4, bound=4.0)
    for parameter in spline.parameters():
        parameter.requires_grad_(False)
    flow = dist.TransformedDistribution(dist.Normal(torch.zeros(2), 1.0).to_event(1), [spline])
    x = data(2, 2)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 0.5).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", Bare(flow))

    target = Target(model, guide, x)
    exact = quadrature(target)
    torch.testing.assert_close(exact.value, normal(0.0, 1.25**0.5, x).sum(-1), rtol=0.0, atol=1e-6)
    log_w = target.log_weights(20_000)
    assert ((exact.info["elbo"] - log_w.mean(0)).abs() < 4 * log_w.std(0) / 20_000**0.5 + 1e-3).all()
