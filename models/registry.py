"""The families of models by name: strings and numbers only, read without torch.

A new family is a file and one line here: the command line offers it, the contract tests run it with each of its
guides and run the script of its docstring, and the README's table lists it.
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
        guides: names in `elbowroom.guides.registry.GUIDES` that go with it, the command line's choice first; `"none"`
            if all its latents can be summed out.
        data: what a datum is, a name in `elbowroom.datasets.KINDS`, which also says what the program is called with:
            x alone, or x and a mask, or x and labels. The values of x are what an option `likelihood` says, if the
            constructor has one.
        tiny: the constructor's arguments for the contract tests' instance, the sizes of its data among them.
        exact: how log p(x) of that instance is known: `"quadrature"` (up to three latents), `"sum"` (over discrete
            latents) or `"closed form"` (the model's `log_prob`).
        options: arguments of the constructor that make it this family, whatever else is asked for.
        also: further names in `GUIDES` that go with it, which the contract tests take with another model.
        loss: what the command line trains it by where nothing is said, a name in `inference.training.OBJECTIVES`.
    """

    where: str
    guides: tuple[str, ...]
    data: str = "binary"
    tiny: Mapping[str, Any] = NO_OPTIONS
    exact: str = "quadrature"
    options: Mapping[str, Any] = NO_OPTIONS
    also: tuple[str, ...] = ()
    loss: str = "Trace_ELBO"

    @property
    def every_guide(self) -> tuple[str, ...]:
        """All names in `GUIDES` that go with it, the command line's choice first."""
        return self.guides + self.also


_AROUND_NORMAL = ("full-normal", "normal-mixture", "planar", "iaf", "coupling", "spline")
_LINEAR = {"data_dim": 6, "latent_dim": 2, "sigma": 0.7}
_STEPS = {"data_dim": 2, "latent_dim": 1, "num_steps": 3}
_CONTEXT = {"data_dim": 6, "latent_dim": 2, "hidden": (4,), "prior_hidden": (3,)}
_LAYERS = {"data_dim": 6, "latent_dims": (2, 1), "hidden": (4,), "prior_hidden": (3,)}
_IMAGE = {"data_dim": 6, "latent_dim": 2, "image_shape": (1, 2, 3)}

MODELS: dict[str, Entry] = {
    "vae": Entry(
        "vae:VAE",
        ("normal", "normal-linear", *_AROUND_NORMAL, "semi-amortized"),
        tiny={"data_dim": 6, "latent_dim": 2, "hidden": (4,)},
    ),
    "ppca": Entry(
        "linear_gaussian:PPCA", ("normal-linear", "normal", "full-normal", "exact"), "real", _LINEAR, "closed form"
    ),
    "factor-analysis": Entry(
        "linear_gaussian:FactorAnalysis",
        ("normal-linear", "normal", "full-normal", "exact"),
        "real",
        _LINEAR,
        "closed form",
    ),
    "mixture": Entry(
        "mixture:Mixture", ("none", "categorical"), tiny={"data_dim": 6, "num_components": 3}, exact="sum"
    ),
    "conv-vae": Entry(
        "convolutional_vae:ConvolutionalVAE",
        ("normal-convolution", "normal"),
        "image",
        {**_IMAGE, "hidden": (3,)},
        also=_AROUND_NORMAL,
    ),
    "hierarchical-vae": Entry("hierarchical:HierarchicalVAE", ("top-down", "ladder"), tiny=_LAYERS),
    "hierarchical-vae-centred": Entry(
        "hierarchical:HierarchicalVAE", ("bottom-up", "ladder"), tiny=_LAYERS, options={"centred": True}
    ),
    "deep-markov": Entry(
        "markov:DeepMarkov",
        ("deep-kalman-smoother",),
        "sequence",
        {**_STEPS, "hidden": (4,), "transition_hidden": (3,)},
    ),
    "vector-quantized": Entry(
        "vector_quantized:VectorQuantized",
        ("nearest-code",),
        tiny={"data_dim": 6, "num_codes": 3, "num_positions": 2, "code_dim": 2, "hidden": (4,), "prior_hidden": (3,)},
        exact="sum",
        loss="quantized",
    ),
    "linear-dynamical-system": Entry(
        "linear_system:LinearDynamicalSystem", ("deep-kalman-smoother",), "sequence", _STEPS, "closed form"
    ),
    "topics": Entry(
        "topics:ProdLDA",
        ("normal-counts", "normal"),
        "bag",
        {"data_dim": 6, "num_topics": 2},
        also=_AROUND_NORMAL,
    ),
    "conditional-vae": Entry(
        "conditional:ConditionalVAE", ("conditional-normal",), "labelled", {**_CONTEXT, "num_classes": 3}
    ),
    "completion-vae": Entry(
        "conditional:ConditionalVAE", ("conditional-normal",), "completion", {**_CONTEXT, "context_dim": 4}
    ),
    "semi-supervised-vae": Entry(
        "semi_supervised:SemiSupervisedVAE",
        ("normal", "label-and-normal"),
        "partly-labelled",
        {"data_dim": 6, "latent_dim": 2, "hidden": (4,), "num_classes": 3},
        also=_AROUND_NORMAL,
    ),
}


def model_class(name: str) -> Any:
    """The constructor of the family called `name`."""
    return class_at(MODELS[name].where)


def class_at(where: str) -> Any:
    """What `"file:Class"` in this folder names."""
    file, _, attribute = where.partition(":")
    return getattr(import_module(f"elbowroom.models.{file}"), attribute)
