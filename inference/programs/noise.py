"""Counter-based noise: a stream for each datum, so that results do not depend on batches, chunks or shards."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.programs import noise_on_device

BLOCK = 256
"""Samples per counter block: a chunk that starts at a multiple of it wastes no noise."""

_SMALL = 1 << 18  # numbers below which a thread pool costs more than it gives
_WORDS = 4  # of 64 bits, that the generator makes at a time
_PIECE = 1 << 13  # words that normals are made of at a time: what is made of them stays in the cache
_MAKE_NORMALS = ("cuda",)  # kinds of devices; the processor is faster with NumPy's words
_BITS = 24  # of a word for the angle, and the rest for the radius


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

    def draw(
        self,
        kind: str,
        site: str,
        operation: int,
        width: int,
        dtype: torch.dtype,
        device: torch.device | None = None,
    ) -> Tensor:
        """Standard normals or uniforms on [0, 1), `[S, B, width]`.

        Args:
            kind: `"normal"` or `"uniform"`.
            site, operation: what they are for.
            width: how many for each sample.
            dtype: that of the site; numbers of its precision are made.
            device: where they will be used. Normals in single precision are made there; others come from the processor.
        """
        if (site, operation) in self._cache:
            return self._cache[site, operation]
        result = self._drawn(kind, site, operation, width, dtype, device)
        if self.keep:
            self._cache[site, operation] = result
        return result

    def _drawn(
        self, kind: str, site: str, operation: int, width: int, dtype: torch.dtype, device: torch.device | None
    ) -> Tensor:
        single = dtype in (torch.float16, torch.bfloat16, torch.float32)
        word = int.from_bytes(hashlib.blake2b(site.encode(), digest_size=8).digest(), "little")
        if single and kind == "normal" and device is not None and device.type in _MAKE_NORMALS:
            shape = self.num_samples, width
            return noise_on_device.normals(int(self.seed), self.keys, word, operation, self.start, shape, device)
        # Samples first in memory: what is made of them is read in order.
        out = np.empty((self.num_samples, len(self.keys), width), np.float32 if single else np.float64)

        def fill(rows: slice) -> None:
            streams = _Streams(int(self.seed) % 2**64, operation, word)
            if single and kind == "normal":
                _fill_single(streams, self.keys[rows], self.start, out[:, rows])
            else:
                _fill_in_blocks(streams, self.keys[rows], kind, self.start, out[:, rows])

        _spread(fill, len(self.keys), out.size)
        return torch.from_numpy(out)


class _Streams:
    """The numbers of one operation of a site, a stream for each datum."""

    def __init__(self, seed: int, operation: int, site: int) -> None:
        self.bits = np.random.Philox(key=np.array([seed, 0], np.uint64))  # a list would pass through floats
        self.generator = np.random.Generator(self.bits)
        self._state = self.bits.state
        self._state["state"]["counter"][2:] = operation, site
        self._state["buffer_pos"], self._state["has_uint32"] = _WORDS, 0

    def begin(self, key: np.uint64, count: int, block: int) -> None:
        """Go on from a count of some block of a datum's."""
        self._state["state"]["key"][1] = key
        self._state["state"]["counter"][:2] = count, block
        self.bits.state = self._state

    def words(self, key: np.uint64, first: int, number: int) -> np.ndarray:
        """Words of 64 bits of a datum, from the first on, `[number]`."""
        overflow, count = divmod(first // _WORDS, 2**64)
        self.begin(key, count, overflow)
        self.bits.random_raw(first % _WORDS)
        return self.bits.random_raw(number)


def _fill_in_blocks(streams: _Streams, keys: np.ndarray, kind: str, start: int, out: np.ndarray) -> None:
    """NumPy's own normals or uniforms, `[S, B, width]`: they take no fixed number of words, so blocks have counters."""
    num_samples, _, width = out.shape
    drawn = np.empty((min(BLOCK, num_samples), width), out.dtype)
    method = streams.generator.standard_normal if kind == "normal" else streams.generator.random
    for b, key in enumerate(keys):
        for block, begin, end, skip in _blocks(start, num_samples):
            streams.begin(key, 0, block)
            if skip:  # read up to the place where this range begins inside the block
                method(skip * width, dtype=out.dtype)
            method(out=drawn[: end - begin], dtype=out.dtype)
            out[begin:end, b] = drawn[: end - begin]


def _fill_single(streams: _Streams, keys: np.ndarray, start: int, out: np.ndarray) -> None:
    """Normals in single precision, `[S, B, width]`, by Box and Muller (1958), in half the time of NumPy's own.

    A word of 64 bits makes two, √(−2 log u) cos θ and √(−2 log u) sin θ: u from 40 bits, θ from 24. Sample s of a datum
    begins at its word s ⌈width / 2⌉. None is beyond ±7.54, where a normal is once in 2 · 10¹³ times.
    """
    num_samples, num_data, width = out.shape
    half = -(-width // 2)
    samples = min(num_samples, max(1, _PIECE // max(half, 1)))
    data = max(1, _PIECE // max(samples * half, 1))
    for b in range(0, num_data, data):
        for s in range(0, num_samples, samples):
            piece = out[s : s + samples, b : b + data].transpose(1, 0, 2)
            first, number = (start + s) * half, piece.shape[1] * half
            words = np.stack([streams.words(key, first, number) for key in keys[b : b + data]])
            cosines, sines = (normals.reshape(*piece.shape[:2], half) for normals in _box_muller(words))
            piece[..., :half], piece[..., half:] = cosines, sines[..., : width - half]


def _box_muller(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two normals of each word."""
    radius = (words >> np.uint64(_BITS)).astype(np.float32)
    angle = (words & np.uint64(2**_BITS - 1)).astype(np.float32)
    radius += np.float32(0.5)  # no zero
    radius *= np.float32(2.0 ** (_BITS - 64))
    radius = np.sqrt(np.float32(-2) * np.log(radius))
    angle *= np.float32(2 * np.pi / 2**_BITS)
    return radius * np.cos(angle), radius * np.sin(angle)


def _blocks(start: int, num_samples: int) -> Iterator[tuple[int, int, int, int]]:
    """(block, first row, end row, samples to skip inside the block) covering samples start … start + num_samples."""
    position, stop = start, start + num_samples
    while position < stop:
        block, skip = divmod(position, BLOCK)
        end = min(stop, (block + 1) * BLOCK)
        yield block, position - start, end - start, skip
        position = end


def _spread(fill: Callable[[slice], None], num_rows: int, size: int) -> None:
    workers = min(torch.get_num_threads(), num_rows)
    if size < _SMALL or workers < 2:
        return fill(slice(0, num_rows))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(fill, [slice(i, num_rows, workers) for i in range(workers)]))
    return None
