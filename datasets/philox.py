"""Random numbers that are the same on every machine: raw Philox words, keyed on (seed, stream)."""

import hashlib
import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 20
"""Words drawn at a time: 8 MiB."""


def permutation(count: int, stream: str, seed: int = 0) -> NDArray[np.int64]:
    """The order of `count` data: a stable sort of as many words of the stream."""
    return np.argsort(_generator(seed, stream).random_raw(count), kind="stable").astype(np.int64)


def bernoulli(probs: NDArray[np.float32], stream: str, seed: int) -> NDArray[np.float32]:
    """One draw of zeros and ones with these probabilities.

    Entry i, counted along the rows, is 1 where u_i < p_i, with u_i = ⌊word_i / 2¹¹⌋ / 2⁵³: the noise of a row does
    not depend on the rows after it.
    """
    generator = _generator(seed, stream)
    flat = probs.reshape(-1)
    drawn = np.empty(flat.shape, np.float32)
    for start in range(0, flat.size, _CHUNK):
        piece = flat[start : start + _CHUNK]
        uniforms = (generator.random_raw(piece.size) >> np.uint64(11)) * 2.0**-53
        drawn[start : start + _CHUNK] = uniforms < piece
    return drawn.reshape(probs.shape)


def normal(shape: tuple[int, ...], stream: str, seed: int) -> NDArray[np.float64]:
    """Standard normal draws: quantiles of u_i = (⌊word_i / 2¹¹⌋ + ½) / 2⁵³."""
    from scipy.special import ndtri  # here: scipy.special is slow to import and few need it

    words = _generator(seed, stream).random_raw(math.prod(shape)) >> np.uint64(11)
    return ndtri((words + 0.5) * 2.0**-53).reshape(shape)


def whole(count: int, bound: int, stream: str, seed: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to below `bound`, the remainders of words (their bias is bound / 2⁶⁴)."""
    return (_generator(seed, stream).random_raw(count) % np.uint64(bound)).astype(np.int64)


def uniform(shape: tuple[int, ...], stream: str, seed: int) -> NDArray[np.float64]:
    """Numbers u_i = ⌊word_i / 2¹¹⌋ / 2⁵³ from 0 to below 1."""
    words = _generator(seed, stream).random_raw(math.prod(shape)) >> np.uint64(11)
    return words.astype(np.float64).reshape(shape) * 2.0**-53


def check_seed(seed: Any) -> int:
    """The seed as an int, or ValueError: the generator's key has 64 bits for it."""
    try:
        value = operator.index(seed)
    except TypeError:
        raise ValueError(f"seed must be a whole number, got {seed!r}") from None
    if not 0 <= value < 2**64:
        raise ValueError(f"seed must lie in 0 … 2**64 - 1, got {value}")
    return value


def _generator(seed: int, stream: str) -> np.random.Philox:
    """Philox4x64-10 (Salmon et al. 2011). NumPy keeps the words of a bit generator fixed for good, unlike what its
    `Generator` makes of them (NEP 19), so only the words are used."""
    name = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    return np.random.Philox(key=np.array([check_seed(seed), name], dtype=np.uint64))
