"""Every network by name, in a model and in a guide: one term per datum, gradients, saving, heads, errors."""

import pytest
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import softplus

from elbowroom.guides import AmortizedNormal
from elbowroom.models import VAE
from elbowroom.networks import DECODERS, ENCODERS, make_decoder, make_encoder

B, D, SHAPE, P = 4, 2, (2, 4, 3), 24
every_network = pytest.mark.parametrize("network", DECODERS)


def pair(network: str, likelihood: str = "normal-heteroscedastic") -> tuple[VAE, AmortizedNormal]:
    options = {"sigma": 0.3} if likelihood == "normal-fixed" else {}
    model = VAE(P, D, (4, 4), likelihood, network=network, image_shape=SHAPE, **options)
    return model, AmortizedNormal(P, D, (4, 4), network=network, image_shape=SHAPE)


@every_network
def test_a_row_depends_on_itself_alone(network: str) -> None:
    (model, guide), x, z = pair(network), torch.randn(B, P), torch.randn(3, B, D)
    log_p, log_q = model.decode(z).log_prob(x), guide.encode(x).log_prob(z)
    for b in range(B):
        one = slice(b, b + 1)
        torch.testing.assert_close(model.decode(z[:, one]).log_prob(x[one]), log_p[:, one], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(guide.encode(x[one]).log_prob(z[:, one]), log_q[:, one], rtol=1e-12, atol=1e-12)
    assert torch.equal(guide.encode(x.reshape(B, *SHAPE)).log_prob(z), log_q)


@every_network
def test_every_parameter_moves_and_is_saved(network: str) -> None:
    (model, guide), x = pair(network), torch.randn(B, P)
    before = {name: value.detach().clone() for name, value in (*model.named_parameters(), *guide.named_parameters())}
    svi = SVI(model, guide, Adam({"lr": 0.01}), Trace_ELBO())
    for _ in range(3):  # a residual block's first layer waits for its last
        svi.step(x)
    for name, value in (*model.named_parameters(), *guide.named_parameters()):
        assert not torch.equal(value, before[name]), name
    z = torch.randn(B, D)
    for old, new in zip((model, guide), pair(network), strict=True):
        new.load_state_dict(load(save(old.state_dict())))
        old_q, new_q = ((p.decode(z) if isinstance(p, VAE) else p.encode(x)) for p in (old, new))
        assert torch.equal(old_q.mean, new_q.mean) and torch.equal(old_q.variance, new_q.variance)


@every_network
@pytest.mark.parametrize("likelihood", ["bernoulli", "normal-fixed", "normal-heteroscedastic"])
def test_every_output_has_its_head(network: str, likelihood: str) -> None:
    p_x = pair(network, likelihood)[0].decode(torch.randn(3, B, D))
    assert p_x.shape() == (3, B, P)
    if likelihood == "normal-heteroscedastic":
        assert (p_x.scale > 0).all() and p_x.scale.unique().numel() > B * P


@every_network
def test_widths_and_image_have_defaults(network: str) -> None:
    """Those of a square grey image, which another network does not ask for."""
    model, guide = VAE(64, D, network=network), AmortizedNormal(64, D, network=network)
    assert model.decode(torch.randn(B, D)).shape() == (B, 64)
    assert guide.encode(torch.randn(B, 1, 8, 8)).shape() == (B, D)


def test_all_that_is_said_of_a_pixel_are_channels_there() -> None:
    """A change of one channel at a place changes what is said there, side by side, of one head."""
    decoder = make_decoder("convolution", D, (4,), P, output="mean_std", per_value=3, image_shape=SHAPE)
    last = [layer for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)][-1]
    assert last.out_channels == 2 * 3 * SHAPE[0]
    maps: list[Tensor] = []
    last.register_forward_hook(lambda *args: maps.append(args[-1]))
    mean, std = decoder(torch.randn(B, D))
    assert mean.shape == std.shape == (B, 3 * P)
    of_mean, of_std = maps[0].unflatten(1, (2, SHAPE[0], 3)).movedim(3, -1).unbind(1)  # [B, C, H, W, K]
    assert torch.equal(mean, of_mean.flatten(1))
    torch.testing.assert_close(std, softplus(of_std).flatten(1))


def test_unknown_names_and_shapes_that_do_not_fit() -> None:
    assert list(ENCODERS) == list(DECODERS)
    for build in (VAE, AmortizedNormal):
        with pytest.raises(ValueError, match="network: got 'resnet', expected one of 'mlp', 'residual', 'convolution'"):
            build(P, D, network="resnet")
        with pytest.raises(ValueError, match="image_shape: got None, but 24 values are no square grey image"):
            build(P, D, network="convolution")
        for network in DECODERS:
            with pytest.raises(ValueError, match=r"image_shape: got \(1, 5, 5\), which has 25 values, .* has 24"):
                build(P, D, network=network, image_shape=(1, 5, 5))
    with pytest.raises(ValueError, match="output: got 'median', expected one of 'logits', 'mean', 'mean_std'"):
        make_encoder("mlp", P, None, D, output="median")
