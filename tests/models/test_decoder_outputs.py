"""What decoders usually return, for every likelihood: in each form log p(x|z) is that of torch's or Pyro's object."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target
from elbowroom.models import from_decoder
from elbowroom.models.likelihoods import LIKELIHOODS
from toys.networks import Returns

B, P, D, K = 4, 6, 2, 3


class Case(NamedTuple):
    """A likelihood by name, how it is told, and what a network returns.

    Attributes:
        likelihood: its name.
        output: what the network returns; None if that says so by itself.
        make: from three tensors `[B, P]` of any real numbers to what it returns.
        truth: from the same to torch's or Pyro's distribution.
        options: of the likelihood.
    """

    likelihood: str
    output: str | None
    make: Callable[[Tensor, Tensor, Tensor], Any]
    truth: Callable[[Tensor, Tensor, Tensor], Any]
    options: dict[str, Any] = {}  # noqa: RUF012 (never changed)


def scvi_nb(mu: Tensor, theta: Tensor) -> Any:
    """Mean and dispersion as in scvi: p = θ / (θ + μ) is what stops the count, torch's 1 − probs."""
    return dist.NegativeBinomial(theta, probs=mu / (theta + mu))


def scvi_zinb(mu: Tensor, theta: Tensor, gate: Tensor) -> Any:
    return dist.ZeroInflatedDistribution(scvi_nb(mu, theta), gate_logits=gate)


def levels(a: Tensor, *others: Tensor) -> Tensor:
    """Logits `[B, P, K]`."""
    return torch.stack([a, *others], -1)


NB, ZINB, LOGISTIC = "negative-binomial", "zero-inflated-negative-binomial", "discretised-logistic"
TORCH_NB = lambda a, b, c: dist.NegativeBinomial(b.exp(), logits=a)  # noqa: E731
OF_MEAN = lambda a, b, c: scvi_nb(a.exp(), b.exp())  # noqa: E731
ZERO_INFLATED = lambda a, b, c: scvi_zinb(a.exp(), b.exp(), c)  # noqa: E731
BY_GENE = torch.linspace(0.3, 3.0, P, dtype=torch.float64)
of_levels = lambda a, b, c: dist.Categorical(logits=levels(a, b, c))  # noqa: E731
words = lambda a, b, c: dist.Multinomial(20, logits=a, validate_args=False)  # noqa: E731
grey = lambda a, b, c: dist.ContinuousBernoulli(logits=a)  # noqa: E731

CASES: dict[str, Case] = {
    "continuous Bernoulli, sigmoid": Case("continuous-bernoulli", "probs", lambda a, b, c: a.sigmoid(), grey),
    "continuous Bernoulli, object": Case(
        "continuous-bernoulli", None, lambda a, b, c: dist.Independent(grey(a, b, c), 1), grey
    ),
    "binomial, object": Case(
        "binomial",
        None,
        lambda a, b, c: dist.Binomial(2, logits=a),
        lambda a, b, c: dist.Binomial(2, logits=a),
        {"trials": 2},
    ),
    "levels, softmax": Case(
        "categorical", "probs", lambda a, b, c: levels(a, b, c).softmax(-1), of_levels, {"levels": K}
    ),
    "levels, flat": Case(
        "categorical", "probs", lambda a, b, c: levels(a, b, c).softmax(-1).flatten(1), of_levels, {"levels": K}
    ),
    "levels, classes first": Case(
        "categorical", "logits", lambda a, b, c: levels(a, b, c).movedim(-1, 1), of_levels, {"levels": K}
    ),
    "levels, classes first, images": Case(
        "categorical",
        "logits",
        lambda a, b, c: levels(a, b, c).movedim(-1, 1).log_softmax(1).unflatten(2, (2, 3)).unflatten(3, (3, 1)),
        of_levels,
        {"levels": K},
    ),
    "levels, object": Case("categorical", None, of_levels, of_levels, {"levels": K}),
    "levels, one hot": Case(
        "categorical", None, lambda a, b, c: dist.OneHotCategorical(logits=levels(a, b, c)), of_levels, {"levels": K}
    ),
    "words, softmax": Case("multinomial", "probs", lambda a, b, c: a.softmax(-1), words),
    "words, log-softmax": Case("multinomial", "logits", lambda a, b, c: a.log_softmax(-1), words),
    "words, object": Case("multinomial", None, lambda a, b, c: dist.Multinomial(7, logits=a), words),
    "beta": Case(
        "beta", "concentrations", lambda a, b, c: (a.exp(), b.exp()), lambda a, b, c: dist.Beta(a.exp(), b.exp())
    ),
    "beta, object": Case(
        "beta", None, lambda a, b, c: dist.Beta(a.exp(), b.exp()), lambda a, b, c: dist.Beta(a.exp(), b.exp())
    ),
    "beta, names": Case(
        "beta",
        None,
        lambda a, b, c: {"alpha": a.exp(), "beta": b.exp()},
        lambda a, b, c: dist.Beta(a.exp(), b.exp()),
    ),
    "two halves": Case(
        "normal-heteroscedastic",
        "stacked_mean_log_std",
        lambda a, b, c: torch.cat([a, b], 1),
        lambda a, b, c: dist.Normal(a, b.exp()),
    ),
    "Poisson, mean": Case("poisson", "mean", lambda a, b, c: a.exp(), lambda a, b, c: dist.Poisson(a.exp())),
    "Poisson, rate by name": Case(
        "poisson", None, lambda a, b, c: {"px_rate": a.exp()}, lambda a, b, c: dist.Poisson(a.exp())
    ),
    "NB, torch's logits": Case(NB, "total_count_logits", lambda a, b, c: (b.exp(), a), TORCH_NB),
    "NB, torch's probs": Case(NB, "total_count_probs", lambda a, b, c: (b.exp(), a.sigmoid()), TORCH_NB),
    "NB, one total_count": Case(
        NB,
        "total_count_logits",
        lambda a, b, c: (torch.tensor(2.5), a),
        lambda a, b, c: dist.NegativeBinomial(2.5, logits=a),
    ),
    "NB, torch's by name": Case(NB, None, lambda a, b, c: {"total_count": b.exp(), "logits": a}, TORCH_NB),
    "NB, object": Case(NB, None, lambda a, b, c: dist.Independent(TORCH_NB(a, b, c), 1), TORCH_NB),
    "NB, torch's object": Case(
        NB, None, lambda a, b, c: torch.distributions.NegativeBinomial(b.exp(), probs=a.sigmoid()), TORCH_NB
    ),
    "NB, GammaPoisson": Case(NB, None, lambda a, b, c: dist.GammaPoisson(b.exp(), (b - a).exp()), OF_MEAN),
    "NB, scvi's pair": Case(NB, "mean_theta", lambda a, b, c: (a.exp(), b.exp()), OF_MEAN),
    "NB, scvi's, θ of genes": Case(
        NB, "mean_theta", lambda a, b, c: (a.exp(), BY_GENE), lambda a, b, c: scvi_nb(a.exp(), BY_GENE)
    ),
    "NB, scvi's log θ": Case(NB, "mean_log_theta", lambda a, b, c: (a.exp(), b), OF_MEAN),
    "NB, log mean and θ": Case(NB, None, lambda a, b, c: {"log_mean": a, "theta": b.exp()}, OF_MEAN),
    "NB, both logarithms": Case(NB, "log_mean_log_theta", lambda a, b, c: (a, b), OF_MEAN),
    "NB, scvi's by name": Case(NB, None, lambda a, b, c: SimpleNamespace(px_rate=a.exp(), px_r=b.exp()), OF_MEAN),
    "NB, mean, θ given": Case(
        NB, "mean", lambda a, b, c: a.exp(), lambda a, b, c: scvi_nb(a.exp(), torch.tensor(1.7)), {"theta": 1.7}
    ),
    "NB, mean, θ of genes given": Case(
        NB,
        "mean",
        lambda a, b, c: a.exp(),
        lambda a, b, c: scvi_nb(a.exp(), BY_GENE),
        {"theta": torch.nn.Parameter(BY_GENE)},
    ),
    "ZINB, scvi's triple": Case(ZINB, "mean_theta_gate", lambda a, b, c: (a.exp(), b.exp(), c), ZERO_INFLATED),
    "ZINB, scvi's by name": Case(
        ZINB, None, lambda a, b, c: {"px_scale": a, "px_r": b.exp(), "px_rate": a.exp(), "px_dropout": c}, ZERO_INFLATED
    ),
    "ZINB, torch's": Case(
        ZINB,
        "total_count_logits_gate",
        lambda a, b, c: (b.exp(), a, c),
        lambda a, b, c: dist.ZeroInflatedNegativeBinomial(b.exp(), logits=a, gate_logits=c),
    ),
    "ZINB, Pyro's object": Case(
        ZINB,
        None,
        lambda a, b, c: dist.ZeroInflatedNegativeBinomial(b.exp(), logits=a, gate=c.sigmoid()),
        lambda a, b, c: dist.ZeroInflatedNegativeBinomial(b.exp(), logits=a, gate_logits=c),
    ),
    "ZINB, gate, θ given": Case(
        ZINB,
        "log_mean_gate",
        lambda a, b, c: (a, c),
        lambda a, b, c: scvi_zinb(a.exp(), BY_GENE, c),
        {"theta": BY_GENE.tolist()},
    ),
    "ZINB, three in one": Case(
        ZINB, "stacked_mean_theta_gate", lambda a, b, c: torch.cat([a.exp(), b.exp(), c.exp()], 1),
        lambda a, b, c: scvi_zinb(a.exp(), b.exp(), c.exp()),
    ),
}  # fmt: skip


def data(likelihood: str) -> Tensor:
    """Values of its kind; counts that are zero often enough for their zeros to matter."""
    if LIKELIHOODS[likelihood].data == "unit":
        return 0.05 + 0.9 * torch.rand(B, P)
    return torch.randint(0, 3, (B, P)).to(torch.get_default_dtype())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_networks_return(case: Case) -> None:
    torch.manual_seed(1)
    a, b, c = torch.randn(3, B, P)
    decoder = Returns(lambda z: case.make(a, b, c))
    model = from_decoder(
        decoder, latent_dim=D, likelihood=case.likelihood, output=case.output, likelihood_options=case.options
    )
    x = data(case.likelihood)
    expected = case.truth(a, b, c).log_prob(x)
    expected = expected.sum(-1) if expected.ndim == 2 else expected
    found = model.decode(torch.zeros(B, D))
    torch.testing.assert_close(found.log_prob(x), expected, rtol=1e-9, atol=1e-9)
    model(x)
    assert model.unlearned == ()


def test_negative_binomials_written_out() -> None:
    """Against the formulas of torch and of scvi by hand, which have each other's probability."""
    x, mu, theta, gate = 3.0, 2.0, 1.5, 0.4
    gammas = torch.lgamma(torch.tensor([x + theta, theta, x + 1.0]))
    log_p = float(gammas[0] - gammas[1] - gammas[2])
    log_p += theta * float(torch.tensor(theta / (theta + mu)).log()) + x * float(torch.tensor(mu / (theta + mu)).log())
    options: dict[str, Any] = {"latent_dim": D, "likelihood": NB}
    by_mean = from_decoder(lambda z: (z * 0 + mu, torch.tensor(theta)), output="mean_theta", **options)
    probs = mu / (theta + mu)  # total_count * probs / (1 - probs) is the mean
    by_probs = from_decoder(lambda z: (torch.tensor(theta), z * 0 + probs), output="total_count_probs", **options)
    for model in (by_mean, by_probs):
        p_x = model.decode(torch.zeros(1, D))
        assert p_x.log_prob(torch.full((1, D), x)).item() == pytest.approx(2 * log_p, abs=1e-10)
        assert p_x.mean.flatten().tolist() == pytest.approx([mu, mu])
    none = (theta / (theta + mu)) ** theta
    zero = torch.tensor(gate).sigmoid() + (1 - torch.tensor(gate).sigmoid()) * none
    inflated = from_decoder(
        lambda z: (z * 0 + mu, z * 0 + theta, z * 0 + gate),
        latent_dim=D,
        likelihood=ZINB,
        output="mean_theta_gate",
    )
    found = inflated.decode(torch.zeros(1, D)).log_prob(torch.zeros(1, D)).item()
    assert found == pytest.approx(2 * zero.log().item(), abs=1e-10)


class ScviLaw(torch.distributions.Distribution):
    """What scvi's distributions of counts have: mu and theta, and zi_logits where they are zero-inflated."""

    def __init__(self, **parameters: Tensor) -> None:
        vars(self).update(parameters)
        super().__init__(parameters["mu"].shape, validate_args=False)


def test_scvis_objects() -> None:
    """Named as there; a zero-inflated one is no negative binomial."""
    torch.manual_seed(1)
    a, b, c = torch.randn(3, B, P)
    kinds = {name: type(name, (ScviLaw,), {}) for name in ("NegativeBinomial", "ZeroInflatedNegativeBinomial")}
    plain = kinds["NegativeBinomial"](mu=a.exp(), theta=b.exp())
    inflated = kinds["ZeroInflatedNegativeBinomial"](mu=a.exp(), theta=b[0].exp(), zi_logits=c)
    x = data(NB)
    for likelihood, p_x, truth in (
        (NB, plain, scvi_nb(a.exp(), b.exp())),
        (ZINB, inflated, scvi_zinb(a.exp(), b[0].exp().expand(B, P), c)),
    ):
        model = from_decoder(lambda z, p_x=p_x: p_x, latent_dim=D, likelihood=likelihood)
        found = model.decode(torch.zeros(B, D)).log_prob(x)
        torch.testing.assert_close(found, truth.log_prob(x).sum(-1), rtol=1e-9, atol=1e-9)
    with pytest.raises(TypeError, match="a ZeroInflatedNegativeBinomial, of which the likelihood's 'log_mean'"):
        from_decoder(lambda z: inflated, latent_dim=D, likelihood=NB)(x)


@pytest.mark.parametrize(
    ("likelihood", "output", "make", "options", "error", "message"),
    [
        ("categorical", "probs", lambda a: a.unsqueeze(-1).expand(B, P, K).sigmoid(), {"levels": K}, ValueError,
         "numbers that sum to between .* expected shares that sum to 1 for output='probs'; the prob.* 3 levels"),
        ("categorical", "logits", lambda a: a.unsqueeze(1).expand(B, 2, P), {"levels": K}, ValueError,
         r"got \(2, 6\) numbers a datum, of which the 3 of each value.* neither could be meant"),
        ("categorical", "logits", lambda a: a[:, :1, None].expand(B, K, K), {"levels": K}, ValueError, "both could be"),
        ("categorical", None, lambda a: dist.Categorical(logits=a), {"levels": K}, ValueError, "levels: got 3, .* 6"),
        ("multinomial", "probs", lambda a: a.sigmoid(), {}, ValueError, "sum to between"),
        ("binomial", None, lambda a: dist.Binomial(5, logits=a), {"trials": 2}, ValueError, "trials: got 2.*count 5"),
        ("poisson", None, lambda a: dist.ZeroInflatedPoisson(rate=a.exp(), gate=torch.tensor(0.5)), {}, TypeError,
         "returned a ZeroInflatedPoisson, of which"),
        ("bernoulli", None, lambda a: dist.ContinuousBernoulli(logits=a), {}, TypeError, "a ContinuousBernoulli, of"),
        ("normal-learned", None, lambda a: dist.Laplace(a, 1.0), {}, TypeError, "a Laplace, of which"),
        ("normal-fixed", None, lambda a: dist.Normal(a, 7.0), {"sigma": 1.0}, ValueError,
         "a Normal of standard deviations between 7 and 7, but .* σ = 1: .*'normal-heteroscedastic'"),
        (NB, "mean", lambda a: a.exp(), {"theta": [1.0, 2.0]}, ValueError, "theta: got 2 values, .* says 6 means"),
        (NB, "mean_theta", lambda a: (a.exp(), a), {}, ValueError, "inverse dispersion θ between .*'mean_log_theta'"),
        (NB, None, lambda a: {"mean": a.exp()}, {}, ValueError, "theta: the decoder says means without"),
        (NB, None, lambda a: dist.NegativeBinomial(2, logits=a), {"theta": 3.0}, ValueError, "theta: got a value, but"),
        (NB, None, lambda a: dist.Poisson(a.exp()), {}, TypeError, "a Poisson, of which the likelihood's 'log_mean'"),
        (NB, "mean_theta", lambda a: (a.exp(), a[:, :4].exp()), {}, ValueError, r"\(4, 6\) and \(4, 4\), expected one"),
        ("poisson", "mean", lambda a: a, {}, ValueError, "output='mean'; .* says output='log_rate'"),
        ("poisson", None, lambda a: dist.Poisson(a.exp()), {"exposure": "total"}, ValueError, "its own mean; leave"),
        (ZINB, "mean_theta_gate", lambda a: (a.exp(), a.exp()), {}, TypeError, "expected a triple of tensors"),
    ],
)  # fmt: skip
def test_what_contradicts_itself(likelihood, output, make, options, error, message) -> None:
    torch.manual_seed(1)
    a = torch.randn(B, P)
    model = from_decoder(
        lambda z: make(a), latent_dim=D, likelihood=likelihood, output=output, likelihood_options=options
    )
    with pytest.raises(error, match=message):
        model(data(likelihood))


@pytest.mark.parametrize(
    ("likelihood", "output", "options", "message"),
    [
        (
            NB,
            "mean_theta",
            {"theta": 2.0},
            r"theta: got a value, but .* itself \(output='mean_theta'\)",
        ),
        (NB, "mean", {"theta": -1.0}, "theta: got an inverse dispersion θ between -1 and -1"),
        (NB, "probs", {}, "output: got 'probs', but the likelihood 'negative-binomial' takes 'log_mean' or 'mean'"),
        (NB, "total_count_logits", {"exposure": "total"}, "output: got 'total_count_logits', but"),
        ("poisson", "stacked_rate", {}, "output: got 'stacked_rate'"),
    ],
)
def test_what_does_not_go_together(likelihood: str, output: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_decoder(lambda z: z, latent_dim=D, likelihood=likelihood, output=output, likelihood_options=options)


def test_an_object_says_its_dispersion_whatever_else_was_told() -> None:
    model = from_decoder(lambda z: dist.NegativeBinomial(2.0, logits=z), latent_dim=D, likelihood=NB, output="log_mean")
    model(torch.ones(B, D))
    assert model.unlearned == ()


@pytest.mark.parametrize(
    ("likelihood", "output", "told"),
    [
        ("normal-learned", "mean", "σ = 1 is what the likelihood 'normal-learned' starts from.*sigma='optimal'"),
        (NB, "log_mean", "the inverse dispersion θ = 1 is what the likelihood starts from"),
        (ZINB, "log_mean_gate", "the inverse dispersion θ = 1"),
    ],
)
def test_a_parameter_that_nobody_learned_is_told(likelihood: str, output: str, told: str) -> None:
    """Until a step of training moves it; a network's weights may be trained all the same."""
    net = torch.nn.Linear(D, 2 * P)
    torch.nn.init.normal_(net.weight)
    make = (lambda z: net(z).chunk(2, -1)) if output.endswith("gate") else (lambda z: net(z)[..., :P])
    model = from_decoder(make, latent_dim=D, likelihood=likelihood, output=output)
    x = torch.randint(0, 3, (B, P)).to(torch.get_default_dtype())
    target = Target(model, AmortizedNormal(P, D), x)
    (doubt,) = [doubt for doubt in target.suspicions if "starts from" in doubt]
    assert re.search(told, doubt)
    with torch.no_grad():
        for parameter in model.likelihood.parameters():
            parameter += 0.01
    assert model.unlearned == ()
