"""Which random numbers are a datum's: a key made from its contents, so that they are the same wherever it stands."""

import hashlib
from collections.abc import Iterator, Sequence

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
    seen: dict[bytes, int] = {}
    keys = np.empty(num_data, np.uint64)
    for b, content in enumerate(_digests(tensors, num_data, torch.float64)):
        seen[content] = seen.get(content, -1) + 1
        again = hashlib.blake2b(content + seen[content].to_bytes(8, "little"), digest_size=8).digest()
        keys[b] = np.frombuffer(again, np.uint64)[0]
    return keys


def datum_digests(tensors: Sequence[Tensor], num_data: int) -> Tensor:
    """A 64-bit digest of each datum's contents, `[B]` int64: equal data have equal ones, wherever they stand.

    Floats are read in single precision, so that data have the digest that they have in double precision, too.

    Args:
        tensors, num_data: as of `datum_keys`.
    """
    return torch.from_numpy(np.frombuffer(b"".join(_digests(tensors, num_data, torch.float32)), np.int64).copy())


def _digests(tensors: Sequence[Tensor], num_data: int, floats: torch.dtype) -> Iterator[bytes]:
    rows = [t.detach().cpu().contiguous().reshape(num_data, -1) for t in tensors]
    for start in range(0, num_data, _ROWS):
        some = [r[start : start + _ROWS] for r in rows]
        arrays = [(r.to(floats) if r.is_floating_point() else r).numpy() for r in some]
        for b in range(start, min(start + _ROWS, num_data)):
            digest = hashlib.blake2b(digest_size=8)
            for array in arrays:
                digest.update(array[b - start].tobytes())
            yield digest.digest()
