"""The amortized Normal, other people's encoders and the exact posterior: values, floors, errors."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from elbowroom.guides import AmortizedNormal, ExactPosterior, from_encoder
from elbowroom.guides.registry import make_guide
from elbowroom.models import PPCA, VAE
from toys.networks import Returns

B, P, D = 5, 6, 2


def test_amortized_normal_written_out() -> None:
    guide, x, z = AmortizedNormal(P, D, (4,), floor=0.05), torch.randn(B, P), torch.randn(B, D)
    mean, raw = guide.encoder.layers(x).chunk(2, -1)
    expected = dist.Normal(mean, 0.05 + softplus(raw)).log_prob(z).sum(-1)
    torch.testing.assert_close(guide.encode(x).log_prob(z), expected)


def test_an_encoder_of_counts_reads_their_logarithms() -> None:
    guide, plain, x = AmortizedNormal(P, D, inputs="log1p"), AmortizedNormal(P, D), torch.arange(P).expand(B, P) * 1e3
    plain.load_state_dict(guide.state_dict())
    torch.testing.assert_close(guide.encode(x).mean, plain.encode((1 + x).log()).mean)
    with pytest.raises(ValueError, match="x: got values down to -1, and inputs='log1p' is for counts"):
        guide.encode(x - 1)
    with pytest.raises(ValueError, match=r"inputs.* got 'sqrt', expected one of 'raw', 'log1p'"):
        AmortizedNormal(P, D, inputs="sqrt")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_floor_keeps_a_spread_when_softplus_underflows(dtype: torch.dtype) -> None:
    guide = AmortizedNormal(P, D).to(dtype)
    with torch.no_grad():
        guide.encoder.layers[-1].bias.fill_(-1e4)
    x = torch.zeros(B, P, dtype=dtype)
    assert guide.encode(x).stddev.tolist() == torch.full((B, D), 1e-6, dtype=dtype).tolist()
    assert guide(x).isfinite().all()


def test_without_a_floor_a_zero_spread_is_refused() -> None:
    guide = AmortizedNormal(P, D, floor=0.0)
    with torch.no_grad():
        guide.encoder.layers[-1].bias.fill_(-1e4)
    with pytest.raises(ValueError, match="scale"):
        guide(torch.zeros(B, P))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data_dim": 0}, ValueError, "data_dim.* got 0"),
        ({"latent_dim": 1.5}, TypeError, "latent_dim.* got 1.5"),
        ({"hidden": (0,)}, ValueError, r"hidden.* got 0"),
        ({"hidden": "64"}, TypeError, "hidden.* got '64'"),
        ({"activation": "sin"}, ValueError, "activation.* got 'sin', expected one of 'silu'"),
        ({"floor": -1e-6}, ValueError, "floor.* got -1e-06"),
    ],
)
def test_constructor_errors(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        AmortizedNormal(**{"data_dim": P, "latent_dim": D, **arguments})


# -- other people's encoders --------------------------------------------------------------------------------------


def test_the_encoder_is_the_same_object_and_sees_the_data_as_they_are() -> None:
    seen = []

    class Convolutional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv2d(1, 2, 2), nn.Linear(2 * 1 * 2, 2 * D)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            seen.append(tuple(x.shape))
            return self.out(self.conv(x).flatten(1)).chunk(2, -1)  # type: ignore[return-value]

    encoder = Convolutional().to(torch.float32)
    values = {name: value.clone() for name, value in encoder.state_dict().items()}
    guide = from_encoder(encoder, output="mean_log_var")
    x = torch.randn(B, 1, 2, 3, dtype=torch.float32)
    assert guide.encoder is encoder and guide(x).shape == (B, D) and seen == [(B, 1, 2, 3)]
    assert all(torch.equal(value, values[name]) for name, value in encoder.state_dict().items())


def test_both_outputs_are_read_as_told() -> None:
    mean, std, x, z = torch.randn(B, D), 0.1 + torch.rand(B, D), torch.randn(B, P), torch.randn(B, D)
    expected = dist.Normal(mean, std).log_prob(z).sum(-1)
    for output, second in (("mean_std", std), ("mean_log_var", 2 * std.log())):
        guide = from_encoder(Returns(lambda x, second=second: (mean, second)), output=output)
        torch.testing.assert_close(guide.encode(x).log_prob(z), expected)


class Posterior(NamedTuple):
    embedding: Tensor
    log_covariance: Tensor


@pytest.mark.parametrize(
    ("output", "make"),
    [
        ("mean_log_std", lambda m, s: (m, s.log())),
        ("stacked_mean_log_var", lambda m, s: torch.cat([m, 2 * s.log()], 1)),
        ("stacked_mean_std", lambda m, s: torch.cat([m, s], 1)),
        (None, lambda m, s: dist.Normal(m, s)),
        (None, lambda m, s: dist.Normal(m, s).to_event(1)),
        (None, lambda m, s: dist.MultivariateNormal(m, (s**2).diag_embed())),
        (None, lambda m, s: SimpleNamespace(latent_dist=SimpleNamespace(mean=m, logvar=2 * s.log(), std=s))),
        (None, lambda m, s: {"mu": m, "logvar": 2 * s.log(), "z": m + s}),
        (None, lambda m, s: {"loc": m, "scale": s}),
        (None, lambda m, s: Posterior(m, 2 * s.log())),
        ("mean_std", lambda m, s: {"mean": m, "std": s, "log_std": 3 * s}),
        ("mean_log_var", lambda m, s: (m.reshape(B, D, 1), 2 * s.log().reshape(B, D, 1))),
    ],
)
def test_what_an_encoder_calls_its_tensors(output: str | None, make: Any) -> None:
    mean, std, z = torch.randn(B, D), 0.1 + torch.rand(B, D), torch.randn(B, D)
    guide = from_encoder(lambda x: make(mean, std), output=output)
    torch.testing.assert_close(guide.encode(torch.randn(B, P)).log_prob(z), dist.Normal(mean, std).log_prob(z).sum(-1))


@pytest.mark.parametrize(
    ("output", "make", "error", "message"),
    [
        ("mean_std", lambda x: x[:, :D], TypeError, r"returned one tensor of shape \(5, 2\), expected a pair"),
        ("mean_log_var", lambda x: (x, x, x), TypeError, r"returned a tuple of 3 .*network\(x\)\[1:\]"),
        ("mean_log_var", lambda x: {"mean": x}, TypeError, "returned a dict"),
        ("mean_log_var", lambda x: dist.Laplace(x, 1.0), TypeError, "returned a Laplace, expected a Normal"),
        (None, lambda x: (x, x), TypeError, "which does not say what it is: say output= one of 'mean_log_var'"),
        ("stacked_mean_std", lambda x: x[:, :3], ValueError, r"shape \(5, 3\) .*expected \[B, 2 D"),
        ("mean_std", lambda x: (x[:, :D], -torch.ones(B, D)), ValueError, "between -1 and -1 .*'mean_log_var'"),
        ("mean_std", lambda x: (x[:, :D], torch.zeros(B, D)), ValueError, "between 0 and 0 .*positive"),
        ("mean_std", lambda x: (x[:, :D], torch.full((B, D), torch.nan)), ValueError, "between nan and nan"),
        ("mean_std", lambda x: (x[:, :D], torch.ones(B, 1)), ValueError, r"shapes \(5, 2\) and \(5, 1\)"),
        ("mean_std", lambda x: (torch.ones(1, D),) * 2, ValueError, r"shape \(1, 2\).*expected \[5, D\]"),
        ("mean_std", lambda x: (torch.ones(B),) * 2, ValueError, r"shape \(5,\).*expected \[5, D\]"),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_what_the_encoder_returned_is_named(output, make, error, message, validate: bool) -> None:
    guide = from_encoder(Returns(make), output=output)
    with pyro.validation_enabled(validate), pytest.raises(error, match=f"^encoder: .*{message}"):
        guide(torch.randn(B, P))


def test_adapter_errors() -> None:
    with pytest.raises(ValueError, match=r"output.* got 'mean', expected one of 'mean_log_var', 'mean_std'"):
        from_encoder(nn.Linear(P, D), output="mean")
    with pytest.raises(TypeError, match=r"encoder must be .*torch.nn.Module, .* got 3"):
        from_encoder(3, output="mean_std")  # type: ignore[arg-type]


# -- the exact posterior ------------------------------------------------------------------------------------------


def test_the_exact_posterior_is_the_models_own() -> None:
    model, x = PPCA(P, D), torch.randn(B, P)
    q, p = ExactPosterior(model).encode(x), model.posterior(x)
    assert torch.equal(q.mean, p.mean) and torch.equal(q.covariance_matrix, p.covariance_matrix)


def test_a_model_without_a_posterior_is_refused() -> None:
    with pytest.raises(TypeError, match=r"model.* got VAE, which has no method posterior.*AmortizedNormal"):
        ExactPosterior(VAE(P, D))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"model must be an instance of a torch.nn.Module, got the class PPCA"):
        ExactPosterior(PPCA)  # type: ignore[arg-type]


def test_what_a_guide_requires_is_read_off_the_model() -> None:
    model = PPCA(P, D)
    assert make_guide("exact", model).model is model
    assert make_guide("normal", model, hidden=(3,)).data_dim == P  # an attribute of the model
    assert make_guide("none", model)(torch.zeros(B, P), torch.zeros(B)) is None
    with pytest.raises(TypeError, match="latent_dim"):
        make_guide("normal", nn.Linear(2, 2), P)
