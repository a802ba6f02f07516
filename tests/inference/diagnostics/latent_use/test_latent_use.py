"""What a model does with its latents, where it is known: linear Gaussian models, some with dead latents on purpose."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Estimate, Target, quadrature
from elbowroom.inference.diagnostics.latent_use import LatentUse, latent_use
from elbowroom.models import VAE

SIGMA = 0.5


def linear(
    x: Tensor,
    weight: Tensor,
    loc: Callable[[Tensor], Tensor] | None = None,
    scale: Tensor | None = None,
    sigma: Tensor | float = SIGMA,
) -> Target:
    """z ~ N(0, I), x_n | z_n ~ N(w_n z_n, σ²) for each of N values; by default the guide is the posterior."""
    total = weight.square() + torch.as_tensor(sigma) ** 2

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(weight)), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(weight * z, sigma).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        means = weight * x / total if loc is None else loc(x)
        with pyro.plate("data", len(x)):
            spread = torch.as_tensor(sigma) / total.sqrt() if scale is None else scale
            pyro.sample("z", dist.Normal(means, spread).to_event(1))

    return Target(model, guide, x)


def drawn(weight: Tensor, num_data: int) -> Tensor:
    return torch.randn(num_data, len(weight)) * (weight.square() + SIGMA**2).sqrt()


def test_a_linear_model_has_the_activity_information_and_kl_of_the_closed_form() -> None:
    weight = torch.tensor([1.0, 0.4])
    x = drawn(weight, 1500)
    found = latent_use(linear(x, weight))
    total = weight.square() + SIGMA**2
    variance = SIGMA**2 / total
    means = weight * x / total
    # Of these data, up to the noise of 128 draws each.
    noise = (variance / 128).sqrt()
    assert bool(((found.activity - means.var(0)).abs() < 4 * 2 * means.std(0) * noise / math.sqrt(1500)).all())
    kl = (variance + means.square() - 1 - variance.log()).mean(0) / 2
    assert bool(((found.kl - kl).abs() < 4 * 1.5 / math.sqrt(1500 * 128)).all())
    assert float(found.rate.value) == pytest.approx(float(found.kl.sum()), abs=1e-10)
    # Of all data: the guide is the posterior, so the aggregate is the prior and I(x; z) = Σ ½ log(1 + w²/σ²).
    assert bool(((found.activity - weight.square() / total).abs() < 4 * found.activity_stderr).all())
    truth = float((1 + weight.square() / SIGMA**2).log().sum() / 2)
    assert abs(float(found.mutual_information.value) - truth) < 4 * float(found.mutual_information.stderr) + 0.02
    assert abs(float(found.marginal_kl.value)) < 4 * float(found.marginal_kl.stderr) + 0.02
    assert abs(float(found.rate.value) - truth) < 4 * float(found.rate.stderr)
    assert found.mutual_information.flags == ("",)
    assert bool(((found.aggregate_mean).abs() < 0.1).all())
    assert bool(((found.aggregate_sd - 1).abs() < 0.1).all())
    assert bool((found.aggregate_distance < 0.06).all())
    # ∂ log p(x|z)/∂z = w (x − w z)/σ², whose mean square under p(x) and q is w²/σ²  (the noise is ε ~ N(0, σ²)).
    torch.testing.assert_close(found.sensitivity, weight / SIGMA, rtol=0.05, atol=0)
    assert (found.collapsed, found.pruned) == ((), None)


def test_mutual_information_of_few_data_is_that_of_a_mixture() -> None:
    x = torch.tensor([[-1.0], [0.2], [0.5], [3.0]])
    target = linear(x, torch.tensor([1.0]), loc=lambda x: x, scale=torch.tensor([0.6]))
    found = latent_use(target, num_samples=4000)
    grid = torch.linspace(-6, 8, 20001)
    parts = dist.Normal(x, 0.6).log_prob(grid)
    pooled = parts.logsumexp(0) - math.log(4)
    entropy = -torch.trapezoid(pooled.exp() * pooled, grid)
    truth = float(entropy - dist.Normal(0.0, 0.6).entropy())
    assert float(found.mutual_information.value) == pytest.approx(truth, abs=4 * 0.6 / math.sqrt(16000))
    prior = dist.Normal(0.0, 1.0).log_prob(grid)
    gap = float(torch.trapezoid(pooled.exp() * (pooled - prior), grid))
    assert float(found.marginal_kl.value) == pytest.approx(gap, abs=4 * 3 / math.sqrt(16000))
    assert "within a nat of log B" in found.mutual_information.flags[0]


def test_mutual_information_lies_between_nothing_and_log_b() -> None:
    x = torch.arange(6.0).unsqueeze(1)
    apart = latent_use(linear(x, torch.ones(1), loc=lambda x: 100 * x, scale=torch.tensor([0.1])))
    assert float(apart.mutual_information.value) == pytest.approx(math.log(6), abs=1e-12)
    assert apart.mutual_information.info["limit"] == pytest.approx(math.log(6))
    alike = latent_use(linear(x, torch.ones(1), loc=lambda x: 0 * x, scale=torch.ones(1)))
    assert float(alike.mutual_information.value) == pytest.approx(0.0, abs=1e-12)
    assert float(alike.marginal_kl.value) == pytest.approx(0.0, abs=1e-12)


def test_a_dead_latent_is_found_and_can_be_removed() -> None:
    weight = torch.tensor([1.0, 0.0, 0.7])
    found = latent_use(linear(drawn(weight, 300), weight))
    assert found.active.tolist() == [True, False, True]
    assert float(found.sensitivity[1]) == 0.0
    assert float(found.kl[1]) == 0.0
    assert len(found.collapsed) == 1
    assert found.collapsed[0].startswith("z[1]: q is the prior and the decoder hardly uses it")
    assert found.pruned is not None
    assert abs(float(found.pruned.value)) < 1e-12  # the guide is exact: every weight is p(x)


def test_removing_a_dead_latent_that_is_not_the_prior_changes_nothing_on_average() -> None:
    weight = torch.tensor([1.0, 0.0])
    total = weight.square() + SIGMA**2
    x = drawn(weight, 200)
    scale = torch.tensor([SIGMA / math.sqrt(1 + SIGMA**2), 0.8])
    target = linear(x, weight, loc=lambda x: weight * x / total + torch.tensor([0.0, 0.6]), scale=scale)
    found = latent_use(target, num_samples=400)
    assert found.pruned is not None
    assert 0 < float(found.pruned.stderr) < 0.02
    # Both estimate log p(x), the one with the dead latent's needless weights a little too low: by Var/2S.
    assert abs(float(found.pruned.value)) < 4 * float(found.pruned.stderr) + 0.005
    assert abs(found.pruned.info["elbo"] - float(found.kl[1])) < 4 * found.pruned.info["elbo_stderr"] + 1e-3
    per_datum = found.pruned.info["per_datum"] / found.pruned.info["per_datum_stderr"]
    assert 0.7 < float(per_datum.std()) < 1.3
    assert float(found.kl[1]) == pytest.approx((0.64 + 0.36 - 1 - math.log(0.64)) / 2, abs=0.02)
    assert "costs 0.22 nats" in found.collapsed[0]


@pytest.mark.slow
def test_a_decoder_that_ignores_z_and_an_encoder_that_lags_are_told_apart() -> None:
    x = drawn(torch.ones(2), 200)
    nothing = torch.zeros(2)
    ignored = latent_use(linear(x, nothing))
    assert ignored.collapsed[0].startswith("Posterior collapse: q(z|x) is the same for every x in all of the 2 latents")
    assert "The model, not the guide" in ignored.collapsed[1]
    assert "cannot be told" in ignored.collapsed[1]
    lagging = linear(x, torch.ones(2), loc=lambda x: 0 * x, scale=torch.ones(2))
    told = latent_use(lagging, log_p=quadrature(lagging))
    assert "the encoder has collapsed, not the model" in told.collapsed[1]
    # KL(prior ‖ posterior): ½ (1/v + m²/v − 1 + log v) for each latent.
    v, m = SIGMA**2 / (1 + SIGMA**2), x / (1 + SIGMA**2)
    room = float(((1 + m.square()) / v - 1 + math.log(v)).sum(1).mean() / 2)
    assert float(told.collapsed[1].split("At most ")[1].split(" nats")[0]) == pytest.approx(room, rel=0.1)
    assert not told.active.any()


def test_one_datum_is_not_called_collapsed() -> None:
    found = latent_use(linear(torch.ones(1, 2), torch.ones(2)))
    assert found.collapsed == ()
    assert found.pruned is None
    assert bool(found.activity_stderr.isinf().all())


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_the_best_noise_and_what_it_gains(factor: float) -> None:
    weight = torch.tensor([1.0, 0.5, 0.8])
    x = drawn(weight, 400)
    total = weight.square() + SIGMA**2
    spread = torch.full((3,), 0.3)
    sigma = factor * torch.tensor([0.4, 0.5, 0.6])

    def target(sigma: Tensor) -> Target:
        return linear(x, weight, lambda x: weight * x / total, spread, sigma)

    found = latent_use(target(sigma), num_samples=400)
    residual = (x - weight.square() * x / total).square() + weight.square() * 0.09
    c2 = float((residual / sigma.square()).mean())
    assert found.sigma["value"] == pytest.approx(float(sigma.square().mean().sqrt()))
    assert found.sigma["optimal"] == pytest.approx(math.sqrt(c2) * found.sigma["value"], rel=0.01)
    explained = 1 - float(residual.sum(1).mean() / x.var(0).sum())
    assert found.sigma["explained"] == pytest.approx(explained, abs=0.01)
    # The gain is the difference of two expected log likelihoods, computed by drawing.
    best = found.sigma["optimal"] / found.sigma["value"] * sigma
    lik = [t.log_joint(t.propose(400)[0])[1].mean() for t in (target(best), target(sigma))]
    assert found.sigma["log_lik_gain"] == pytest.approx(float(lik[0] - lik[1]), abs=1e-6)
    assert f"{100 * (1 - found.sigma['explained']):.0f} %" in found.sigma_told
    words = {1.0: "what it should be", 2.0: "too large", 0.5: "too small"}[factor]
    assert (words in found.sigma_told) or factor == 1.0


def test_a_noise_that_is_not_one_number_for_all_data_is_not_told() -> None:
    x = drawn(torch.ones(2), 20)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 0.7).to_event(1))

    def varying(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, z.exp()).to_event(1), obs=x)

    def student(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.StudentT(3.0, z, 1.0).to_event(1), obs=x)

    for model in (varying, student):
        found = latent_use(Target(model, guide, x))
        assert (found.sigma, found.sigma_told) == ({}, "")


def test_sites_that_hang_together_are_not_taken_apart() -> None:
    x = drawn(torch.ones(2), 50)

    def joint(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.MultivariateNormal(torch.zeros(2), torch.eye(2)))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.MultivariateNormal(0 * x, torch.eye(2)))

    found = latent_use(Target(joint, guide, x))
    assert bool(found.kl.isnan().all())
    assert not found.active.any()
    assert found.pruned is None
    assert float(found.rate.value) == pytest.approx(0.0, abs=1e-12)

    def deep(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(0.0, 1.0))
            b = pyro.sample("b", dist.Normal(a, 1.0))
            pyro.sample(
                "x", dist.Normal(a.unsqueeze(-1) + 0 * b.unsqueeze(-1), 1.0).expand([*b.shape, 2]).to_event(1), obs=x
            )

    def of_deep(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            a = pyro.sample("a", dist.Normal(x.mean(-1), 0.5))
            pyro.sample("b", dist.Normal(0 * a, 1.0))

    found = latent_use(Target(deep, of_deep, x))
    assert found.active.tolist() == [True, False]
    assert bool(found.kl.isfinite().all())
    assert found.pruned is None  # b's prior depends on a


def test_a_prior_that_depends_on_inputs_and_an_unknown_density_are_flagged() -> None:
    x, y = drawn(torch.ones(1), 30), torch.linspace(-1, 1, 30).unsqueeze(1)

    def model(x: Tensor, y: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(y, 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x: Tensor, y: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(y, 1.0).to_event(1))

    found = latent_use(Target(model, guide, x, y))
    assert "each datum's own prior" in found.marginal_kl.flags[0]
    total = found.mutual_information.value + found.marginal_kl.value
    assert float(total) == pytest.approx(0.0, abs=1e-12)  # q is the prior of each datum

    def hidden(x: Tensor, y: Tensor) -> None:
        with pyro.plate("data", len(x)):
            e = pyro.sample("e", dist.Normal(0 * x, 1.0).to_event(1), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Delta(x / 2 + e, event_dim=1))

    found = latent_use(Target(model, hidden, x, y))
    assert math.isnan(float(found.mutual_information.value))
    assert "unknown" in found.mutual_information.flags[0]


def numbers(found: LatentUse) -> dict[str, Tensor]:
    fields = {k: v for k, v in vars(found).items() if isinstance(v, Tensor)}
    fields |= {k: v.value for k, v in vars(found).items() if isinstance(v, Estimate)}
    return fields | {k: torch.tensor(v) for k, v in found.sigma.items()}


def test_arguments_that_make_no_sense_are_refused() -> None:
    target = linear(torch.ones(3, 1), torch.ones(1))
    with pytest.raises(ValueError, match="num_samples must be at least 2"):
        latent_use(target, num_samples=1)
    with pytest.raises(ValueError, match="log_p has 1 data, the target has 3"):
        latent_use(target, log_p=Estimate(torch.zeros(1), torch.zeros(1), "none"))


@pytest.mark.parametrize("likelihood", ["normal-fixed", "normal-learned"])
def test_the_noise_of_the_models_here_is_seen(likelihood: str) -> None:
    """Their p(x|z) is a distribution of vectors, and no Normal of torch."""
    torch.manual_seed(0)
    model, guide = VAE(6, 2, (4,), likelihood=likelihood, sigma=0.3), AmortizedNormal(6, 2, (4,))
    found = latent_use(Target(model, guide, torch.randn(12, 6)), num_samples=50)
    assert found.sigma["value"] == pytest.approx(0.3) and found.sigma["num_values"] == 6
    assert "σ is too small" in found.sigma_told
