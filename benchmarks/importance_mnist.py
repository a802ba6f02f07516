"""How many importance samples a second pass an MNIST-sized decoder, beside Pyro's estimator and the processor's limit?

Decoder 50-200-200-784 with tanh, Bernoulli likelihood, random weights, single precision. All sides are timed in turn.
The limit is what `torch.addmm` alone takes for the decoder's three matrix products, at the block size that suits it.
Pyro's side is `RenyiELBO` (alpha=0, vectorised particles, no gradient), at the number of particles that suits it: with
`Bernoulli(logits=…).to_event(1)` as Pyro's users write it, and with this package's `BernoulliVector`.
What a sample costs by parts is timed beside it: the noise, all that the guide does, the activations, the likelihood.
This package's side is `importance` as it is, and with compile=True, as it does itself from 25 million on.
Bars: 1.5 times Pyro, 0.6 of the limit, and a million samples of one datum in at most 1 GiB.

Run: python -m benchmarks.importance_mnist [--threads 1] [--seconds 60] [--quick] [--device cuda]
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import RenyiELBO
from pyro.nn import PyroModule
from torch import Tensor, nn

from benchmarks.clock import forget_peak, now, peak_bytes, steady
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, importance
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.programs.noise import BLOCK, Noise
from elbowroom.models import VAE
from elbowroom.models.likelihoods.bernoulli import BernoulliVector

NUM_SAMPLES = 100_000  # of all data together, in each timed call
MILLION = 1_000_000
PARTICLES = {1: (1000, 5000), 100: (20, 50)}  # number of data -> numbers of particles tried
BLOCKS = (512, 2048)
PART = 512  # samples at a time where a part is timed by itself
OURS: dict[str, bool | str] = {"elbowroom": "auto", "elbowroom, compiled": True}
FLOP = 2 * (50 * 200 + 200 * 200 + 200 * 784)


def products(layers: list[nn.Linear], block: int) -> None:
    """The decoder's matrix products and nothing else."""
    inputs = [torch.randn(block, layer.in_features).to(layer.weight) for layer in layers]
    for _ in range(0, NUM_SAMPLES, block):
        for values, layer in zip(inputs, layers, strict=True):
            torch.addmm(layer.bias, values, layer.weight.t())


def parts(target: Target) -> dict[str, Callable[[], None]]:
    """What a sample is made of besides the products, each by itself."""
    num_data, rounds = len(target), range(0, NUM_SAMPLES, PART)
    hidden, logits, x = torch.randn(PART, 200), torch.randn(PART, 784), torch.bernoulli(torch.full((784,), 0.3))
    hidden, logits, x = (values.to(target.device) for values in (hidden, logits, x))
    plan = Plan(num_data, num_data, BLOCK * max(1, 100 // num_data))

    def noise() -> None:
        for start, count in plan.sample_ranges(NUM_SAMPLES // num_data):
            Noise(0, target.keys, count, start).draw("normal", "z", 0, 50, torch.float32)

    def guide() -> None:
        for start, count in plan.sample_ranges(NUM_SAMPLES // num_data):
            target.propose(count, start=start)

    def activations() -> None:
        for _ in rounds:
            hidden.tanh(), hidden.tanh()

    def likelihood() -> None:
        for _ in rounds:
            BernoulliVector(logits, validate_args=False).log_prob(x)

    return {"noise": noise, "guide, with its noise": guide, "activations": activations, "likelihood": likelihood}


class Stock(PyroModule):
    """The same model with the likelihood that Pyro has."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, x: Tensor) -> None:
        """log p(x, z)."""
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(50), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)


def by_pyro(model: nn.Module, guide: AmortizedNormal, x: Tensor, num_particles: int) -> None:
    """Pyro's importance-weighted bound, again and again until as many samples are taken."""
    bound = RenyiELBO(alpha=0, num_particles=num_particles, vectorize_particles=True)
    with pyro.get_param_store().scope(), pyro.validation_enabled(False):
        for _ in range(0, NUM_SAMPLES, num_particles * len(x)):
            bound.loss(model, guide, x)


def by_elbowroom(target: Target, compile: bool | str = "auto") -> None:
    """All that `importance` reports: value, error, k̂, effective sample size."""
    importance(target, num_samples=NUM_SAMPLES // len(target), compile=compile)


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """By the clock on the wall: torch compiles in processes of its own."""
    begin = now(device)
    call()
    return now(device) - begin


def taken(num_samples: int, call: Callable[[], object], device: torch.device) -> float:
    """Samples a second of one call."""
    begin = steady(device)
    call()
    return num_samples / (steady(device) - begin)


def rates(calls: dict[str, Callable[[], None]], seconds: float, device: torch.device) -> dict[str, list[float]]:
    """Samples a second of each call, in turn, for some seconds."""
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found[next(iter(found))]) < 3:
        for name, call in calls.items():
            found[name].append(taken(NUM_SAMPLES, call, device))
    return found


def million(target: Target) -> str:
    """Time and peak memory of very many samples; before anything else has made the process grow."""
    before = forget_peak(target.device)
    rate = taken(MILLION, partial(importance, target, num_samples=MILLION), target.device)
    return f"{MILLION / rate:.1f} s, peak memory grows by {(peak_bytes(target.device) - before) / 2**20:.0f} MiB"


def best(found: dict[str, list[float]], prefix: str) -> list[float]:
    """The repeats of the variant that did best."""
    return max((values for name, values in found.items() if name.startswith(prefix)), key=max)


def main() -> None:
    """Time one datum and a hundred, then the memory of a million samples."""
    made = parser(__doc__, threads=1)
    made.add_argument("--seconds", type=float, default=60.0)
    options = parsed(made, quick={"seconds": 20.0})  # all of them on a hundred data
    torch.manual_seed(0)
    model = VAE(784, 50, (200, 200), activation="tanh").to(options.device).eval()
    guide = AmortizedNormal(784, 50, (200, 200), activation="tanh").to(options.device).eval()
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    rows: list[tuple[str, str]] = []
    stock = Stock(model.decoder)
    if options.form != "quick":
        one = Target(model, guide, torch.bernoulli(torch.full((1, 784), 0.3)).to(options.device))
        rows.append((f"{MILLION:,} samples of one datum", million(one)))
    with torch.no_grad():
        for num_data, particles in PARTICLES.items():
            if options.form == "quick" and num_data == 1:
                continue
            x = torch.bernoulli(torch.full((num_data, 784), 0.3)).to(options.device)
            target = Target(model, guide, x)
            calls: dict[str, Callable[[], None]] = {f"limit {b}": partial(products, layers, b) for b in BLOCKS}
            calls |= {f"stock {k}": partial(by_pyro, stock, guide, x, k) for k in particles}
            calls |= {f"vector {k}": partial(by_pyro, model, guide, x, k) for k in particles}
            calls |= {name: partial(by_elbowroom, target, how) for name, how in OURS.items()}
            calls |= parts(target)
            first = {name: seconds_of(calls[name], options.device) for name in OURS}
            found = rates(calls, options.seconds / (1 if options.form == "quick" else 2), options.device)
            rows += told("one datum" if num_data == 1 else f"{num_data} data", found, first, list(parts(target)))
    title = "Importance samples through an MNIST decoder (bars: 1.5 times Pyro, 0.6 of the limit, 1 GiB)"
    report(f"importance_mnist_{options.threads}", f"{title}, threads: {options.threads}", rows, options)


def told(data: str, found: dict[str, list[float]], first: dict[str, float], names: list[str]) -> list[tuple[str, str]]:
    """The rows of the table: rates, their ratios, and what a sample costs by parts."""
    limit, stocks, vectors = (best(found, name) for name in ("limit", "stock", "vector"))
    rows = []
    for name, values in (
        ("matrix products alone", limit),
        ("Pyro RenyiELBO", stocks),
        ("Pyro RenyiELBO with BernoulliVector", vectors),
        *((name, found[name]) for name in OURS),
    ):
        text = f"{max(values):,.0f} at best, {statistics.median(values):,.0f} at the median"
        rows.append((f"{data}: {name}, samples a second", text))
    text = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in first.items())
    rows.append((f"{data}: the first call, which records or compiles the model", text))
    rows.append((f"{data}: limit in GFLOP a second", f"{max(limit) * FLOP / 1e9:.0f} at best"))
    for ours in OURS:
        for name, others in (("Pyro", stocks), ("Pyro with BernoulliVector", vectors), ("limit", limit)):
            ratios = [a / b for a, b in zip(found[ours], others, strict=True)]
            text = f"{max(found[ours]) / max(others):.2f} at best, {statistics.median(ratios):.2f} at the median"
            rows.append((f"{data}: {ours} / {name}", text))
    costs = {"products": limit} | {name: found[name] for name in (*names, *OURS)}
    text = ", ".join(f"{name} {1e6 / statistics.median(values):.2f}" for name, values in costs.items())
    rows.append((f"{data}: microseconds a sample, at the median", text))
    return rows


if __name__ == "__main__":
    main()
