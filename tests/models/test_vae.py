"""VAEs: what each likelihood computes, the floor of a learned σ, and constructor errors."""

import math

import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.models import VAE
from elbowroom.models.likelihoods import LIKELIHOODS
from elbowroom.models.likelihoods.normal import FLOOR

P, D = 6, 2


def expected_log_prob(name: str, model: VAE, z: Tensor, x: Tensor) -> Tensor:
    """Each likelihood written out with torch's own distributions."""
    out = model.decoder(z)
    if name == "bernoulli":
        return dist.Bernoulli(logits=out).log_prob(x).sum(-1)
    if name == "normal-fixed":
        return dist.Normal(out, 0.3).log_prob(x).sum(-1)
    if name == "normal-learned":
        return dist.Normal(out, 0.02 + math.exp(model.likelihood.log_above_floor.item())).log_prob(x).sum(-1)
    if name == "normal-heteroscedastic":
        return dist.Normal(out[0], 0.02 + out[1]).log_prob(x).sum(-1)
    if name == "beta":
        return dist.Beta(out[0].exp(), out[1].exp()).log_prob(x).sum(-1)
    if name == "multinomial":
        return dist.Multinomial(P, logits=out, validate_args=False).log_prob(x)
    if name == "categorical":
        return dist.Categorical(logits=out.unflatten(-1, (P, 3))).log_prob(x).sum(-1)
    if name == "discretised-logistic":  # of levels 0, 1, 2 on [−1, 1]: zero begins nowhere, two has no end
        at = [torch.sigmoid((edge - out[0]) / out[1].exp()) for edge in (-0.5, 0.5)]
        below = torch.stack([torch.zeros_like(out[0]), *at, torch.ones_like(out[0])])
        return (below[1:] - below[:-1]).log().gather(0, x.long()[None])[0].sum(-1)
    theta = getattr(model.likelihood, "log_theta", torch.tensor(0.0)).exp()
    first = out if isinstance(out, Tensor) else out[0]
    made = {
        "continuous-bernoulli": lambda: dist.ContinuousBernoulli(logits=out),
        "binomial": lambda: dist.Binomial(2, logits=out),
        "poisson": lambda: dist.Poisson(out.exp()),
        "negative-binomial": lambda: dist.NegativeBinomial(theta, logits=first - theta.log()),
        "zero-inflated-negative-binomial": lambda: dist.ZeroInflatedNegativeBinomial(
            theta, logits=first - theta.log(), gate_logits=out[1]
        ),
    }
    return made[name]().log_prob(x).sum(-1)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_decode_equals_the_likelihood_written_out(name: str) -> None:
    floor = {"floor": 0.02}
    options = {
        "normal-fixed": {"sigma": 0.3},
        "normal-learned": floor,
        "normal-heteroscedastic": floor,
        "binomial": {"likelihood_options": {"trials": 2}},
        "categorical": {"likelihood_options": {"levels": 3}},
        "discretised-logistic": {"likelihood_options": {"levels": 3}},
    }.get(name, {})
    model, z = VAE(P, D, (5,), name, **options), torch.randn(4, D)
    if hasattr(model.likelihood, "log_theta"):
        torch.nn.init.normal_(model.likelihood.log_theta)
        assert model.likelihood.log_theta.shape == (P,)
    x = torch.randint(0, 2, (4, P)).double()
    if name == "beta":
        x = 0.1 + 0.8 * x
    torch.testing.assert_close(model.decode(z).log_prob(x), expected_log_prob(name, model, z, x))


def test_a_learned_sigma_starts_where_told_and_stays_above_its_floor() -> None:
    model = VAE(P, D, (), "normal-learned", sigma=0.25, floor=0.1)
    assert model.likelihood.sigma.item() == pytest.approx(0.25)
    with torch.no_grad():
        model.likelihood.log_above_floor.fill_(-1e4)
    assert model.likelihood.sigma.item() == 0.1
    assert VAE(P, D, (), "normal-learned").likelihood.floor == FLOOR
    assert VAE(P, D, (), "normal-learned").likelihood.sigma.item() == pytest.approx(1.0)


def test_sigma_of_z_stays_above_its_floor() -> None:
    model = VAE(P, D, (), "normal-heteroscedastic", floor=0.1)
    with torch.no_grad():
        model.decoder.layers[-1].bias.fill_(-1e4)
    assert model.decode(torch.zeros(1, D)).scale.tolist() == [[0.1] * P]


def test_training_on_a_constant_dataset_stops_at_the_floor() -> None:
    """Without the floor σ → 0 and the density grows without limit."""
    x = torch.full((16, P), 0.5)
    model, guide = VAE(P, 1, (), "normal-learned", sigma=0.1, floor=0.05), AmortizedNormal(P, 1, ())
    svi = SVI(model, guide, Adam({"lr": 0.05}), Trace_ELBO())
    for _ in range(400):
        svi.step(x)
    assert 0.05 < model.likelihood.sigma.item() < 0.07  # from 0.1; an unbounded σ would be below 1e-3


def test_a_fixed_sigma_is_saved_with_the_parameters() -> None:
    one, two = VAE(P, D, (), "normal-fixed", sigma=0.3), VAE(P, D, (), "normal-fixed", sigma=0.5)
    two.load_state_dict(one.state_dict())
    assert two.likelihood.sigma.item() == 0.3
    assert "likelihood.sigma" not in dict(one.named_parameters())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data_dim": 0}, ValueError, "data_dim.* got 0"),
        ({"data_dim": 6.0}, TypeError, r"data_dim.* got 6\.0"),
        ({"latent_dim": -2}, ValueError, "latent_dim.* got -2"),
        ({"latent_dim": True}, TypeError, "latent_dim.* got True"),
        ({"hidden": (4, 0)}, ValueError, r"hidden.* got 0"),
        ({"hidden": 64}, TypeError, r"hidden.* got 64"),
        ({"activation": "swish"}, ValueError, "activation.* got 'swish', expected one of 'silu', 'gelu', .*'relu'"),
        (
            {"likelihood": "gamma"},
            ValueError,
            f"likelihood.* got 'gamma', expected one of {', '.join(map(repr, LIKELIHOODS))}",
        ),
        ({"likelihood": "normal-fixed"}, ValueError, "sigma.* got None; .*sigma=0.1"),
        ({"likelihood": "normal-fixed", "sigma": 0.0}, ValueError, r"sigma.* got 0\.0"),
        ({"likelihood": "normal-fixed", "sigma": math.nan}, ValueError, "sigma.* got nan"),
        ({"likelihood": "normal-fixed", "sigma": "0.1"}, TypeError, "sigma must be a number .*got '0.1'"),
        (
            {"likelihood": "normal-learned", "sigma": 0.1, "floor": 0.1},
            ValueError,
            r"sigma must .* above 0\.1 .*got 0\.1",
        ),
        ({"likelihood": "normal-learned", "floor": -1.0}, ValueError, r"floor.* got -1\.0"),
        ({"likelihood": "bernoulli", "sigma": 0.1}, ValueError, "sigma.* got 0.1, but the likelihood 'bernoulli'"),
        ({"likelihood": "normal-fixed", "sigma": 1.0, "floor": 0.1}, ValueError, "floor.* got 0.1, but"),
        (
            {"likelihood": "normal-learned", "likelihood_options": {"scale": 2}},
            ValueError,
            r"scale.* got 2, but the likelihood 'normal-learned' has no such option.*: sigma \(None\), floor \(0.001\)",
        ),
        ({"likelihood": "categorical"}, ValueError, "levels.* got None; the likelihood 'categorical' needs"),
        (
            {"likelihood": "discretised-logistic", "likelihood_options": {"levels": 1}},
            ValueError,
            "levels.* got 1, exp",
        ),
        ({"likelihood": "binomial"}, ValueError, "trials.* got None; .*trials=16"),
        (
            {"likelihood": "poisson", "likelihood_options": {"exposure": "mean"}},
            ValueError,
            "exposure.* got 'mean', exp",
        ),
    ],
)
def test_constructor_errors(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        VAE(**{"data_dim": P, "latent_dim": D, **arguments})


def test_grey_values_under_a_bernoulli_likelihood_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x: got .* neither 0 nor 1, .*binarise"):
        Trace_ELBO().loss(VAE(P, D), AmortizedNormal(P, D), torch.full((3, P), 0.5))
