"""Counter-based noise: a stream for each datum, so that results do not depend on batches, chunks or shards."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
"""Samples per counter block: a chunk that starts at a multiple of it wastes no noise."""

_SMALL = 1 << 18  # numbers below which a thread pool costs more than it gives


class Noise:
    """Random numbers for samples `start … start + S − 1` of each of B data.

    The numbers of (seed, datum, sample, site, operation) are read off a Philox-4x64 counter (Salmon et al. 2011,
    "Parallel random numbers: as easy as 1, 2, 3"): which other data or samples are asked for changes nothing.

    Args:
        seed: the user's seed.
        keys: a key for each datum, `[B]`, from `datum_keys`.
        num_samples: S.
        start: index of the first sample.
    """

    def __init__(self, seed: int, keys: np.ndarray, num_samples: int, start: int = 0) -> None:
        self.seed, self.keys, self.num_samples, self.start = seed, keys, num_samples, start
        self._cache: dict[tuple[str, int], Tensor] = {}
        self.keep = False  # whether to remember draws: when one program run asks for them sample by sample

    def draw(self, kind: str, site: str, operation: int, width: int, dtype: torch.dtype) -> Tensor:
        """Standard normals or uniforms on [0, 1), `[S, B, width]`."""
        if (site, operation) in self._cache:
            return self._cache[site, operation]
        kind_dtype = np.float32 if dtype in (torch.float16, torch.bfloat16, torch.float32) else np.float64
        out = np.empty((len(self.keys), self.num_samples, width), kind_dtype)
        word = int.from_bytes(hashlib.blake2b(site.encode(), digest_size=8).digest(), "little")
        seed = int(self.seed) % 2**64

        def fill(rows: range) -> None:
            bits = np.random.Philox(key=np.array([seed, 0], np.uint64))  # a list would pass through floats
            generator, state = np.random.Generator(bits), bits.state
            method = generator.standard_normal if kind == "normal" else generator.random
            for b in rows:
                for block, begin, end, skip in _blocks(self.start, self.num_samples):
                    state["state"]["key"][1] = self.keys[b]
                    state["state"]["counter"][:] = (0, block, operation, word)
                    state["buffer_pos"], state["has_uint32"] = 4, 0
                    bits.state = state
                    if skip:  # read up to the place where this range begins inside the block
                        method(skip * width, dtype=kind_dtype)
                    method(out=out[b, begin:end], dtype=kind_dtype)

        _spread(fill, len(self.keys), out.size)
        result = torch.from_numpy(out).transpose(0, 1)
        if self.keep:
            self._cache[site, operation] = result
        return result


def _blocks(start: int, num_samples: int) -> Iterator[tuple[int, int, int, int]]:
    """(block, first row, end row, samples to skip inside the block) covering samples start … start + num_samples."""
    position, stop = start, start + num_samples
    while position < stop:
        block, skip = divmod(position, BLOCK)
        end = min(stop, (block + 1) * BLOCK)
        yield block, position - start, end - start, skip
        position = end


def _spread(fill: Callable[[range], None], num_rows: int, size: int) -> None:
    workers = min(torch.get_num_threads(), num_rows)
    if size < _SMALL or workers < 2:
        return fill(range(num_rows))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(fill, [range(i, num_rows, workers) for i in range(workers)]))
    return None
