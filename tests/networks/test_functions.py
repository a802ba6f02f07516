"""Functions and methods of networks as modules: the networks that they use are found, and nothing else is."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elbowroom.networks.functions import NetworkFunction, as_network, networks_of

EVERYWHERE = nn.Linear(2, 2)


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.heads = nn.Linear(3, 4), nn.Linear(4, 4)

    def encode(self, x: Tensor, scale: float = 1.0) -> Any:
        return scale * self.heads(self.trunk(x))


class Holder:
    """An object that holds networks and is called."""

    def __init__(self, network: nn.Module) -> None:
        self.parts = {"first": [network]}

    def __call__(self, x: Tensor) -> Tensor:
        return self.parts["first"][0](x)

    def method(self, x: Tensor) -> Tensor:
        return self(x)


def vae_and_head() -> tuple[VAE, nn.Linear]:
    return VAE(), nn.Linear(4, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda vae, head: (vae.encode, [vae]),
        lambda vae, head: (partial(vae.encode, scale=2.0), [vae]),
        lambda vae, head: (lambda x: head(vae.encode(x)), [head, vae]),
        lambda vae, head: (lambda x: (lambda y: head(y))(vae.encode(x)), [head, vae]),
        lambda vae, head: (lambda x: vae.heads(vae.trunk(x)), [vae]),
        lambda vae, head: (lambda x, net=head: net(x), [head]),
        lambda vae, head: (lambda x: EVERYWHERE(x), [EVERYWHERE]),
        lambda vae, head: (Holder(head), [head]),
        lambda vae, head: (Holder(head).method, [head]),
        lambda vae, head: (partial(lambda a, b, x: a(b(x)), head, vae.encode), [head, vae]),
        lambda vae, head: (torch.tanh, []),
    ],
)
def test_the_networks_that_a_function_uses(make: Callable[..., Any]) -> None:
    function, expected = make(*vae_and_head())
    assert set(map(id, networks_of(function))) == set(map(id, expected))


def test_a_function_is_a_module_around_its_networks() -> None:
    vae, x = VAE().eval(), torch.randn(5, 3)
    network = as_network("encoder", vae.encode)
    assert isinstance(network, NetworkFunction) and not network.training
    torch.testing.assert_close(network(x), vae.encode(x))
    assert set(map(id, network.parameters())) == set(map(id, vae.parameters()))
    assert network.train().training and vae.training
    network.to(torch.float16)
    assert vae.trunk.weight.dtype == torch.float16


def test_a_module_is_itself() -> None:
    vae = VAE()
    assert as_network("encoder", vae) is vae


@pytest.mark.parametrize(
    ("value", "message"), [(VAE, "got the class VAE, expected an instance"), (3, "got int, expected a torch.nn.Module")]
)
def test_what_is_no_function_of_networks(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^decoder: {message}"):
        as_network("decoder", value)
