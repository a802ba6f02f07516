"""Counter-based noise: a stream for each datum, so that results do not depend on batches, chunks or shards."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

BLOCK = 256
"""Samples per counter block: a chunk that starts at a multiple of it wastes no noise."""

_TINY = torch.finfo(torch.float32).tiny  # in place of the zero that a uniform on [0, 1) may be
_SMALL = 1 << 18  # numbers below which a thread pool costs more than it gives


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
    arrays = [(r.double() if r.is_floating_point() else r).numpy() for r in rows]
    seen: dict[bytes, int] = {}
    keys = np.empty(num_data, np.uint64)
    for b in range(num_data):
        digest = hashlib.blake2b(digest_size=8)
        for array in arrays:
            digest.update(array[b].tobytes())
        content = digest.digest()
        seen[content] = seen.get(content, -1) + 1
        again = hashlib.blake2b(content + seen[content].to_bytes(8, "little"), digest_size=8).digest()
        keys[b] = np.frombuffer(again, np.uint64)[0]
    return keys


Arrange = Callable[[Tensor, torch.Size], Tensor]
_BY_REJECTION = ("VonMises", "SineBivariateVonMises", "Rejector")


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

    @contextmanager
    def at(self, site: str, fn: Any, arrange: Arrange) -> Iterator[None]:
        """Inside, torch's random operations read this noise, to draw from the distribution `fn` of a site.

        `arrange(noise [S, B, n], batch shape)` brings it to `[*batch shape, m]`, whatever the layout of the run is.

        Raises:
            NotImplementedError: for a distribution that draws by rejection, or not in the order of its batch dims.
        """
        kind = type(_innermost(fn)).__name__
        if kind in _BY_REJECTION:
            raise NotImplementedError(
                f"site '{site}' draws from {kind} by rejection: how many tries it takes depends on the other data, so "
                "the draws of a datum would too. Use another family in the guide, for example a Normal and a transform."
            )
        with _Intercept(self, site, fn.batch_shape, arrange):
            yield

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


class _Intercept(TorchDispatchMode):
    """Sends torch's random operations to a `Noise`; everything else passes."""

    def __init__(self, noise: Noise, site: str, batch: torch.Size, arrange: Arrange) -> None:
        super().__init__()
        self.noise, self.site, self.batch, self.arrange, self.operation = noise, site, batch, arrange, 0

    def standard(self, kind: str, like: Tensor) -> Tensor:
        """Standard noise with the shape, dtype and device of `like`."""
        cells = self.noise.num_samples * len(self.noise.keys)
        numel = like.numel() if not self.noise.keep else like.numel() * self.noise.num_samples
        if numel % cells:
            raise ValueError(
                f"site '{self.site}' draws {like.numel()} random numbers of shape {tuple(like.shape)} for "
                f"{len(self.noise.keys)} data: the draw is not the same for every datum. Draw it inside the data plate."
            )
        # The batch dims lead, one by one or flattened (as torch.multinomial wants them); else a reshape would mix data.
        rank = len(self.batch)
        if like.shape[:rank] != self.batch and like.shape[:1] != (math.prod(self.batch),):
            raise NotImplementedError(
                f"site '{self.site}' has batch shape {tuple(self.batch)} and draws random numbers of shape "
                f"{tuple(like.shape)}: which belong to which datum cannot be told. Use another distribution there."
            )
        values = self.noise.draw(kind, self.site, self.operation, numel // cells, like.dtype)
        self.operation += 1
        return self.arrange(values, self.batch).reshape(like.shape).to(like)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {k: v for k, v in (kwargs or {}).items() if k != "generator"}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        rule = _RULES.get(func.overloadpacket)
        if rule is None:
            raise NotImplementedError(
                f"site '{self.site}' draws with {func}, which has no counter-based form; known: "
                + ", ".join(sorted(str(packet) for packet in _RULES))
            )
        return rule(self, func, args, kwargs)


def _innermost(fn: Any) -> Any:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


def _in_place(kind: str, transform: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def rule(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
        return args[0].copy_(transform(mode.standard(kind, args[0]), *args[1:], **kwargs))

    return rule


def _fresh(kind: str) -> Callable[..., Tensor]:
    def rule(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
        shape = args[0] if not isinstance(args[0], Tensor) else args[0].shape
        like = torch.empty_like(args[0]) if isinstance(args[0], Tensor) else torch.empty(shape, **kwargs)
        return mode.standard(kind, like)

    return rule


def _normal(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    mean, std = args[0], args[1]
    like = mean + std if isinstance(mean, Tensor) or isinstance(std, Tensor) else torch.empty(args[2], **kwargs)
    return mean + std * mode.standard("normal", like)


def _bernoulli(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    p = args[0] if len(args) < 2 else torch.as_tensor(args[1]).expand_as(args[0])
    return (mode.standard("uniform", p.double()) < p).to(args[0])


def _multinomial(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    weights, num = args[0], args[1]
    if num != 1:
        raise NotImplementedError(f"site '{mode.site}' draws {num} categories at once; draw one a sample")
    cumulative = weights.double().cumsum(-1)
    u = mode.standard("uniform", cumulative[..., :1]) * cumulative[..., -1:]
    return (cumulative <= u).sum(-1, keepdim=True).clamp(max=weights.shape[-1] - 1)


def _gamma_like(mode: _Intercept, concentration: Tensor) -> Tensor:
    from scipy.special import gammaincinv

    u = mode.standard("uniform", concentration.double())
    value = gammaincinv(concentration.double().cpu().numpy(), u.cpu().numpy())
    return torch.from_numpy(np.asarray(value)).to(concentration).clamp_min(torch.finfo(concentration.dtype).tiny)


def _standard_gamma(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    return _gamma_like(mode, args[0])


def _dirichlet(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    gammas = _gamma_like(mode, args[0])
    return gammas / gammas.sum(-1, keepdim=True)


def _poisson(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    from scipy.stats import poisson

    u = mode.standard("uniform", args[0].double())
    return (
        torch.from_numpy(np.asarray(poisson.ppf(u.cpu().numpy(), args[0].double().cpu().numpy())))
        .clamp_min(0)
        .to(args[0])
    )


def _binomial(mode: _Intercept, func: Any, args: Any, kwargs: Any) -> Tensor:
    from scipy.stats import binom

    count, p = (a.double().cpu().numpy() for a in args[:2])
    u = mode.standard("uniform", args[0].double()).cpu().numpy()
    return torch.from_numpy(np.asarray(binom.ppf(u, count, p))).clamp_min(0).to(args[0])


aten = torch.ops.aten
_RULES: dict[Any, Callable[..., Tensor]] = {
    aten.normal_: _in_place("normal", lambda e, mean=0.0, std=1.0: mean + std * e),
    aten.log_normal_: _in_place("normal", lambda e, mean=1.0, std=2.0: (mean + std * e).exp()),
    aten.uniform_: _in_place("uniform", lambda u, low=0.0, high=1.0: low + (high - low) * u),
    aten.exponential_: _in_place("uniform", lambda u, rate=1.0: (-torch.log1p(-u)).clamp_min(_TINY) / rate),
    aten.cauchy_: _in_place("uniform", lambda u, median=0.0, sigma=1.0: median + sigma * (torch.pi * (u - 0.5)).tan()),
    aten.geometric_: _in_place("uniform", lambda u, p: (torch.log1p(-u) / np.log1p(-p)).ceil().clamp_min(1)),
    aten.randn: _fresh("normal"),
    aten.randn_like: _fresh("normal"),
    aten.rand: _fresh("uniform"),
    aten.rand_like: _fresh("uniform"),
    aten.normal: _normal,
    aten.bernoulli: _bernoulli,
    aten.bernoulli_: lambda mode, func, args, kwargs: args[0].copy_(_bernoulli(mode, func, args, kwargs)),
    aten.multinomial: _multinomial,
    aten._standard_gamma: _standard_gamma,
    aten._sample_dirichlet: _dirichlet,
    aten.poisson: _poisson,
    aten.binomial: _binomial,
}
