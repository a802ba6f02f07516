"""Mixtures: log p(x) and p(k|x) written out, by enumeration, in a bracket; the script of the docstring."""

import textwrap
from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from elbowroom.guides import NoLatents
from elbowroom.inference import Target, audit, bracket, importance, quadrature
from elbowroom.models import Mixture
from elbowroom.report import evidence_table

B, P, K = 5, 6, 3
OPTIONS = {
    "bernoulli": {},
    "normal-fixed": {"sigma": 0.7},
    "normal-learned": {"sigma": 0.8, "floor": 0.1},
    "normal-heteroscedastic": {"floor": 0.2},
}
every_likelihood = pytest.mark.parametrize("likelihood", OPTIONS)


def make(likelihood: str = "bernoulli", num_components: int = K) -> Mixture:
    model = Mixture(P, num_components, likelihood, **OPTIONS[likelihood])  # type: ignore[arg-type]
    with torch.no_grad():
        model.weight_logits.normal_()
        model.table.normal_()
    return model


def observe(likelihood: str, num_data: int = B) -> Tensor:
    return torch.randn(num_data, P) if likelihood != "bernoulli" else (torch.randn(num_data, P) > 0).double()


def written_out(model: Mixture, likelihood: str) -> dist.MixtureSameFamily:
    """The same mixture of torch's own distributions."""
    first, second = model.table[:, :P], model.table[:, P:]
    parts = {
        "bernoulli": lambda: dist.Bernoulli(logits=first),
        "normal-fixed": lambda: dist.Normal(first, 0.7),
        "normal-learned": lambda: dist.Normal(first, model.likelihood.sigma),
        "normal-heteroscedastic": lambda: dist.Normal(first, 0.2 + softplus(second)),
    }[likelihood]()
    return dist.MixtureSameFamily(dist.Categorical(logits=model.weight_logits), parts.to_event(1))


@every_likelihood
def test_log_p_and_the_posterior_are_those_of_torchs_mixture(likelihood: str) -> None:
    model, x = make(likelihood), observe(likelihood)
    expected = written_out(model, likelihood)
    torch.testing.assert_close(model.log_prob(x), expected.log_prob(x), rtol=1e-12, atol=1e-12)
    posterior = model.posterior(x)
    joint = expected.component_distribution.log_prob(x.unsqueeze(1)) + model.weights.log()  # [B, K]
    torch.testing.assert_close(posterior.probs, (joint - model.log_prob(x).unsqueeze(-1)).exp())
    means = expected.component_distribution.mean
    torch.testing.assert_close(model.reconstruct(x), posterior.probs @ means)
    torch.testing.assert_close(posterior.probs.sum(-1), torch.ones(B), rtol=1e-14, atol=1e-14)
    assert torch.equal(model.log_prob(x.reshape(B, 1, 2, 3)), model.log_prob(x))


@pytest.mark.parametrize(
    ("likelihood", "options"),
    [("categorical", {"levels": 3}), ("negative-binomial", {}), ("discretised-logistic", {"levels": 3})],
)
def test_other_likelihoods_are_told_of_each_component_what_they_want(likelihood: str, options: dict[str, Any]) -> None:
    """Their log densities at one row of the table, as a network's outputs, weighed and summed."""
    model, x = Mixture(P, K, likelihood, likelihood_options=options), torch.randint(0, 3, (B, P)).double()
    heads = 2 if likelihood == "discretised-logistic" else 1
    rows = [model.likelihood(*row.expand(B, -1).chunk(heads, -1)).log_prob(x) for row in model.table]
    torch.testing.assert_close(model.log_prob(x), (torch.stack(rows, -1) + model.weights.log()).logsumexp(-1))
    torch.testing.assert_close(sum(Target(model, NoLatents(), x).log_joint({}))[0], model.log_prob(x))


@every_likelihood
def test_targets_sum_over_components_is_log_p(likelihood: str) -> None:
    model, x = make(likelihood), observe(likelihood)
    prior, log_likelihood = Target(model, NoLatents(), x).log_joint({})
    torch.testing.assert_close((prior + log_likelihood)[0], model.log_prob(x), rtol=1e-10, atol=1e-10)
    assert not prior.any()  # what is summed out is no latent


def test_evidence_is_exact_and_there_is_no_room() -> None:
    model, x = make(), observe("bernoulli")
    target = Target(model, NoLatents(), x)
    sampled, exact, sides = importance(target, num_samples=10), quadrature(target), bracket(target, budget=5)
    for found in (sampled, exact, sides.lower, sides.upper):
        torch.testing.assert_close(found.value, model.log_prob(x), rtol=1e-12, atol=1e-12)
        assert not any(found.flags) and bool((found.stderr <= 1e-6).all())
    torch.testing.assert_close(sampled.info["elbo"], model.log_prob(x))
    assert exact.bound == "exact" and bool(sides.settled.all())
    assert "–" in evidence_table(sampled, exact)  # no modes to be counted
    gap = audit(model, NoLatents(), x, budget=5).numbers["gap"]
    assert abs(gap.value) < 1e-10


def test_generate_draws_components_by_their_weights() -> None:
    model, state = make(), torch.get_rng_state()
    k, mean = model.generate(4000, seed=1)
    assert torch.equal(torch.get_rng_state(), state) and not mean.requires_grad
    assert torch.equal(k, model.generate(4000, seed=1).z) and not torch.equal(k, model.generate(4000, seed=2).z)
    torch.testing.assert_close(mean, model.table.detach()[k].sigmoid())
    counts, share = k.bincount(minlength=K).double(), model.weights.detach()
    assert ((counts / 4000 - share).abs() < 4 * (share * (1 - share) / 4000).sqrt()).all()
    with pytest.raises(ValueError, match=r"num_samples.* got 0"):
        model.generate(0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_components": 0}, ValueError, "num_components.* got 0"),
        ({"data_dim": 2.0}, TypeError, "data_dim.* got 2.0"),
        ({"likelihood": "gauss"}, ValueError, "likelihood.* got 'gauss', expected one of 'bernoulli'"),
        ({"likelihood": "normal-fixed"}, ValueError, "sigma.* got None"),
        (
            {"likelihood": "poisson", "likelihood_options": {"exposure": "total"}},
            ValueError,
            "likelihood: exposure='total' and 'multinomial' are for",
        ),
        ({"sigma": 1.0}, ValueError, "sigma.* got 1.0, but the likelihood 'bernoulli' has no such option"),
    ],
)
def test_constructor_errors(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        Mixture(**{"data_dim": P, "num_components": K, **arguments})


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (lambda: torch.zeros(B, P + 1), ValueError, rf"x.* got {P + 1} values per datum .* expected {P} \(data_dim\)"),
        (lambda: torch.zeros(P), ValueError, r"x: got shape \(6,\), expected a batch"),
        (lambda: torch.full((B, P), 0.5), ValueError, "neither 0 nor 1"),
    ],
)
def test_refused_data(x: Callable[[], Tensor], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make().log_prob(x())


@pytest.mark.slow
def test_the_script_of_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands but for fewer epochs: both ways end near each other, and the guide's ELBO not far below."""
    torch.set_default_dtype(torch.float32)
    text = Mixture.__doc__ or ""
    script = textwrap.dedent(text[text.index("        from elbowroom") : text.index("    Args:")])
    assert len(script.strip().splitlines()) <= 15
    scope: dict[str, Any] = {}
    exec(script.replace("num_epochs=100", "num_epochs=30"), scope)
    by_em, by_svi = (scope[name].log_prob(scope["x"].test).mean() for name in ("by_em", "by_svi"))
    assert by_em > -18.7 and abs(by_em - by_svi) < 0.6
    assert str(by_em.detach().item())[:7] in capsys.readouterr().out
