"""Semi-amortized guides: the best diagonal Normal where that is known, what gradients pass, and whose data are seen."""

from typing import Any

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from elbowroom.guides import AmortizedFullNormal, AmortizedNormal, SemiAmortized
from elbowroom.guides.semi_amortized import _antithetic_normals
from elbowroom.inference import Target, decompose, hmc, importance
from elbowroom.models import PPCA, VAE, from_decoder

B, P, D = 3, 6, 2


def pair(**options: Any) -> tuple[VAE, SemiAmortized, Tensor]:
    torch.manual_seed(0)
    model, encoder = VAE(P, D, (4,)), AmortizedNormal(P, D, (4,))
    return model, SemiAmortized(encoder, model, num_samples=8, **options), (torch.randn(B, P) > 0).double()


def test_many_steps_end_at_the_best_diagonal_normal() -> None:
    """Of a Normal posterior with precision Λ: its mean, and standard deviations Λ_dd^(−½)."""
    model = PPCA(P, D, sigma=0.5)
    x = model.decode(torch.randn(B, D)).sample()
    guide = SemiAmortized(AmortizedNormal(P, D, (4,)), model, num_steps=800, learning_rate=0.03, num_samples=8)
    found, posterior = guide.encode(x), model.posterior(x)
    torch.testing.assert_close(found.mean, posterior.mean, rtol=0.0, atol=1e-4)
    best = posterior.precision_matrix.diagonal(dim1=-2, dim2=-1).rsqrt()
    torch.testing.assert_close(found.stddev, best, rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("num_steps", [1, 2])
def test_the_first_steps_are_those_of_adam(num_steps: int) -> None:
    model, guide, x = pair(num_steps=num_steps, learning_rate=0.3)
    normal = guide.guide.encode(x).base_dist
    mean, log_std = normal.loc.detach().requires_grad_(True), normal.scale.log().detach().requires_grad_(True)
    optimiser = torch.optim.Adam([mean, log_std], 0.3)
    for _ in range(num_steps):
        optimiser.zero_grad()
        z = mean + log_std.exp() * guide.noise.unsqueeze(1)
        log_p = dist.Normal(0.0, 1.0).log_prob(z).sum(-1) + model.decode(z).log_prob(x)
        (-log_p.mean(0).sum() - log_std.sum()).backward()
        optimiser.step()
    found = guide.encode(x)
    torch.testing.assert_close(found.mean, mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.stddev, log_std.exp(), rtol=1e-6, atol=1e-6)


def test_steps_gain_what_the_encoder_left() -> None:
    model, guide, x = pair(num_steps=5, learning_rate=0.3)
    with torch.no_grad():
        elbos = [importance(Target(model, g, x), num_samples=500).info["elbo"] for g in (guide.guide, guide)]
    assert (elbos[1] > elbos[0] + 0.1).all()


def test_gradients_stop_at_the_steps() -> None:
    """m_T − m_0 is a constant: the encoder has the gradient of its own mean, and the model none."""
    model, guide, x = pair()
    parameters = list(guide.parameters())
    found = torch.autograd.grad(guide.encode(x).mean.sum(), parameters, retain_graph=True)
    expected = torch.autograd.grad(guide.guide.encode(x).mean.sum(), parameters)
    torch.testing.assert_close(found, expected)
    through = torch.autograd.grad(guide.encode(x).mean.sum(), list(model.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in through)


def test_unrolled_steps_are_differentiated() -> None:
    """Of the encoder's last biases and the model's: the gradient is that of differences."""
    model, guide, x = pair(unroll=True, num_steps=3)
    weights = torch.randn(2 * B, D)
    last, of_model = guide.guide.encoder.layers[-1].bias, model.decoder[-1].bias

    def ends(*biases: Tensor) -> Tensor:
        last.data, of_model.data = biases
        q_z = guide.encode(x)
        return (torch.cat([q_z.mean, q_z.stddev]) * weights).sum()

    values = [last.detach().clone(), of_model.detach().clone()]
    found = torch.autograd.grad(ends(*values), [last, of_model])
    for which, gradient in enumerate(found):
        for place in range(len(values[which])):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [value.clone() for value in values]
                moved[which][place] += step
                sides.append(ends(*moved).item())
            assert float(gradient[place]) == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4, abs=1e-6)


def test_unrolled_or_not_the_value_is_the_same() -> None:
    (_, stopped, x), (_, unrolled, _) = pair(), pair(unroll=True)
    with torch.no_grad():
        without_graph = unrolled.encode(x).mean
    for mean in (unrolled.encode(x).mean, without_graph):
        torch.testing.assert_close(mean, stopped.encode(x).mean)


def test_it_reads_the_model_and_leaves_no_gradient_there() -> None:
    model, guide, x = pair()
    assert guide.model is model and not {id(p) for p in guide.parameters()} & {id(p) for p in model.parameters()}
    guide.encode(x).log_prob(torch.zeros(B, D)).sum().backward()
    assert all(p.grad is None for p in model.parameters())
    before = guide.encode(x).mean
    with torch.no_grad():
        model.decoder[-1].bias.add_(1.0)
    assert not torch.allclose(guide.encode(x).mean, before)  # it follows the model


def test_a_guide_around_it_reads_the_same_model() -> None:
    model, guide, x = pair(num_steps=2)
    around = AmortizedFullNormal(P, D, (4,), around=guide)
    torch.testing.assert_close(around.encode(x).mean, guide.encode(x).mean)
    assert around.normal.model is model and not {id(p) for p in around.parameters()} & {
        id(p) for p in guide.parameters()
    }


def test_points_have_mirror_images_and_the_moments_of_a_normal() -> None:
    noise = _antithetic_normals(8, 3)
    assert torch.equal(noise[4:], -noise[:4]) and torch.equal(noise, _antithetic_normals(8, 3))
    torch.testing.assert_close(noise.mT @ noise / 8, torch.eye(3))
    few = _antithetic_normals(4, 5)  # 2 directions of 5
    torch.testing.assert_close(few.square().mean(0), torch.ones(5))


def test_decoders_of_single_latents_and_data_with_sizes() -> None:
    flat = from_decoder(OnlyRows(), latent_dim=D, likelihood="bernoulli", output="logits")
    assert SemiAmortized(AmortizedNormal(P, D), flat).encode(torch.ones(B, P)).batch_shape == (B,)
    counts = VAE(P, D, (4,), "negative-binomial", likelihood_options={"exposure": "total"})
    guide, x = SemiAmortized(AmortizedNormal(P, D), counts, num_steps=2), torch.poisson(torch.full((B, P), 3.0))
    torch.testing.assert_close(guide.encode(x).mean, guide.encode(x, x.sum(-1)).mean)
    assert not torch.allclose(guide.encode(x).mean, guide.encode(x, 2 * x.sum(-1)).mean)
    z, log_q = Target(counts, guide, x, 2 * x.sum(-1)).propose(3)
    torch.testing.assert_close(guide.encode(x, 2 * x.sum(-1)).log_prob(z["z"]), log_q)


class OnlyRows(nn.Module):
    """Takes z `[N, D]` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, P)

    def forward(self, z: Tensor) -> Tensor:
        assert z.ndim == 2
        return self.layer(z)


@pytest.mark.slow
def test_chains_and_ladders_start_from_it() -> None:
    model, guide, x = pair(num_steps=3)
    target = Target(model, guide, x)
    assert not any(hmc(target, num_draws=300).flags)
    parts = decompose(target)
    assert parts.family == "mean-field" and not any(parts.flags)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": nn.Linear(2, 2)}, TypeError, r"model.* got Linear, which has no method log_joint\(x, z\)"),
        ({"guide": nn.Linear(2, 2)}, TypeError, r"guide must be an AmortizedGuide, got the Linear"),
        ({"num_samples": 3}, ValueError, "num_samples.* got 3, expected an even number"),
        ({"num_steps": 0}, ValueError, "num_steps.* got 0"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate.* got 0.0"),
    ],
)
def test_what_it_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        SemiAmortized(**{"guide": AmortizedNormal(P, D), "model": VAE(P, D), **arguments})


def test_an_encoder_of_another_family_is_refused() -> None:
    guide = SemiAmortized(AmortizedFullNormal(P, D), VAE(P, D))
    with pytest.raises(TypeError, match=r"AmortizedFullNormal: its encode.*expected a diagonal Normal"):
        guide.encode(torch.ones(B, P))
