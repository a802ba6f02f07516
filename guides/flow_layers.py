"""Layers of flows, made of zuko."""

from functools import partial
from typing import Any

from torch import nn

from elbowroom.networks.mlp import ACTIVATIONS
from elbowroom.networks.zuko_library import import_zuko

_BINS = 8

KINDS = ("iaf", "coupling", "spline")
"""What the layers of a flow may be; see `FlowGuide`."""


def flow_layers(
    kind: str, num_layers: int, num_values: int, num_features: int, hidden: tuple[int, ...], activation: str
) -> nn.ModuleList:
    """Layers that each return, called with features `[*batch, num_features]`, an invertible map of `[*batch, D]`.

    Args:
        kind: a name in `KINDS`.
        num_layers: how many; each second one takes the values in reverse order, or the other half of them.
        num_values: D.
        num_features: of what the map depends on.
        hidden: widths of each layer's network.
        activation: a name in `ACTIVATIONS`.

    Raises:
        ImportError: if zuko is not installed.
    """
    flows = import_zuko().flows
    nets = {"context": num_features, "hidden_features": hidden, "activation": ACTIVATIONS[activation]}
    places = list(range(num_values))
    if kind == "iaf":
        orders = (places, places[::-1])
        make = partial(flows.MaskedAutoregressiveTransform, num_values, **nets)
        return nn.ModuleList(make(order=orders[i % 2]) for i in range(num_layers))
    make = partial(flows.GeneralCouplingTransform, num_values, **nets, **_univariate(kind))
    return nn.ModuleList(make(mask=[place % 2 == i % 2 for place in places]) for i in range(num_layers))


def _univariate(kind: str) -> dict[str, Any]:
    """What is done to each value: m + s x by default, or a spline of 8 bins in [−5, 5], the identity outside."""
    if kind == "coupling":
        return {}
    spline = import_zuko().transforms.MonotonicRQSTransform
    return {"univariate": spline, "shapes": ((_BINS,), (_BINS,), (_BINS - 1,))}
