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


_AROUND: Mapping[str, Any] = {"around": None}  # a guide: an argument of Python's alone
_FLOW = {"hidden": (3,), "num_transforms": 1, "num_features": 2, "transform_hidden": (3,)}

GUIDES: dict[str, Entry] = {
    "normal": Entry("normal:AmortizedNormal", tiny={"hidden": (4,)}),
    "normal-linear": Entry("normal:AmortizedNormal", options={"hidden": ()}, tiny={"floor": 0.0}),
    "normal-counts": Entry("normal:AmortizedNormal", options={"inputs": "log1p"}, tiny={"hidden": (4,)}),
    "normal-convolution": Entry("convolutional_normal:ConvolutionalNormal", tiny={"hidden": (3,)}),
    "full-normal": Entry("full_normal:AmortizedFullNormal", options=_AROUND, tiny={"hidden": (4,)}),
    "normal-mixture": Entry(
        "normal_mixture:AmortizedMixture", options=_AROUND, tiny={"hidden": (4,), "num_components": 2}
    ),
    "planar": Entry("planar:PlanarGuide", options=_AROUND, tiny={"hidden": (3,), "num_layers": 1}),
    "iaf": Entry("flow:FlowGuide", options={**_AROUND, "kind": "iaf"}, tiny=_FLOW),
    "coupling": Entry("flow:FlowGuide", options={**_AROUND, "kind": "coupling"}, tiny=_FLOW),
    "spline": Entry("flow:FlowGuide", options={**_AROUND, "kind": "spline"}, tiny=_FLOW),
    "semi-amortized": Entry(
        "semi_amortized:semi_amortized_normal", tiny={"hidden": (3,), "num_steps": 2, "num_samples": 4}
    ),
    "deep-kalman-smoother": Entry("markov:DeepKalmanSmoother", tiny={"num_features": 4}),
    "top-down": Entry("top_down:TopDown", tiny={"hidden": (4,)}),
    "ladder": Entry("ladder:Ladder", tiny={"hidden": (4,)}),
    "bottom-up": Entry("bottom_up:BottomUp", tiny={"hidden": (4,)}),
    "conditional-normal": Entry("conditional:ConditionalNormal", tiny={"hidden": (4,)}),
    "label-and-normal": Entry("label_and_normal:LabelAndNormal", tiny={"hidden": (4,)}),
    "exact": Entry("exact:ExactPosterior"),
    "categorical": Entry("categorical:AmortizedCategorical", tiny={"hidden": (4,)}),
    "nearest-code": Entry("nearest_code:NearestCode", tiny={"hidden": (4,)}),
    "none": Entry("no_latents:NoLatents"),
}


def guide_class(name: str) -> Any:
    """The constructor of the guide called `name`."""
    return class_at(GUIDES[name].where)


def class_at(where: str) -> Any:
    """What `"file:Class"` in this folder names."""
    file, _, attribute = where.partition(":")
    return getattr(import_module(f"elbowroom.guides.{file}"), attribute)


def make_guide(name: str, model: Any, data_dim: int | None = None, **options: Any) -> Any:
    """The guide called `name` for a model.

    What its constructor requires and the options do not give is filled in: `model` is the model itself (for the exact
    posterior, and all that read it), `data_dim` the number of values of a datum, anything else the model's attribute of
    that name (`latent_dim`, `num_components`).

    Raises:
        TypeError: if an option is none of the constructor's, or a required one is neither given nor an attribute.
    """
    entry, constructor = GUIDES[name], guide_class(name)
    given = {**options, **entry.options}
    offered = {"model": model} | ({} if data_dim is None else {"data_dim": data_dim})
    for parameter in inspect.signature(constructor).parameters.values():
        if parameter.default is parameter.empty and parameter.name not in given:
            value = offered.get(parameter.name, getattr(model, parameter.name, None))
            given |= {} if value is None else {parameter.name: value}
    return constructor(**given)
