"""The families of models by name: strings and numbers only, read without torch.

A new family is a file and one line here: the command line offers it, the contract tests run it with each of its
guides, and the README's table lists it.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Entry(NamedTuple):
    """One family.

    Attributes:
        where: `"file:Class"` in this folder, imported when the first one is built.
        guides: names in `elbowroom.guides.registry.GUIDES` that go with it, the command line's choice first.
        data: `"binary"` (zeros and ones, or what its option `likelihood` says) or `"real"`.
        tiny: the constructor's arguments for the contract tests' instance.
        exact: how log p(x) of that instance is known: `"quadrature"` or `"closed form"`.
    """

    where: str
    guides: tuple[str, ...]
    data: str = "binary"
    tiny: Mapping[str, Any] = NO_OPTIONS
    exact: str = "quadrature"


_LINEAR = {"data_dim": 6, "latent_dim": 2, "sigma": 0.7}
_IMAGE = {"data_dim": 6, "latent_dim": 2, "image_shape": (1, 2, 3)}

MODELS: dict[str, Entry] = {
    "vae": Entry("vae:VAE", ("normal", "normal-linear"), tiny={"data_dim": 6, "latent_dim": 2, "hidden": (4,)}),
    "ppca": Entry("linear_gaussian:PPCA", ("normal-linear", "normal", "exact"), "real", _LINEAR, "closed form"),
    "factor-analysis": Entry(
        "linear_gaussian:FactorAnalysis", ("normal-linear", "normal", "exact"), "real", _LINEAR, "closed form"
    ),
    "conv-vae": Entry(
        "convolutional_vae:ConvolutionalVAE", ("normal-convolution", "normal"), tiny={**_IMAGE, "hidden": (3,)}
    ),
}


def model_class(name: str) -> Any:
    """The constructor of the family called `name`."""
    file, _, attribute = MODELS[name].where.partition(":")
    return getattr(import_module(f"elbowroom.models.{file}"), attribute)
