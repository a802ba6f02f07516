"""The VAE of images: a linear one is PPCA; all samples in one run; evidence, brackets and training on 8 × 8 digits."""

import pytest
import torch
from torch import Tensor, nn

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, ConvolutionalNormal, ExactPosterior
from elbowroom.guides.registry import make_guide
from elbowroom.inference import Target, bracket, fit, importance, quadrature
from elbowroom.models import PPCA, VAE, ConvolutionalVAE
from elbowroom.networks import ACTIVATIONS
from toys.failure_budget import sigmas


def digits(num_data: int) -> Tensor:
    return load("digits", binarize="threshold").train[:num_data].double()


@pytest.mark.parametrize("shape", [(1, 8, 1), (2, 3, 4)])
def test_a_linear_convolution_is_ppca(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an activation x = W z + μ + ε, with W and μ read off the decoder at unit vectors and at zero."""
    monkeypatch.setitem(ACTIVATIONS, "identity", nn.Identity)
    size = shape[0] * shape[1] * shape[2]
    model = ConvolutionalVAE(size, 2, likelihood="normal-fixed", sigma=0.3, activation="identity", image_shape=shape)
    ppca = PPCA(size, 2, sigma=0.3)
    with torch.no_grad():
        mean = model.decoder(torch.zeros(2))
        ppca.mean.copy_(mean)
        ppca.loadings.copy_((model.decoder(torch.eye(2)) - mean).T)
    x = torch.randn(5, size)
    torch.testing.assert_close(quadrature(Target(model, AmortizedNormal(size, 2), x)).value, ppca.log_prob(x))
    weights = Target(model, ExactPosterior(ppca), x).log_weights(7)  # every one of them is log p(x)
    torch.testing.assert_close(weights, ppca.log_prob(x).expand(7, 5), rtol=1e-10, atol=1e-10)


def test_samples_of_all_data_are_one_run_of_the_decoder_and_the_encoder_sees_a_datum_once() -> None:
    model, guide, x = ConvolutionalVAE(64, 3), ConvolutionalNormal(64, 3, (1, 8, 8)), digits(5)
    target = Target(model, guide, x)
    assert target.layouts == {"model": "plate", "guide": "plate"}
    seen: list[tuple[int, ...]] = []
    for layers in (model.decoder.layers, guide.encoder.layers.layers):
        layers.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    log_w = target.log_weights(11)
    assert sorted(seen) == [(5, 64), (55, 3)]
    for layout in ("fold", "loop"):
        torch.testing.assert_close(
            Target(model, guide, x, layout=layout).log_weights(11), log_w, rtol=1e-12, atol=1e-12
        )
    torch.testing.assert_close(target.select([3]).log_weights(11), log_w[:, 3:4], rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_evidence_and_training_on_digits() -> None:
    torch.manual_seed(1)
    model, x = ConvolutionalVAE(64, 2), digits(150)
    guide = make_guide("normal-convolution", model, 64)
    untrained = quadrature(Target(model, guide, x[:6])).value
    fit(model, guide, x, num_epochs=25, learning_rate=0.01, batch_size=50, progress=False)
    target = Target(model, guide, x[:6])
    exact = quadrature(target).value
    sampled = importance(target, num_samples=2000)
    assert not any(sampled.flags)
    assert ((sampled.value - exact).abs() < sigmas(6) * sampled.stderr + 1e-6).all()
    found, exact_of_two = bracket(target.select([0, 1]), budget="2e5 evaluations"), exact[:2]
    assert not any(found.flags) and found.width.max() < 0.2
    assert (found.lower.value - sigmas(4) * found.lower.stderr < exact_of_two).all()
    assert (found.upper.value + sigmas(4) * found.upper.stderr > exact_of_two).all()
    assert (exact > untrained + 5).all()


def test_it_is_the_vae_with_that_network() -> None:
    torch.manual_seed(0)
    one = ConvolutionalVAE(60, 2, (8, 4), "normal-learned", sigma=0.5, floor=0.1, image_shape=[1, 10, 6])
    torch.manual_seed(0)
    two = VAE(60, 2, (8, 4), "normal-learned", sigma=0.5, floor=0.1, network="convolution", image_shape=(1, 10, 6))
    z = torch.randn(3, 2)
    assert torch.equal(one.decode(z).mean, two.decode(z).mean) and one.likelihood.floor == two.likelihood.floor == 0.1
    assert one.image_shape == (1, 10, 6) and ConvolutionalVAE(64, 2).image_shape == (1, 8, 8)
    guide = make_guide("normal-convolution", one, 60)
    assert guide.encode(torch.randn(4, 1, 10, 6)).shape() == (4, 2)
    with pytest.raises(ValueError, match=r"image_shape: got None, but 60 values are no square grey image"):
        ConvolutionalVAE(60, 2)
