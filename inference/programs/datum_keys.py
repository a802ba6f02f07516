"""Which random numbers are a datum's: a key made from its contents, so that they are the same wherever it stands.

A datum's key is a hash of its *digest*, a hash of its values, and of how many data like it came before: identical data
have numbers of their own. A digest is known of a datum alone; how many like it came before is known of all data only.
Whoever holds some of the data (a shard) makes their digests, is told their counts (`likes_before` of all digests), and
has the keys that they have among all.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

_ROWS = 4096  # data whose contents are copied at a time


def datum_keys(tensors: Sequence[Tensor], num_data: int) -> np.ndarray:
    """A 64-bit key for each datum, made from its contents, so that it has the same noise wherever it stands.

    Identical data are told apart by how many of their like came before, so that their errors stay independent.

    Args:
        tensors: the per-datum arguments, each `[B, ...]`; none for a program that is one datum as a whole.
        num_data: B.

    Returns:
        keys, `[B]`, uint64.
    """
    digests = content_digests(tensors, num_data)
    return numbered_keys(digests, likes_before(digests))


def content_digests(tensors: Sequence[Tensor], num_data: int) -> np.ndarray:
    """A 64-bit hash of the values of each datum, `[B]`, uint64: the same in every dtype that holds them.

    Args:
        tensors, num_data: as of `datum_keys`.
    """
    return _digests(tensors, num_data, lambda r: r.double() if r.is_floating_point() else r)


def datum_digests(tensors: Sequence[Tensor], num_data: int) -> Tensor:
    """A 64-bit digest of each datum's contents, `[B]` int64: equal data have equal ones, wherever they stand.

    Values are read in single precision, so that data have the digest that they have in double precision, or as
    integers, too.

    Args:
        tensors, num_data: as of `datum_keys`.
    """
    digests = _digests(tensors, num_data, lambda r: r.float())
    return torch.from_numpy(digests.astype(np.int64))


def _digests(tensors: Sequence[Tensor], num_data: int, read: Callable[[Tensor], Tensor]) -> np.ndarray:
    rows = [t.detach().cpu().contiguous().reshape(num_data, -1) for t in tensors]
    digests = bytearray()
    for start in range(0, num_data, _ROWS):
        some = [r[start : start + _ROWS] for r in rows]
        arrays = [read(r).numpy() for r in some]
        rows_of_each = zip(*arrays, strict=True) if arrays else repeat((), min(_ROWS, num_data - start))
        digests += b"".join(map(_digest, rows_of_each))
    return np.frombuffer(digests, np.uint64)  # of a bytearray: it may be written to


def likes_before(digests: np.ndarray) -> np.ndarray:
    """For each digest how many equal ones stand before it, `[B]`, uint64."""
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    places = np.arange(len(ordered), dtype=np.uint64)
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, bool)
    counts = np.empty_like(places)
    counts[order] = places - np.maximum.accumulate(np.where(first, places, np.uint64(0)))
    return counts


def numbered_keys(digests: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The keys of data by their digests and by how many of their like came before, `[B]`, uint64."""
    both = np.stack([np.asarray(digests, "<u8"), np.asarray(counts, "<u8")], 1).tobytes()
    hashed = (hashlib.blake2b(both[i : i + 16], digest_size=8).digest() for i in range(0, len(both), 16))
    return np.frombuffer(bytearray(b"".join(hashed)), np.uint64)


def _digest(arrays: tuple[np.ndarray, ...]) -> bytes:
    """Of one datum's values."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(array)  # type: ignore[arg-type]
    return digest.digest()
