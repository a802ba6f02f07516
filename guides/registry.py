"""The amortized guides by name: strings and numbers only, read without torch."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Entry(NamedTuple):
    """One guide.

    Attributes:
        where: `"file:Class"` in this folder, imported when the first one is built.
        options: arguments of the constructor that make it this guide, whatever else is asked for.
        tiny: the constructor's arguments for the contract tests' instance.
    """

    where: str
    options: Mapping[str, Any] = NO_OPTIONS
    tiny: Mapping[str, Any] = NO_OPTIONS


GUIDES: dict[str, Entry] = {
    "normal": Entry("normal:AmortizedNormal", tiny={"hidden": (4,)}),
    "normal-linear": Entry("normal:AmortizedNormal", options={"hidden": ()}, tiny={"floor": 0.0}),
    "normal-convolution": Entry("convolutional_normal:ConvolutionalNormal", tiny={"hidden": (3,)}),
    "exact": Entry("exact:ExactPosterior"),
}


def guide_class(name: str) -> Any:
    """The constructor of the guide called `name`."""
    file, _, attribute = GUIDES[name].where.partition(":")
    return getattr(import_module(f"elbowroom.guides.{file}"), attribute)


def make_guide(name: str, model: Any, data_dim: int, **options: Any) -> Any:
    """The guide called `name` for a model of data `[B, data_dim]`.

    The constructor gets what it names of `model`, `data_dim` and the model's `latent_dim` and `image_shape`, if they
    are not among the options: an encoder is told its sizes, and a guide that reads the model (the exact posterior) is
    given the model itself.

    Raises:
        TypeError: if an option is none of the constructor's.
    """
    constructor = guide_class(name)
    offered = {"model": model, "data_dim": data_dim}
    offered |= {size: getattr(model, size, None) for size in ("latent_dim", "image_shape")}
    named = inspect.signature(constructor).parameters
    sizes = {key: value for key, value in offered.items() if key in named and key not in options}
    return constructor(**sizes, **{**options, **GUIDES[name].options})
