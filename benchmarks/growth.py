"""How do seconds and memory grow with the number of data, samples, latents, chains and pixels?

A VAE with two hidden layers of 64, untrained, on random zeros and ones of the digits' size (64 pixels, 10 latents)
unless the axis is another. Each point is measured in a process of its own, forked from one that has imported all:
seconds of a call, the making of the target among them, the least of three where they are few; and the peak of the
resident set (on a card, in one process: of its tensors) above what was taken after a call on five data, so that data
and weights are not counted. Slopes are those of log seconds and log bytes by the log of the axis, with 95 % intervals
over the points, and again over the upper half, where constant costs count least. Bars: at most 1.1 for
seconds by data, samples and pixels; memory within the library's budget and what the results themselves take.

Run: python -m benchmarks.growth [--curves "importance, data"] [--device cuda]
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context

import torch

from benchmarks.clock import forget_peak, peak_bytes, steady
from benchmarks.options import parsed, parser
from benchmarks.results import report
from benchmarks.slopes import growth
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, anneal, hmc, importance
from elbowroom.models import VAE

HIDDEN = (64, 64)
LEAST_SECONDS, LEAST_BYTES = 1e-3, 2**22
BRIEF, REPEATS = 1.0, 3  # a call that takes less is made so often


@dataclass(frozen=True)
class Size:
    """Of one point."""

    data: int = 100
    samples: int = 1000
    latents: int = 10
    chains: int = 4
    pixels: int = 64


METHODS: dict[str, Callable[[Target, Size], object]] = {
    "importance": lambda target, size: importance(target, num_samples=size.samples, search=False),
    "anneal": lambda target, size: anneal(target, num_steps=10, num_chains=size.chains, search=False),
    "hmc": lambda target, size: hmc(target, num_chains=size.chains, num_warmup=20, num_draws=20),
}


@dataclass(frozen=True)
class Curve:
    """A method, and the axis along which it is asked more and more."""

    method: str
    axis: str
    values: tuple[int, ...]
    fixed: Size = Size()

    def __str__(self) -> str:
        return f"{self.method}, {self.axis}"


CURVES = (
    Curve("importance", "data", (100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000), Size(samples=10)),
    Curve("importance", "samples", (100, 300, 1000, 3000, 10_000, 30_000, 100_000), Size(data=20)),
    Curve("importance", "latents", (2, 5, 10, 20, 50, 100)),
    Curve("importance", "pixels", (64, 256, 1024, 4096, 16_384, 65_536), Size(data=20, samples=100)),
    Curve("anneal", "data", (100, 300, 1000, 3000, 10_000)),
    Curve("anneal", "chains", (4, 16, 64, 256, 1024)),
    Curve("anneal", "latents", (2, 5, 10, 20, 50, 100)),
    Curve("anneal", "pixels", (64, 256, 1024, 4096, 16_384, 65_536), Size(data=5)),
    Curve("hmc", "data", (20, 40, 80, 160, 320)),
    Curve("hmc", "chains", (4, 16, 64, 256, 1024), Size(data=10)),
    Curve("hmc", "latents", (2, 5, 10, 20, 50, 100), Size(data=20)),
)


def main() -> None:
    """Every curve, or those that are asked for."""
    made = parser(__doc__, threads=1)
    made.add_argument("--curves", nargs="+", choices=[str(curve) for curve in CURVES], default=list(map(str, CURVES)))
    made.add_argument("--points", type=int, default=9, help="at most so many of each curve, from the smallest on")
    few = {"curves": ["importance, data", "importance, samples", "anneal, chains"], "points": 4}
    options = parsed(made, quick=few)
    torch.set_num_threads(1)  # a process whose threads have worked cannot be forked
    for method in METHODS:
        point(method, Size(data=5, samples=10), options.device, 1)  # imports, and what a card has to load
    rows = []
    for curve in CURVES:
        if str(curve) in options.curves:
            rows += rows_of(curve, curve.values[: options.points], options.device, options.threads)
    title = "Growth of seconds and peak memory: slopes in log-log with 95 % intervals over the points"
    report("growth", title, rows, options, whole=len(options.curves) == len(CURVES))


def rows_of(curve: Curve, values: tuple[int, ...], device: torch.device, threads: int) -> list[tuple[str, str]]:
    """Slopes of a curve, and its points."""
    points = list(measured(curve, values, device, threads))
    x, seconds, taken = map(list, zip(*points, strict=True))
    name = f"{curve}, {x[0]:,} to {x[-1]:,}"
    told = "; ".join(f"{v:,}: {s:.3g} s, {b / 2**20:.0f} MiB" for v, s, b in points)
    return [
        (f"{name}: seconds grow as", growth(curve.axis, x, seconds, LEAST_SECONDS)),
        (f"{name}: memory grows as", growth(curve.axis, x, taken, LEAST_BYTES)),
        (f"{name}: points", told),
    ]


def measured(
    curve: Curve, values: tuple[int, ...], device: torch.device, threads: int
) -> Iterator[tuple[int, float, int]]:
    """(value, seconds, bytes) of each point, until one is too large for the memory."""
    for value in values:
        asked = (curve.method, replace(curve.fixed, **{curve.axis: value}), device, threads)
        try:
            seconds, taken = point(*asked) if device.type == "cuda" else forked(*asked)
        except (BrokenProcessPool, torch.OutOfMemoryError):
            print(f"{curve}: {value:,}: not enough memory", flush=True)
            return
        print(f"{curve}: {value:,}: {seconds:.3g} s, {taken / 2**20:.1f} MiB", flush=True)
        yield value, seconds, taken


def forked(method: str, size: Size, device: torch.device, threads: int) -> tuple[float, int]:
    """`point` in a process of its own."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(point, method, size, device, threads).result()


def point(method: str, size: Size, device: torch.device, threads: int) -> tuple[float, int]:
    """Seconds, and the bytes of the peak beyond what was taken before."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = VAE(size.pixels, size.latents, HIDDEN).to(device).eval()
    guide = AmortizedNormal(size.pixels, size.latents, HIDDEN).to(device).eval()
    x = torch.bernoulli(torch.full((size.data, size.pixels), 0.3)).to(device)
    run, times = METHODS[method], list[float]()
    run(Target(model, guide, x[:5]), replace(size, samples=10, chains=2))  # pages of code are no memory of the call
    before = forget_peak(device)
    while not times or (min(times) < BRIEF and len(times) < REPEATS):
        begin = steady(device)
        run(Target(model, guide, x), size)
        times.append(steady(device) - begin)
    return min(times), max(0, peak_bytes(device) - before)


if __name__ == "__main__":
    main()
