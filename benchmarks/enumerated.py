"""Models with discrete latents that take no leading dim of samples: all samples in one run, beside one run a sample.

Two mixtures of two components over five rows, their means picked by `locs[k]` and by `Vindex`, and a hidden Markov
model of 20 steps and 5 states with a latent transition matrix. Both ways give the same numbers; bar: 50 times as many a
second. Seconds are of the processor, for log weights alone: what `importance` does before it draws is in neither.
"""

import statistics
import time
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from pyro.ops.indexing import Vindex
from torch import Tensor

from benchmarks.results import report
from elbowroom.inference import Target

BAR = 50
ROWS = torch.tensor([0.0, 1.0, 10.0, 11.0, 12.0])
STATES = 2.0 * torch.arange(5.0)
NUM_STEPS = 20
SAMPLES = {"loop": 50, "vmap": 5000}
REPEATS = 3


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

    return Target(model, guide, ROWS, plate=None)


def hidden_markov() -> Target:
    """Twenty steps of a chain of five states, its rows of transition probabilities and the noise latent."""
    sticky = torch.ones(5) + 4 * torch.eye(5)

    def model(y: Tensor) -> None:
        with pyro.plate("states", 5):
            steps = pyro.sample("steps", dist.Dirichlet(sticky))
        scale = pyro.sample("scale", dist.LogNormal(-0.5, 0.5))
        k = torch.tensor(0)
        for t in pyro.markov(range(NUM_STEPS)):
            k = pyro.sample(f"k{t}", dist.Categorical(Vindex(steps)[..., k, :]))
            pyro.sample(f"y{t}", dist.Normal(STATES[k], scale), obs=y[t])

    def guide(y: Tensor) -> None:
        with pyro.plate("states", 5):
            pyro.sample("steps", dist.Dirichlet(sticky))
        pyro.sample("scale", dist.LogNormal(-0.5, 0.3))

    states = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 3, 3, 3, 0, 0, 0, 2, 2])
    noise = torch.randn(NUM_STEPS, generator=torch.Generator().manual_seed(0))
    return Target(model, guide, STATES[states] + 0.5 * noise, plate=None)


def milliseconds(target: Target, layout: str) -> float:
    """Milliseconds of the processor for the log weight of a sample, the model in a layout."""
    laid_out = target.replaced(layouts={**target.layouts, "model": layout})
    begin = time.process_time()
    laid_out.log_weights(SAMPLES[layout])
    return 1e3 * (time.process_time() - begin) / SAMPLES[layout]


def main() -> None:
    """Print the milliseconds of interleaved repeats, and their ratio."""
    torch.set_num_threads(1)
    targets = {
        "mixture, locs[k]": mixture(lambda locs, k: locs[k]),
        "mixture, Vindex": mixture(lambda locs, k: Vindex(locs)[..., k]),
        "hidden Markov model": hidden_markov(),
    }
    rows = []
    for name, target in targets.items():
        times: dict[str, list[float]] = {layout: [] for layout in SAMPLES}
        for _ in range(REPEATS):
            for layout, found in times.items():
                found.append(milliseconds(target, layout))
        loop, vmap = (statistics.median(times[layout]) for layout in SAMPLES)
        chosen = target.layouts["model"]
        rows.append(
            (name, f"{loop:.2f} ms a sample one by one, {vmap:.4f} at once ({chosen}): {loop / vmap:.0f} times")
        )
    title = f"Models whose discrete latents are summed out: log weights, plate=None (bar: {BAR} times)"
    report("enumerated", title, rows)


if __name__ == "__main__":
    main()
