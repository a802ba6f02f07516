"""Other people's decoders: wrapped as they are, read as told, refused when they say something else."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal, Poisson

from elbowroom.models import DecoderModel, from_decoder
from toys.networks import Returns

P, D = 6, 2
HETERO = "normal-heteroscedastic"


def wrapped(
    make: Callable[[Tensor], Any], likelihood: str, output: str | None, **options: float | None
) -> DecoderModel:
    """A decoder that returns `make(z)`, wrapped."""
    return from_decoder(Returns(make), latent_dim=D, likelihood=likelihood, output=output, **options)


def ones(z: Tensor, *shape: int) -> Tensor:
    return torch.ones(*z.shape[:-1], *shape)


def test_the_network_is_the_same_object_untouched() -> None:
    decoder = nn.Sequential(nn.Linear(D, P), nn.BatchNorm1d(P)).to(torch.float32).eval()
    decoder[0].bias.requires_grad_(False)
    before = {name: (id(value), value.clone()) for name, value in decoder.state_dict(keep_vars=True).items()}
    model = from_decoder(decoder, latent_dim=D, likelihood="normal-learned", output="mean")
    assert model.decoder is decoder and not decoder.training
    x = torch.randn(3, P, dtype=torch.float32)
    model(x)
    for name, value in decoder.state_dict(keep_vars=True).items():
        assert id(value) == before[name][0] and torch.equal(value, before[name][1]), name
    assert not decoder[0].bias.requires_grad
    assert model.prior().sample().dtype == model.likelihood.sigma.dtype == torch.float32


@pytest.mark.parametrize("shape", [(P,), (1, 2, 3), (2, 3)])
def test_each_output_is_read_as_told(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, *shape), 0.1 + torch.rand(4, *shape)
    x, z = torch.randint(0, 2, (4, P)).double(), torch.zeros(4, D)
    flat_a, flat_b = a.flatten(1), b.flatten(1)
    cases = [
        ("bernoulli", "logits", a, Bernoulli(logits=flat_a)),
        ("bernoulli", "probs", a.sigmoid(), Bernoulli(logits=flat_a)),
        ("normal-fixed", "mean", a, Normal(flat_a, 0.5)),
        (HETERO, "mean_log_var", (a, 2 * b.log()), Normal(flat_a, flat_b)),
        (HETERO, "mean_std", [a, b], Normal(flat_a, flat_b)),
        ("poisson", "rate", b, Poisson(flat_b)),
        ("poisson", "log_rate", a, Poisson(flat_a.exp())),
    ]
    for likelihood, output, result, expected in cases:
        sigma = 0.5 if likelihood == "normal-fixed" else None
        model = wrapped(lambda z, result=result: result, likelihood, output, sigma=sigma)
        torch.testing.assert_close(model.decode(z).log_prob(x), expected.log_prob(x).sum(-1), rtol=1e-10, atol=1e-10)
        model(x)
        model(x.reshape(4, 1, 2, 3))


def test_a_floor_is_added_to_sigma_of_z_only_when_asked() -> None:
    for floor, expected in ((None, 0.2), (0.1, 0.3)):
        pair = wrapped(lambda z: (ones(z, P), 0.2 * ones(z, P)), HETERO, "mean_std", floor=floor)
        torch.testing.assert_close(pair.decode(torch.zeros(1, D)).scale, torch.full((1, P), expected))


def test_saturated_probabilities_stay_finite() -> None:
    """As torch has it: a probability rounded to 1 is one step away from it."""
    model = wrapped(lambda z: ones(z, P), "bernoulli", "probs")
    p_x, x = model.decode(torch.zeros(2, D)), torch.zeros(2, P)
    torch.testing.assert_close(p_x.log_prob(x), Bernoulli(probs=torch.ones(2, P)).log_prob(x).sum(-1))
    assert p_x.log_prob(x).isfinite().all()


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Linear(D, 8), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 1, 2, stride=2))


def test_a_convolutional_decoder_runs_on_a_batch_and_says_why_not_on_samples() -> None:
    model = from_decoder(convolutional(), latent_dim=D, likelihood="normal-learned", output="mean")
    model(torch.randn(3, 1, 4, 4))
    assert model.generate(5).mean.shape == (5, 16)


@pytest.mark.parametrize("num_data", [1, 3])
@pytest.mark.parametrize("shape", [(P,), (2, 3)])
def test_a_decoder_that_merges_samples_and_data_is_refused(num_data: int, shape: tuple[int, ...]) -> None:
    """`view(-1, *shape)` silently folds [S, B] into one dimension, which would pair samples with the wrong data."""
    model = wrapped(lambda z: (z @ torch.ones(D, P)).view(-1, *shape), "normal-learned", "mean")
    assert model.decode(torch.randn(num_data, D)).batch_shape == (num_data,)
    with pytest.raises(ValueError, match=rf"decoder: .*\(4, {num_data}, 2\).*takes only z \[N, D\]"):
        model.decode(torch.randn(4, num_data, D))


@pytest.mark.parametrize(
    ("likelihood", "output", "make", "error", "message"),
    [
        ("bernoulli", "logits", lambda z: (ones(z, P), ones(z, P)), TypeError, r"a tuple of 2 \(Tensor, Tensor\)"),
        ("bernoulli", "probs", lambda z: 1.2 * ones(z, P), ValueError, "between 1.2 and 1.2, expected prob.*'logits'"),
        ("bernoulli", "probs", lambda z: -0.1 * ones(z, P), ValueError, "expected probabilities"),
        ("bernoulli", "probs", lambda z: torch.nan * ones(z, P), ValueError, "between nan and nan"),
        ("poisson", "rate", lambda z: 0 * ones(z, P), ValueError, "between 0 and 0, expected positive.*'log_rate'"),
        ("normal-learned", "mean", lambda z: {"median": z}, TypeError, "returned a dict, expected one tensor"),
        (HETERO, "mean_std", lambda z: ones(z, P), TypeError, r"one tensor of shape \(3, 6\).*pair"),
        (HETERO, "mean_std", lambda z: (z, z, z), TypeError, "a tuple of 3"),
        (HETERO, "mean_std", lambda z: (z, None), TypeError, r"\(Tensor, NoneType\)"),
        (
            HETERO,
            "mean_std",
            lambda z: (ones(z, P), -ones(z, P)),
            ValueError,
            "standard deviations between -1 and -1 .*output='mean_log_var'",
        ),
        (HETERO, "mean_std", lambda z: (ones(z, P), 0 * ones(z, P)), ValueError, "between 0 and 0"),
        (
            HETERO,
            "mean_log_var",
            lambda z: (ones(z, P), 1e5 * ones(z, P)),
            ValueError,
            "and inf under output='mean_log_var'",
        ),
        (HETERO, "mean_std", lambda z: (ones(z, P), ones(z, 1)), ValueError, r"shapes \(3, 6\) and \(3, 1\)"),
    ],
)
def test_what_the_network_returned_is_named(likelihood, output, make, error, message) -> None:
    model = wrapped(make, likelihood, output)
    with pytest.raises(error, match=f"^decoder: .*{message}"):
        model(torch.zeros(3, P))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"decoder": "decoder"}, TypeError, r"decoder must be .*torch.nn.Module, or a callable .*got 'decoder'"),
        ({"decoder": nn.Linear}, TypeError, "decoder: got the class Linear, expected an instance"),
        ({"output": "sigmoid"}, ValueError, "output.* got 'sigmoid', but .* 'bernoulli' takes 'logits' or 'probs'"),
        ({"output": "mean"}, ValueError, r"output.* got 'mean', but .* 'bernoulli' takes 'logits' or 'probs'"),
        ({"likelihood": "gamma"}, ValueError, "likelihood.* got 'gamma', expected one of 'bernoulli'"),
        ({"latent_dim": 0}, ValueError, r"latent_dim.* got 0"),
        ({"likelihood": "normal-fixed", "output": "mean"}, ValueError, "sigma.* got None"),
    ],
)
def test_construction_errors(arguments: dict, error: type[Exception], message: str) -> None:
    given = {"decoder": nn.Linear(D, P), "latent_dim": D, "likelihood": "bernoulli", "output": "logits", **arguments}
    with pytest.raises(error, match=f"^{message}"):
        from_decoder(**given)


def test_how_a_tensor_is_read_has_no_default() -> None:
    model = from_decoder(nn.Linear(D, P), latent_dim=D, likelihood="bernoulli")
    with pytest.raises(
        TypeError, match=r"decoder: returned one tensor of shape \(3, 6\), .*say output= one of 'logits'"
    ):
        model(torch.zeros(3, P))


class Output(NamedTuple):
    sample: Tensor


@pytest.mark.parametrize(
    ("likelihood", "output", "make", "same_as"),
    [
        ("bernoulli", "logits", lambda a: {"reconstruction": a}, lambda a: a),
        ("bernoulli", "probs", lambda a: {"probs": a.sigmoid(), "loss": a}, lambda a: a.sigmoid()),
        ("normal-learned", "mean", Output, lambda a: a),
        ("normal-learned", "mean", lambda a: [a], lambda a: a),
        ("bernoulli", None, lambda a: Bernoulli(logits=a), lambda a: a),
        ("bernoulli", None, lambda a: Independent(Bernoulli(probs=a.sigmoid()), 1), lambda a: a),
        ("normal-learned", None, lambda a: Normal(a, 1.0), lambda a: a),
        ("poisson", None, lambda a: Poisson(a.exp()), lambda a: a),
        (HETERO, None, lambda a: Independent(Normal(a, a.exp()), 1), lambda a: (a, a)),
        (HETERO, "mean_log_std", lambda a: {"mu": a, "log_std": a}, lambda a: (a, a)),
    ],
)
def test_what_a_decoder_calls_its_tensors(likelihood: str, output: str | None, make: Any, same_as: Any) -> None:
    told = {"bernoulli": "logits", "normal-learned": "mean", "poisson": "log_rate", HETERO: "mean_log_std"}[likelihood]
    plain = wrapped(lambda z: same_as(z @ torch.ones(D, P)), likelihood, output if output == "probs" else told)
    model = wrapped(lambda z: make(z @ torch.ones(D, P)), likelihood, output)
    x, z = torch.ones(4, P), torch.randn(4, D)
    torch.testing.assert_close(model.decode(z).log_prob(x), plain.decode(z).log_prob(x))


def test_a_distribution_of_another_kind_is_refused() -> None:
    with pytest.raises(
        TypeError, match="decoder: returned a Poisson, of which the likelihood's 'logits' cannot be read"
    ):
        wrapped(lambda z: Poisson(z.exp()), "bernoulli", None)(torch.zeros(3, D))


def test_latents_of_any_shape_are_restored() -> None:
    shapes = []

    def decode(z: Tensor) -> Tensor:
        shapes.append(tuple(z.shape))
        return z.flatten(1) @ torch.ones(8, P)

    model = from_decoder(decode, latent_dim=(2, 2, 2), likelihood="bernoulli", output="logits")
    assert model.latent_dim == 8 and model(torch.zeros(3, P)).shape == (3, 8) and shapes == [(3, 2, 2, 2)]
    with pytest.raises(ValueError, match=r"latent_dim.* got 0"):
        from_decoder(decode, latent_dim=(2, 0), likelihood="bernoulli", output="logits")


def test_grey_data_and_data_with_holes_are_refused_as_data() -> None:
    """By the ways out that the command line names, and not by an option that nobody can give here."""
    from elbowroom.guides import from_encoder
    from elbowroom.inference import ProgramError, Target

    model = from_decoder(nn.Linear(D, P), latent_dim=D, likelihood="bernoulli", output="logits")
    guide = from_encoder(Split(nn.Linear(P, 2 * D)), output="mean_log_var")
    x = torch.ones(4, P)
    x[1, 2] = 0.25
    told = r"grey values \(such as 0.25\).*\[1\].*\(1\) one fixed cut.*\(2\).*\(3\)"
    with pytest.raises(ProgramError, match=told) as error:
        Target(model, guide, x)
    assert "validate_args" not in str(error.value)
    x[1, 2] = torch.nan
    told = r"^argument 0 has NaN or infinite values in 1 of its rows \(first rows: \[1\]\)"
    with pytest.raises(ProgramError, match=told):
        Target(model, guide, x)


class Split(nn.Module):
    """Two halves of what a network returns."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.net(x).chunk(2, -1)
