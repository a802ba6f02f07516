"""Convolutions on images of any size: shapes, leading dimensions, company, gradients, scale at the start, errors."""

import math

import pytest
import torch
from torch import Tensor, nn

from elbowroom.networks import ACTIVATIONS, conv_decoder, conv_encoder, conv_widths
from elbowroom.networks.convolution import image_shape_of

D = 3
SHAPES = [(1, 8, 8), (3, 28, 20), (1, 7, 5), (2, 1, 9), (1, 3, 2)]
every_shape = pytest.mark.parametrize("shape", SHAPES)


def both(shape: tuple[int, int, int], activation: str = "silu") -> tuple[tuple[nn.Module, int], tuple[nn.Module, int]]:
    """Decoder and encoder of the default widths, each with the number of its inputs."""
    widths = conv_widths(shape)
    decoder = conv_decoder(D, widths[::-1], shape, activation=activation)
    return (decoder, D), (conv_encoder(shape, widths, 4, activation=activation), math.prod(shape))


@every_shape
def test_maps_are_halved_on_the_way_in_and_doubled_on_the_way_out(shape: tuple[int, int, int]) -> None:
    (decoder, _), (encoder, num_values) = both(shape)
    maps: dict[str, list[tuple[int, ...]]] = {"in": [], "out": []}
    for name, network in (("in", encoder), ("out", decoder)):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.register_forward_hook(lambda _, given, made, name=name: maps[name].extend((given[0], made)))
    assert encoder(torch.randn(2, num_values)).shape == (2, 4)
    assert decoder(torch.randn(2, D)).shape == (2, num_values)
    sizes = {name: [tuple(value.shape[2:]) for value in seen] for name, seen in maps.items()}
    assert sizes["out"] == sizes["in"][::-1]
    for (height, width), smaller in zip(sizes["in"][::2], sizes["in"][1::2], strict=True):
        assert smaller == (max(1, height // 2), max(1, width // 2))


@pytest.mark.parametrize(
    ("shape", "widths"),
    [
        ((1, 256, 256), (16, 32, 64, 128, 256, 256)),
        ((3, 64, 64), (16, 32, 64, 128)),
        ((1, 28, 20), (16, 32)),
        ((1, 8, 8), (16,)),
        ((1, 2, 3), (16,)),
    ],
)
def test_widths_double_up_to_256_until_the_larger_side_is_4_to_7(shape, widths) -> None:
    assert conv_widths(shape) == widths


@every_shape
def test_every_pixel_is_seen_and_drawn(shape: tuple[int, int, int]) -> None:
    (decoder, _), (encoder, num_values) = both(shape)
    x = torch.randn(num_values, requires_grad=True)
    assert (torch.autograd.grad(encoder(x).sum(), x)[0] != 0).all()
    spread = decoder(torch.randn(5, D)).std(0)
    assert (spread > 0).all()


@every_shape
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_leading_dimensions_are_a_loop(shape: tuple[int, int, int], dtype: torch.dtype, tolerance: float) -> None:
    for network, num_inputs in both(shape):
        network, inputs = network.to(dtype), torch.randn(3, 2, num_inputs, dtype=dtype)
        whole = network(inputs)
        loop = torch.stack([torch.stack([network(inputs[s, b]) for b in range(2)]) for s in range(3)])
        torch.testing.assert_close(whole, loop, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(torch.vmap(network)(inputs), whole, rtol=tolerance, atol=tolerance)
        assert network(inputs[:0]).shape == (0, 2, whole.shape[-1])


@every_shape
def test_gradients_reach_every_parameter(shape: tuple[int, int, int]) -> None:
    for network, num_inputs in both(shape):
        network(torch.randn(4, num_inputs)).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_convolutions_without_an_activation_are_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIVATIONS, "identity", nn.Identity)
    for network, num_inputs in both((2, 6, 5), "identity"):
        x, y = torch.randn(2, num_inputs)
        torch.testing.assert_close(network(x + y) + network(torch.zeros(num_inputs)), network(x) + network(y))


def test_without_maps_it_is_a_linear_layer() -> None:
    for network, size in ((conv_decoder(D, (), (2, 4, 4)), D), (conv_encoder((2, 4, 4), (), D), 32)):
        layers = [layer for layer in network.modules() if list(layer.parameters(recurse=False))]
        assert [type(layer) for layer in layers] == [nn.Linear] and layers[0].in_features == size


@pytest.mark.parametrize("side", [8, 64, 128])
def test_images_of_all_sizes_depend_on_z_to_begin_with(side: int) -> None:
    """Under torch's own start the spread falls from 0.03 to 0.0002 over these sides."""
    shape = (1, side, side)
    spread = conv_decoder(10, conv_widths(shape)[::-1], shape)(torch.randn(8, 10)).std(0).mean().item()
    assert 0.03 < spread < 1


def test_neighbours_are_pixels_side_by_side() -> None:
    """One pixel changes the units of those windows of the first map that it lies under, and no others."""
    encoder = conv_encoder((1, 8, 8), (1,), 1)
    maps: list[Tensor] = []
    encoder.layers[1].register_forward_hook(lambda *args: maps.append(args[-1]))
    x = torch.zeros(2, 64)
    x[1, 8 * 3 + 4] = 1.0  # row 3, column 4
    encoder(x)
    changed = (maps[0][1] != maps[0][0]).nonzero().tolist()
    assert changed == [[0, 1, 1], [0, 1, 2], [0, 2, 1], [0, 2, 2]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv_widths((1, 1, 1)), ValueError, r"image_shape: got \(1, 1, 1\), a single pixel.*network='mlp'"),
        (lambda: conv_encoder((28, 28), (4,), 2), ValueError, r"image_shape: got \(28, 28\), expected \(channels, h"),
        (lambda: conv_decoder(2, (4,), 784), TypeError, "image_shape.* got 784"),
        (lambda: conv_decoder(2, (4,) * 4, (1, 8, 3)), ValueError, "hidden.* got 4 .*8 × 3 pixels; .*most 3, .*16"),
        (lambda: conv_decoder(0, (4,), (1, 8, 8)), ValueError, "num_inputs.* got 0"),
        (lambda: conv_encoder((1, 8, 8), (4,), 0), ValueError, "num_outputs.* got 0"),
        (lambda: conv_encoder((1, 8, 8), (4,), 2, activation="sin"), ValueError, "activation.* got 'sin'"),
        (lambda: image_shape_of(60, (1, 8, 8)), ValueError, r"image_shape: got \(1, 8, 8\), which has 64 .* has 60"),
        (lambda: image_shape_of(60), ValueError, "image_shape.* got None, but 60 values are no square.*product 60"),
    ],
)
def test_errors(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert image_shape_of(64) == (1, 8, 8) == image_shape_of(64, [1, 8, 8])
