"""What are decoders and encoders made of, and how are their outputs read?

    x → encoder → outputs of q(z|x)        z → decoder → outputs of p(x|z)        each `[*batch, size]`

What a model and a guide both need is here, so that neither imports the other:

    mlp.py       perceptrons, and some with two heads (a mean and a standard deviation, …)
    outputs.py   what a network says of a distribution (logits, mean_std, …) as checked tensors
    checks.py    arguments and batches, refused by name with what to try
    program.py   a module that runs in either of Pyro's parameter modes

Read mlp.py first. Imports: torch, and pyro.nn with its settings; nothing else of elbowroom.
"""

from elbowroom.networks.mlp import ACTIVATIONS, DEFAULT_ACTIVATION, MeanStd, Pair, mlp
from elbowroom.networks.outputs import OUTPUTS
from elbowroom.networks.program import Program

__all__ = ["ACTIVATIONS", "DEFAULT_ACTIVATION", "OUTPUTS", "MeanStd", "Pair", "Program", "mlp"]
