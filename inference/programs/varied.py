"""Points that differ as much as draws of the prior do: what a program does everywhere shows there."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.programs import terms
from elbowroom.inference.programs.densities import run
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.terms import Term, Values
from elbowroom.inference.programs.triple import Triple

NUM_VARIED = 10
"""Points: a program that takes one of two branches at random takes both but for one time in 500."""


def varied(triple: Triple) -> Values:
    """Draws of the prior, the same random numbers for every datum, site -> `[10, B, *event]`.

    All data have like values in one of them, so what a program does with the sum or the sign of all shows. Where the
    prior cannot be drawn from, draws of the guide.
    """
    try:
        return _alike(triple, terms.draw_prior, of_prior=True)
    except Exception:  # no draws, or a program that fails at them: neither is what is asked here
        return _alike(triple, terms.draw, of_prior=False)


def _alike(triple: Triple, term: Term, of_prior: bool) -> Values:
    """Draws with one key for all data: of programs that can be cut, in one run on copies of their data."""
    num_data = len(triple)
    key = ~triple.keys[:1] if of_prior else triple.keys[:1]
    if not triple.sliceable:
        noise = Noise(0, key.repeat(num_data), NUM_VARIED)
        return run(triple, "loop", partial(term, noise=noise), {}, NUM_VARIED, noise)[0]
    copies = triple.at(torch.arange(num_data).repeat(NUM_VARIED))
    keys = (key + np.arange(NUM_VARIED, dtype=np.uint64)).repeat(num_data)
    noise = Noise(0, keys, 1)
    values = run(copies, "loop", partial(term, noise=noise), {}, 1, noise)[0]
    return {name: value.reshape(NUM_VARIED, num_data, *value.shape[2:]) for name, value in values.items()}


def alike(actual: Tensor, expected: Tensor) -> bool:
    """Whether terms at far-out points are the same, up to rounding that grows with what cancels there."""
    tolerance = torch.finfo(expected.dtype).eps ** 0.25
    return torch.allclose(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
