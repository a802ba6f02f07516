"""Priors that somebody else has: densities and draws as their own, log p(x) by quadrature, and what is refused."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Gamma,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from elbowroom.guides import from_encoder
from elbowroom.inference import Target, anneal, hmc, importance, quadrature
from elbowroom.models import DecoderModel, PosteriorMixture, from_decoder
from elbowroom.networks.zuko_library import import_zuko
from toys.failure_budget import sigmas
from toys.networks import Returns

B, P, D = 4, 6, 2
LOC = torch.tensor([1.0, -0.5], dtype=torch.float64)


class Learned(nn.Module):
    """A prior with parameters, of the batch shape [1, D] that pythae's have."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(LOC.clone().unsqueeze(0))

    def forward(self) -> Normal:
        return Normal(self.loc, 0.7)


def flow() -> nn.Module:
    torch.manual_seed(2)
    return import_zuko().flows.NSF(D, transforms=1, bins=4, hidden_features=(3,)).double()


def encoder() -> nn.Module:
    torch.manual_seed(3)
    return nn.Linear(P, 2 * D).double()


def vamp() -> PosteriorMixture:
    return PosteriorMixture(encoder(), torch.eye(3, P, dtype=torch.float64), output="stacked_mean_log_var")


PRIORS: dict[str, Callable[[], Any]] = {
    "normal": lambda: Normal(LOC, 0.5 + LOC.square()),
    "independent": lambda: Independent(Laplace(LOC, 1.0), 1),
    "correlated": lambda: MultivariateNormal(LOC, torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)),
    "mixture": lambda: MixtureSameFamily(
        Categorical(torch.tensor([0.3, 0.7])), Independent(Normal(torch.stack([LOC, -2 * LOC]), 0.5), 1)
    ),
    "module": Learned,
    "function": lambda: Learned().forward,
    "posteriors": vamp,
    "flow": flow,
}


def model_of(prior: Any) -> DecoderModel:
    torch.manual_seed(0)
    decoder = nn.Linear(D, P).double()
    return from_decoder(decoder, latent_dim=D, likelihood="bernoulli", output="logits", prior=prior)


def target_of(prior: Any) -> Target:
    guide = from_encoder(Returns(lambda x: (LOC.expand(len(x), D), 1.2 * torch.ones(len(x), D))), output="mean_std")
    x = torch.bernoulli(torch.full((B, P), 0.4, dtype=torch.float64), generator=torch.Generator().manual_seed(1))
    return Target(model_of(prior), guide, x)


def priors() -> Any:
    without = pytest.mark.skipif(find_spec("zuko") is None, reason="flows are made of zuko, which is not installed")
    return [pytest.param(make, id=name, marks=without if name == "flow" else ()) for name, make in PRIORS.items()]


@pytest.mark.parametrize("make", priors())
def test_its_density_and_its_draws_are_its_own(make: Callable[[], Any]) -> None:
    prior = make()
    target = target_of(prior)
    z, _ = target.propose(3, seed=0)
    own = prior if isinstance(prior, torch.distributions.Distribution) else prior()
    log_p = own.log_prob(z["z"])
    log_p = log_p.sum(-1) if log_p.ndim == 3 else log_p
    torch.testing.assert_close(target.log_joint(z)[0], log_p)
    drawn = target.model.generate(4000, seed=1).z
    sizes = drawn.std(0) / 4000**0.5
    with torch.random.fork_rng():
        torch.manual_seed(9)
        others = own.sample((4000,)).reshape(4000, D)
    assert bool(((drawn.mean(0) - others.mean(0)).abs() < sigmas(D) * 2**0.5 * sizes).all())
    assert torch.equal(drawn, target.model.generate(4000, seed=1).z)


@pytest.mark.parametrize("make", priors())
def test_log_p_beneath_it_is_the_integral(make: Callable[[], Any]) -> None:
    target = target_of(make())
    exact, found = quadrature(target), importance(target, num_samples=4000, seed=0, search=False)
    assert bool(((found.value - exact.value).abs() < sigmas(B) * found.stderr + 1e-6).all())


def test_the_integral_by_hand() -> None:
    """p(x) = Σ_k w_k ∫ N(z; m_k, s²) p(x|z) dz on a lattice."""
    target = target_of(PRIORS["mixture"]())
    line, step = torch.linspace(-8, 8, 801, dtype=torch.float64), 0.02
    z = torch.cartesian_prod(line, line)
    log_p = PRIORS["mixture"]().log_prob(z) + target.model.decode(z).log_prob(target.data[0][:1])
    torch.testing.assert_close(quadrature(target).value[0], log_p.logsumexp(0) + 2 * torch.tensor(step).double().log())


def test_a_mixture_of_posteriors_written_out() -> None:
    network, inputs, z = encoder(), torch.eye(3, P, dtype=torch.float64), torch.randn(5, D, dtype=torch.float64)
    mean, log_var = network(inputs).chunk(2, -1)
    each = Normal(mean, (log_var / 2).exp()).log_prob(z.unsqueeze(1)).sum(-1)  # [5, K]
    for weights, expected in ((None, torch.ones(3) / 3), (torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1, 2, 5]) / 8)):
        prior = PosteriorMixture(network, lambda: inputs, output="stacked_mean_log_var", weights=weights)
        torch.testing.assert_close(prior().log_prob(z), (each + expected.double().log()).logsumexp(-1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixture", "module", "posteriors"])
def test_chains_and_annealing_know_it(name: str) -> None:
    target = target_of(PRIORS[name]())
    exact = quadrature(target)
    for start in ("guide", "prior"):
        found = anneal(target, start=start, num_steps=100, num_chains=32, seed=0)
        assert bool(((found.value - exact.value).abs() < sigmas(2 * B) * found.stderr + 0.01).all())
    draws = hmc(target, seed=0)
    assert not any(draws.flags)


def test_parameters_of_a_prior_are_the_models() -> None:
    model = model_of(Learned())
    assert any(name.startswith("given_prior") for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    ("prior", "error", "message"),
    [
        (3, TypeError, "prior: got int, expected a torch.nn.Module, or a function"),
        (Normal(torch.zeros(3), 1.0), ValueError, r"prior: got a Normal of 3 values \(3,\), expected 2"),
        (partial(torch.zeros, 2), TypeError, "prior: got what returns a Tensor, expected a distribution"),
        (Gamma(torch.ones(2), 1.0), ValueError, "prior: got a Gamma on .*, expected one of real numbers"),
    ],
)
def test_what_is_no_prior(prior: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model_of(prior)


def test_the_codes_prior_is_the_standard_one_where_none_is_given() -> None:
    model = model_of(None)
    z = torch.randn(5, D, dtype=torch.float64)
    expected: Tensor = Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(model.prior().log_prob(z), expected)
