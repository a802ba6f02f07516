"""What might have made the data? Generative models p(z) p(x|z) as Pyro programs, one family a file.

    z_b ~ p(z),    x_b | z_b ~ p(x|z_b),    b = 1 … B     sites "z" and "x" in the plate "data"

    latent_model.py      z ~ N(0, I), x | z ~ decode(z): what all families here share
    decoder_model.py     decode = a likelihood on top of any network
    vae.py               the network is one built here, a perceptron or another
    convolutional_vae.py … and a convolutional one, for images
    hierarchical.py      layers of latents, each with a prior that depends on the one above
    context_model.py     decode reads a context, too: what the next two share
    conditional.py       x given a class or a vector, with a prior that depends on it
    semi_supervised.py   classes of which few are told (M2)
    linear_gaussian.py   PPCA and factor analysis: log p(x) and p(z|x) in closed form
    markov.py            the deep Markov model of sequences: a latent for each step, given the one before
    transitions.py       … how it follows from that one
    linear_system.py     … all of it linear: log p(x) by a Kalman filter
    mixture.py           one finite latent: log p(x) and p(k|x) as sums; expectation_maximisation.py fits it
    vector_quantized.py  a few codes of a codebook: log p(x) as a sum over all of them (VQ-VAE)
    topics.py            bags of words: topics multiplied (ProdLDA) or mixed (LDA)
    adapter.py           somebody's own PyTorch decoder; given_decoder.py: one that reads labels, too
    likelihoods/         p(x|z) from a decoder's outputs
    priors/              p(z)
    registry.py          the families by name, for the command line, the contract tests and the README

Read latent_model.py first. Imports: networks, torch, pyro; never guides. Each name loads torch when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elbowroom.models.adapter import from_decoder
    from elbowroom.models.conditional import ConditionalVAE
    from elbowroom.models.context_model import ContextModel
    from elbowroom.models.convolutional_vae import ConvolutionalVAE
    from elbowroom.models.decoder_model import DecoderModel
    from elbowroom.models.hierarchical import HierarchicalVAE
    from elbowroom.models.latent_model import Generated, LatentModel
    from elbowroom.models.linear_gaussian import PPCA, FactorAnalysis
    from elbowroom.models.linear_system import LinearDynamicalSystem
    from elbowroom.models.markov import DeepMarkov
    from elbowroom.models.mixture import FittedMixture, Mixture
    from elbowroom.models.priors.given import PosteriorMixture
    from elbowroom.models.semi_supervised import SemiSupervisedVAE
    from elbowroom.models.topics import ProdLDA
    from elbowroom.models.vae import VAE
    from elbowroom.models.vector_quantized import VectorQuantized

__all__ = [
    "PPCA",
    "VAE",
    "ConditionalVAE",
    "ContextModel",
    "ConvolutionalVAE",
    "DecoderModel",
    "DeepMarkov",
    "FactorAnalysis",
    "FittedMixture",
    "Generated",
    "HierarchicalVAE",
    "LatentModel",
    "LinearDynamicalSystem",
    "Mixture",
    "PosteriorMixture",
    "ProdLDA",
    "SemiSupervisedVAE",
    "VectorQuantized",
    "from_decoder",
]

_FILES = {
    "adapter": ("from_decoder",),
    "priors.given": ("PosteriorMixture",),
    "conditional": ("ConditionalVAE",),
    "context_model": ("ContextModel",),
    "convolutional_vae": ("ConvolutionalVAE",),
    "decoder_model": ("DecoderModel",),
    "hierarchical": ("HierarchicalVAE",),
    "latent_model": ("Generated", "LatentModel"),
    "linear_gaussian": ("PPCA", "FactorAnalysis"),
    "linear_system": ("LinearDynamicalSystem",),
    "markov": ("DeepMarkov",),
    "mixture": ("FittedMixture", "Mixture"),
    "topics": ("ProdLDA",),
    "semi_supervised": ("SemiSupervisedVAE",),
    "vae": ("VAE",),
    "vector_quantized": ("VectorQuantized",),
}
_HOME = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
