"""Which random numbers are a datum's: a key made from its contents, so that they are the same wherever it stands."""

import hashlib
from collections.abc import Sequence

import numpy as np
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
    rows = [t.detach().cpu().contiguous().reshape(num_data, -1) for t in tensors]
    seen: dict[bytes, int] = {}
    keys = np.empty(num_data, np.uint64)
    for start in range(0, num_data, _ROWS):
        some = [r[start : start + _ROWS] for r in rows]
        arrays = [(r.double() if r.is_floating_point() else r).numpy() for r in some]
        for b in range(start, min(start + _ROWS, num_data)):
            digest = hashlib.blake2b(digest_size=8)
            for array in arrays:
                digest.update(array[b - start].tobytes())
            content = digest.digest()
            seen[content] = seen.get(content, -1) + 1
            again = hashlib.blake2b(content + seen[content].to_bytes(8, "little"), digest_size=8).digest()
            keys[b] = np.frombuffer(again, np.uint64)[0]
    return keys
