"""What are decoders and encoders made of, and how are their outputs read?

    x → encoder → outputs of q(z|x)        z → decoder → outputs of p(x|z)        each `[*batch, size]`

What a model and a guide both need is here, so that neither imports the other:

    mlp.py           perceptrons, and any network with two heads (a mean and a standard deviation, …)
    residual.py      perceptrons of residual blocks, linear at first
    convolution.py   images of any size, from the largest map to the smallest and back
    recurrent.py     sequences, read backwards in time
    sequences.py     sequences of different lengths as one tensor with a mask
    context.py       what is read beside x or z: class labels, vectors
    registry.py      encoders and decoders by name, with the heads that an output needs
    inputs.py        what an encoder reads of the data: as they are, or the logarithm of counts
    outputs.py       what a network says of a distribution (logits, mean_std, …) as checked tensors
    count_outputs.py … of counts: a mean, a dispersion in torch's or scvi's parameters, a logit of extra zeros
    said.py          … of somebody's network, which returns pairs, mappings, objects or distributions
    reading.py       … as told, or as the result says by itself
    functions.py     functions and methods of networks as modules
    failing.py       a network that fails, in one sentence
    weights_file.py  trained weights from a file into a network
    checks.py        batches of data, refused by name with what to try
    program.py       a module that runs in either of Pyro's parameter modes
    zuko_library.py  the library of flows, imported without what that changes for the process

Read mlp.py first, then registry.py. All take inputs with any number of leading dimensions, `[B, D]` and `[S, B, D]`
alike: samples need no loop. Imports: torch, safetensors, and pyro.nn with its settings; nothing else of elbowroom.
"""

from elbowroom.networks.convolution import conv_decoder, conv_encoder, conv_widths
from elbowroom.networks.inputs import INPUTS
from elbowroom.networks.mlp import ACTIVATIONS, DEFAULT_ACTIVATION, MeanStd, Pair, mlp
from elbowroom.networks.outputs import OUTPUTS
from elbowroom.networks.program import Program
from elbowroom.networks.recurrent import BackwardGRU, sequence_mask
from elbowroom.networks.registry import DECODERS, ENCODERS, make_decoder, make_encoder
from elbowroom.networks.residual import residual_mlp
from elbowroom.networks.weights_file import LoadedWeights, load_weights

__all__ = [
    "ACTIVATIONS",
    "DECODERS",
    "DEFAULT_ACTIVATION",
    "ENCODERS",
    "INPUTS",
    "OUTPUTS",
    "BackwardGRU",
    "LoadedWeights",
    "MeanStd",
    "Pair",
    "Program",
    "conv_decoder",
    "conv_encoder",
    "conv_widths",
    "load_weights",
    "make_decoder",
    "make_encoder",
    "mlp",
    "residual_mlp",
    "sequence_mask",
]
