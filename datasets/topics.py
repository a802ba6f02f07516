"""Simulated bags of words, from topics that are known.

    β_kw ~ N(0, 2²), φ_k = softmax(β_k)                                 3 topics of 50 words
    z_n ~ N(0, I_3), θ_n = softmax(s z_n), s² = (1/α) (1 − 1/3)         nearly Dirichlet(α), α = 0.2
    x_n ~ Multinomial(l_n, Σ_k θ_nk φ_k), l_n uniform on 20 … 100       n = 1 … 200

The θ are the Laplace approximation of Srivastava & Sutton (2017) to a symmetric Dirichlet, so that a topic model with
that prior and these φ (`elbowroom.models.ProdLDA(50, 3, topics="mixture", concentration=0.2)`, its `beta` = log φ) is
what the data are drawn from: its log p(x), an integral over three latents, is what any model can reach on average.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets import philox
from elbowroom.datasets.arrays import Arrays

NUM_TOPICS, NUM_WORDS, CONCENTRATION = 3, 50, 0.2
"""K, V and α."""

VOCABULARY = tuple(f"w{word:02d}" for word in range(NUM_WORDS))

_SHORTEST, _LONGEST = 20, 100
_SPREAD = 2.0  # of β

Matrix = NDArray[np.float64]


class Bags(NamedTuple):
    """Bags of words, and what they were drawn from.

    Attributes:
        counts: x, whole numbers `[N, V]`.
        proportions: θ, the share of each topic in each bag, `[N, K]`.
        topics: φ, the word probabilities of each topic, `[K, V]`.
    """

    counts: Matrix
    proportions: Matrix
    topics: Matrix


def simulate_topics(num_bags: int = 200, seed: int = 0) -> Bags:
    """Bags of words from the three topics above, whichever the seed; the set `topics-simulated` has 200 of seed 0.

    A function of the seed, the same on every machine but for a word whose random number lies within rounding of where
    two words meet (a chance of 1e-12 for the set).

    Args:
        num_bags: N.
        seed: of shares, lengths and words.
    """
    topics = _softmax(_SPREAD * philox.normal((NUM_TOPICS, NUM_WORDS), "topics/words", 0))
    scale = math.sqrt((1 - 1 / NUM_TOPICS) / CONCENTRATION)
    proportions = _softmax(scale * philox.normal((num_bags, NUM_TOPICS), "topics/shares", seed))
    lengths = _SHORTEST + philox.whole(num_bags, _LONGEST - _SHORTEST + 1, "topics/lengths", seed)
    uniforms = philox.uniform((num_bags, _LONGEST), "topics/draws", seed)
    ends = (proportions @ topics).cumsum(1)[:, :-1]  # word w is drawn from ends[w − 1] to ends[w]; the last to 1
    words = (uniforms[..., None] >= ends[:, None]).sum(-1)  # [N, longest]
    there = np.arange(_LONGEST) < lengths[:, None]
    counts = np.stack([np.bincount(w[t], minlength=NUM_WORDS) for w, t in zip(words, there, strict=True)])
    return Bags(counts.astype(np.float64), proportions, topics)


def read_topics() -> Arrays:
    """The 200 bags, with the topic of the largest share as label."""
    bags = simulate_topics()
    return Arrays({"train": bags.counts}, {"train": bags.proportions.argmax(1)}, vocabulary=VOCABULARY)


def _softmax(logits: Matrix) -> Matrix:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
