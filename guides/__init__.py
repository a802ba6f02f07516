"""What does q(z|x) look like? Amortized guides as Pyro programs, one family a file.

    z_b ~ q(z|x_b),    b = 1 … B     site "z" in the plate "data", the encoder run once per datum

    amortized.py   what all are: a program around `encode(x)`
    normal.py      a diagonal Normal from a network built here, a perceptron or another
    convolutional_normal.py   … and from a convolutional one, for images
    around_normal.py   what richer ones share: a Normal, of a trained guide perhaps, and what is beyond it
    full_normal.py   … a full covariance matrix
    normal_mixture.py   … a mixture of diagonal Normals
    mixture_of_normals.py   its distribution, with gradients through draws
    bent_normal.py   a Normal bent by an invertible map, and its density at any point
    planar.py        … bent along a few directions, by layers of Rezende & Mohamed
    flow.py          … by an inverse autoregressive flow, couplings or splines
    flow_layers.py   their layers, of zuko
    semi_amortized.py   an encoder, and a few steps up the ELBO of each datum
    conditional.py   … of x and a context
    label_and_normal.py   a classifier, and a Normal given the label
    layers.py      for hierarchies: what their guides ask of a model, and the pass from x up
    bottom_up.py   … from x up, against the model's order
    top_down.py    … from the top down, next to the model's prior; ladder.py: weighed against it
    markov.py      for models of sequences: each latent given the one before and all data from its step on
    exact.py       the model's own posterior, where it knows it
    categorical.py probabilities of a mixture's components, from a perceptron
    nearest_code.py codes near what an encoder says, or the nearest alone
    no_latents.py  nothing, where all latents are summed out
    adapter.py     somebody's own PyTorch encoder
    registry.py    the guides by name, for the command line and the contract tests

Read amortized.py first. Imports: networks, torch, pyro; never models. Each name loads torch when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elbowroom.guides.adapter import EncoderGuide, from_encoder
    from elbowroom.guides.amortized import AmortizedGuide
    from elbowroom.guides.bottom_up import BottomUp
    from elbowroom.guides.categorical import AmortizedCategorical
    from elbowroom.guides.conditional import ConditionalNormal
    from elbowroom.guides.convolutional_normal import ConvolutionalNormal
    from elbowroom.guides.exact import ExactPosterior
    from elbowroom.guides.flow import FlowGuide
    from elbowroom.guides.full_normal import AmortizedFullNormal
    from elbowroom.guides.label_and_normal import LabelAndNormal
    from elbowroom.guides.ladder import Ladder
    from elbowroom.guides.markov import DeepKalmanSmoother
    from elbowroom.guides.nearest_code import NearestCode
    from elbowroom.guides.no_latents import NoLatents
    from elbowroom.guides.normal import AmortizedNormal
    from elbowroom.guides.normal_mixture import AmortizedMixture
    from elbowroom.guides.planar import PlanarGuide
    from elbowroom.guides.semi_amortized import SemiAmortized
    from elbowroom.guides.top_down import TopDown

__all__ = [
    "AmortizedCategorical",
    "AmortizedFullNormal",
    "AmortizedGuide",
    "AmortizedMixture",
    "AmortizedNormal",
    "BottomUp",
    "ConditionalNormal",
    "ConvolutionalNormal",
    "DeepKalmanSmoother",
    "EncoderGuide",
    "ExactPosterior",
    "FlowGuide",
    "LabelAndNormal",
    "Ladder",
    "NearestCode",
    "NoLatents",
    "PlanarGuide",
    "SemiAmortized",
    "TopDown",
    "from_encoder",
]

_FILES = {
    "adapter": ("EncoderGuide", "from_encoder"),
    "amortized": ("AmortizedGuide",),
    "bottom_up": ("BottomUp",),
    "categorical": ("AmortizedCategorical",),
    "conditional": ("ConditionalNormal",),
    "convolutional_normal": ("ConvolutionalNormal",),
    "exact": ("ExactPosterior",),
    "flow": ("FlowGuide",),
    "full_normal": ("AmortizedFullNormal",),
    "label_and_normal": ("LabelAndNormal",),
    "ladder": ("Ladder",),
    "markov": ("DeepKalmanSmoother",),
    "nearest_code": ("NearestCode",),
    "no_latents": ("NoLatents",),
    "normal": ("AmortizedNormal",),
    "normal_mixture": ("AmortizedMixture",),
    "planar": ("PlanarGuide",),
    "semi_amortized": ("SemiAmortized",),
    "top_down": ("TopDown",),
}
_HOME = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
