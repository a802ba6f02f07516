"""Models with discrete latents that take no leading dim of samples: all samples in one run, beside one run a sample.

Two mixtures of two components over five rows, their means picked by `locs[k]` and by `Vindex`, and a hidden Markov
model of 20 steps and 5 states with a latent transition matrix. Both ways give the same numbers; bar: 50 times as many a
second. Seconds are of one thread, for log weights alone: what `importance` does before it draws is in neither.
"""

import statistics
from collections.abc import Callable, Iterator

import pyro
import pyro.distributions as dist
import torch
from pyro.ops.indexing import Vindex
from torch import Tensor

from benchmarks.clock import steady
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.inference import Target

BAR = 50
ROWS = (0.0, 1.0, 10.0, 11.0, 12.0)
NUM_STATES, NUM_STEPS = 5, 20
SAMPLES = {"loop": 50, "vmap": 5000}


def mixture(pick: Callable[[Tensor, Tensor], Tensor]) -> Target:
    """A mixture of two normals with latent weights, scale and means."""

    def model(x: Tensor) -> None:
        weights = pyro.sample("weights", dist.Dirichlet(0.5 * torch.ones(2)))
        scale = pyro.sample("scale", dist.LogNormal(0.0, 2.0))
        with pyro.plate("components", 2):
            locs = pyro.sample("locs", dist.Normal(0.0, 10.0))
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(weights))
            pyro.sample("x", dist.Normal(pick(locs, k), scale), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("weights", dist.Dirichlet(torch.tensor([2.5, 3.5])))
        pyro.sample("scale", dist.LogNormal(0.1, 0.4))
        with pyro.plate("components", 2):
            pyro.sample("locs", dist.Normal(torch.tensor([0.5, 11.0]), 0.7))

    return Target(model, guide, torch.tensor(ROWS), plate=None)


def hidden_markov() -> Target:
    """Twenty steps of a chain of five states, its rows of transition probabilities and the noise latent."""
    sticky = torch.ones(NUM_STATES) + 4 * torch.eye(NUM_STATES)
    means = 2.0 * torch.arange(NUM_STATES)

    def model(y: Tensor) -> None:
        with pyro.plate("states", 5):
            steps = pyro.sample("steps", dist.Dirichlet(sticky))
        scale = pyro.sample("scale", dist.LogNormal(-0.5, 0.5))
        k = torch.tensor(0)
        for t in pyro.markov(range(NUM_STEPS)):
            k = pyro.sample(f"k{t}", dist.Categorical(Vindex(steps)[..., k, :]))
            pyro.sample(f"y{t}", dist.Normal(means[k], scale), obs=y[t])

    def guide(y: Tensor) -> None:
        with pyro.plate("states", 5):
            pyro.sample("steps", dist.Dirichlet(sticky))
        pyro.sample("scale", dist.LogNormal(-0.5, 0.3))

    states = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 3, 3, 3, 0, 0, 0, 2, 2])
    noise = torch.randn(NUM_STEPS, generator=torch.Generator().manual_seed(0), device="cpu").to(means)
    return Target(model, guide, means[states] + 0.5 * noise, plate=None)


def milliseconds(target: Target, layout: str) -> float:
    """Milliseconds for the log weight of a sample, the model in a layout."""
    laid_out = target.replaced(layouts={**target.layouts, "model": layout})
    begin = steady(target.device)
    laid_out.log_weights(SAMPLES[layout])
    return 1e3 * (steady(target.device) - begin) / SAMPLES[layout]


def lines(repeats: int) -> Iterator[tuple[str, str]]:
    """A row for each program, by interleaved repeats."""
    targets = {
        "mixture, locs[k]": mixture(lambda locs, k: locs[k]),
        "mixture, Vindex": mixture(lambda locs, k: Vindex(locs)[..., k]),
        "hidden Markov model": hidden_markov(),
    }
    for name, target in targets.items():
        times: dict[str, list[float]] = {layout: [] for layout in SAMPLES}
        for _ in range(repeats):
            for layout, found in times.items():
                found.append(milliseconds(target, layout))
        loop, vmap = (statistics.median(times[layout]) for layout in SAMPLES)
        way = target.layouts["model"]
        yield name, f"{loop:.2f} ms a sample one by one, {vmap:.4f} at once ({way}): {loop / vmap:.0f} times"


def main() -> None:
    """Print the milliseconds of interleaved repeats, and their ratio."""
    made = parser(__doc__, threads=1)
    made.add_argument("--repeats", type=int, default=3)
    options = parsed(made, quick={"repeats": 1})
    with options.device:  # the programs' numbers, too
        rows = list(lines(options.repeats))
    title = f"Models whose discrete latents are summed out: log weights, plate=None (bar: {BAR} times)"
    report("enumerated", title, rows, options)


if __name__ == "__main__":
    main()
