"""The conditional VAE: its density written out; a context that nothing reads leaves a VAE; draws."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from elbowroom.guides import AmortizedNormal, ConditionalNormal
from elbowroom.inference import Target, quadrature
from elbowroom.models import VAE, ConditionalVAE

P, D, C, B = 5, 1, 3, 4
CONTEXTS = {
    "labels": torch.tensor([0, 2, 1, 2]),
    "vectors": torch.linspace(-1, 2, B * C, dtype=torch.float64).reshape(B, C),
}


def data() -> Tensor:
    return (torch.randn(B, P) > 0).double()


def log_p(model: nn.Module, x: Tensor, *context: Tensor) -> Tensor:
    """log p(x | context) by quadrature, which needs no guide that is any good."""
    guide = ConditionalNormal(P, D, C, ()) if context else AmortizedNormal(P, D, ())
    return quadrature(Target(model, guide, x, *context)).value


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=list(CONTEXTS))
def test_the_density_is_the_one_written_out(context: Tensor) -> None:
    model, x = ConditionalVAE(P, D, (4,), context_dim=C, prior_hidden=(3,)), data()
    vectors = context if context.is_floating_point() else torch.eye(C)[context]
    z = torch.randn(7, B, D)
    mean, raw = model.latents.network.layers(vectors).chunk(2, -1)
    logits = model.decoder(torch.cat([z, vectors.expand(7, B, C)], -1))
    guide = ConditionalNormal(P, D, C)
    prior, likelihood = Target(model, guide, x, context).log_joint({"z": z})
    expected = dist.Normal(mean, 1e-6 + nn.functional.softplus(raw)).log_prob(z).sum(-1)
    torch.testing.assert_close(prior, expected, rtol=1e-12, atol=1e-12)
    expected = dist.Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(likelihood, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prior", ["standard", "learned"])
def test_a_context_that_no_weight_reads_leaves_the_vae(prior: str) -> None:
    """z = m + s ε of a learned prior is absorbed by the VAE's first layer: W (m + s ε) + b."""
    model, vae, x = ConditionalVAE(P, D, (4,), num_classes=C, prior=prior, prior_hidden=()), VAE(P, D, (4,)), data()
    with torch.no_grad():
        model.decoder[0].weight[:, D:] = 0
        weight, bias, mean, std = model.decoder[0].weight[:, :D], model.decoder[0].bias, torch.zeros(D), torch.ones(D)
        if prior == "learned":
            model.latents.network.layers[0].weight.zero_()
            p_z = model.prior(torch.zeros(1, C))
            mean, std = p_z.mean[0], p_z.stddev[0]
        vae.decoder[0].weight.copy_(weight * std)
        vae.decoder[0].bias.copy_(bias + weight @ mean)
        vae.decoder[2].load_state_dict(model.decoder[2].state_dict())
    found = log_p(model, x, CONTEXTS["labels"])
    torch.testing.assert_close(found, log_p(vae, x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, log_p(model, x, 2 - CONTEXTS["labels"]), rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        model.decoder[0].weight[:, D:] = 1.0
        model.decoder[0].weight[:, D] = -1.0
    assert (log_p(model, x, CONTEXTS["labels"]) - found).abs().max() > 0.01


def test_the_density_given_each_context_sums_to_one() -> None:
    model = ConditionalVAE(3, 1, (4,), num_classes=2)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    for label in (0, 1):
        target = Target(model, ConditionalNormal(3, 1, 2, ()), every, torch.full((8,), label))
        assert quadrature(target).value.logsumexp(0).item() == pytest.approx(0, abs=1e-6)


def test_draws_are_of_their_context() -> None:
    model = ConditionalVAE(P, D, context_dim=C, likelihood="normal-learned")
    context = CONTEXTS["vectors"]
    state = torch.get_rng_state()
    z, mean = model.generate(context, seed=3)
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(z, model.generate(context, seed=3).z)
    assert z.shape == (B, D) and mean.shape == (B, P) and not torch.equal(z, model.generate(context).z)
    torch.testing.assert_close(mean, model.decode(z, context).mean)
    many = model.generate(context[1].expand(4000, C)).z
    p_z = model.prior(context[1])
    error = p_z.stddev / 4000**0.5
    assert ((many.mean(0) - p_z.mean).abs() < 4.5 * error).all()
    assert ((many.std(0) / p_z.stddev - 1).abs() < 0.06).all()


def test_what_it_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="context_dim and num_classes"):
        ConditionalVAE(P, D)
    with pytest.raises(ValueError, match=r"prior: got 'flat', expected one of 'learned', 'standard'"):
        ConditionalVAE(P, D, num_classes=C, prior="flat")
    with pytest.raises(ValueError, match="exposure='total' and 'multinomial' are for models of x alone"):
        ConditionalVAE(P, D, num_classes=C, likelihood="poisson", likelihood_options={"exposure": "total"})
    with pytest.raises(ValueError, match="x: got 4 values per datum"):
        ConditionalVAE(P, D, num_classes=C)(torch.zeros(B, 4), CONTEXTS["labels"])
