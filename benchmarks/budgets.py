"""Are budgets kept and spent? Twenty targets by three budgets of seconds: share used, what is settled, what is said.

Bar: between .5 and 1.3 of the budget, or less where everything is settled; and nobody is told that the budget ended
where a tenth of it was left. `--first`, `--count` run a part of the grid.
The load of the machine moves what is done in the time, and hardly the share that is used.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import config_enumerate
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from benchmarks.clock import timed
from benchmarks.options import REFERENCES, parsed, parser
from benchmarks.results import report
from elbowroom.inference import Bracket, Target, audit_target, bracket
from elbowroom.reference import problem

BRACKET, AUDIT = (3.0, 10.0, 30.0), (5.0, 20.0, 60.0)
LEAST, MOST, ENDED = 0.5, 1.3, 0.9


def linear(num_latents: int, num_data: int, spread: float = 0.8) -> Target:
    """x | z ~ N(W z, 1) in as many dimensions, and a mean-field guide."""
    weight = torch.randn(num_latents + 2, num_latents, generator=torch.Generator().manual_seed(1)) / num_latents**0.5
    to_mean = weight.T @ torch.linalg.inv(weight @ weight.T + torch.eye(num_latents + 2))
    x = torch.randn(num_data, num_latents + 2, generator=torch.Generator().manual_seed(2)) * 1.4

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(num_latents), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight.T, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x @ to_mean.T, spread * 0.8).to_event(1))

    return Target(model, guide, x)


def network(num_data: int, width: int, depth: int = 2) -> Target:
    """A VAE of random networks: 64 pixels of 8 latents; wide and deep, its likelihood is slow."""
    torch.manual_seed(3)
    sizes = [8, *[width] * depth, 64]
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    decoder = torch.nn.Sequential(*[m for layer in layers for m in (layer, torch.nn.Tanh())][:-1])
    encoder = torch.nn.Linear(64, 8)
    x = (torch.rand(num_data, 64) < 0.4).float()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(8), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(encoder(x), 0.9).to_event(1))

    return Target(model, guide, x)


def regression(num_rows: int, num_inputs: int) -> Target:
    """A Bayesian regression with an unknown noise: one datum, which cannot be cut."""
    torch.manual_seed(4)
    inputs = torch.randn(num_rows, num_inputs)
    y = inputs.sum(-1) + 0.5 * torch.randn(num_rows)

    def model(y: Tensor) -> None:
        s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
        w = pyro.sample("w", dist.Normal(torch.zeros(num_inputs), 1.0).to_event(1))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Normal((inputs * w).sum(-1), s), obs=y)

    def guide(y: Tensor) -> None:
        pyro.sample("s", dist.LogNormal(-0.7, 0.3))
        pyro.sample("w", dist.Normal(torch.ones(num_inputs), 0.15).to_event(1))

    return Target(model, guide, y, plate=None)


def local_parameters(num_data: int) -> Target:
    """AutoNormal of a plate of latents: trained parameters of each datum, so that it cannot be cut."""
    x = torch.randn(num_data, generator=torch.Generator().manual_seed(5)) * 1.4

    def model(x: Tensor) -> None:
        m = pyro.sample("m", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            z = pyro.sample("z", dist.Normal(m, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    guide = AutoNormal(model, init_scale=0.7)
    guide(x)
    return Target(model, guide, x, plate=None)


def mixture(num_rows: int) -> Target:
    """A mixture of two normals with unknown means, assignments summed out."""
    x = torch.randn(num_rows, generator=torch.Generator().manual_seed(6)) + torch.arange(num_rows) % 2 * 4.0

    @config_enumerate
    def model(x: Tensor) -> None:
        means = pyro.sample("means", dist.Normal(torch.zeros(2), 3.0).to_event(1))
        with pyro.plate("rows", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.ones(2) / 2))
            pyro.sample("x", dist.Normal(means[k], 1.0), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("means", dist.Normal(torch.tensor([0.0, 4.0]), 0.3).to_event(1))

    return Target(model, guide, x, plate=None)


def constrained(num_data: int) -> Target:
    """A positive and a bounded latent of each datum, and three shares."""
    x = torch.rand(num_data, 3, generator=torch.Generator().manual_seed(7)) + 0.2

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            s = pyro.sample("s", dist.Gamma(2.0, 2.0))
            p = pyro.sample("p", dist.Dirichlet(x.new_ones(3)))
            pyro.sample("x", dist.LogNormal((3 * p).log(), s.unsqueeze(-1)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("s", dist.LogNormal(-0.5 + 0 * x[:, 0], 0.5))
            pyro.sample("p", dist.Dirichlet(1 + 3 * x))

    return Target(model, guide, x)


TARGETS: dict[str, Callable[[], Target]] = {
    "regression, 4 latents": lambda: regression(60, 3),
    "regression, 12 latents": lambda: regression(200, 11),
    "linear, 1 datum of 8": lambda: linear(8, 1),
    "linear, 100 data of 2": lambda: linear(2, 100),
    "linear, 100 data of 8": lambda: linear(8, 100),
    "linear, 20 data of 30": lambda: linear(30, 20),
    "linear, 1000 data of 8": lambda: linear(8, 1000),
    "linear, 1000 data of 1": lambda: linear(1, 1000),
    "network, 10 data": lambda: network(10, 64),
    "network, 100 data": lambda: network(100, 64),
    "slow network, 10 data": lambda: network(10, 1024, 4),
    "slow network, 1 datum": lambda: network(1, 2048, 4),
    "two modes of 4": lambda: problem("two-modes-4-small").target(),
    "two modes of 1": lambda: problem("modes-small").target(),
    "eight schools": lambda: problem("eight-schools").target(),
    "funnel of 10": lambda: problem("funnel-10").target(),
    "local parameters, 20 rows": lambda: local_parameters(20),
    "mixture, 40 rows": lambda: mixture(40),
    "constrained, 20 data": lambda: constrained(20),
    "discrete only": lambda: problem("mixture-discrete").target(),
}
AUDITED = ("linear, 100 data of 2", "linear, 100 data of 8", "network, 10 data", "regression, 4 latents")


@dataclass(frozen=True)
class Run:
    """One call: what it was given, took, and says."""

    name: str
    call: str
    budget: float
    wall: float
    found: Bracket

    @property
    def is_kept(self) -> bool:
        """Whether the bar is met."""
        used = self.wall / self.budget
        least = ENDED if any("the budget ended" in flag for flag in self.found.flags) else LEAST
        return used <= MOST and (used >= least or bool(self.found.settled.all()))

    def __str__(self) -> str:
        mark, settled = "" if self.is_kept else "NOT KEPT ", int(self.found.settled.sum())
        return f"{mark}{self.call} {self.budget:g} s: {self.wall / self.budget:.2f} ({settled}/{len(self.found)})"


def measure(name: str, call: str, budget: float) -> Run:
    """One cell of the grid; the target is made beforehand."""
    target = TARGETS[name]()
    ask: Callable[..., Any] = bracket if call == "bracket" else audit_target
    found, seconds, _ = timed(partial(ask, target, budget=budget))
    return Run(name, call, budget, seconds, found if call == "bracket" else found.bracket)


def main() -> None:
    """Run the grid, or a part of it, which is not recorded."""
    made = parser(__doc__, threads=1, only_processor=REFERENCES)
    made.add_argument("--first", type=int, default=0, help="number of the first target")
    made.add_argument("--count", type=int, default=len(TARGETS), help="how many targets")
    made.add_argument("--longest", type=float, default=5.0, help="seconds of the longest budget that is run")
    options = parsed(made, quick={"first": 2, "count": 3, "longest": 5.0}, long={"longest": 60.0})
    names = list(TARGETS)[options.first : options.first + options.count]
    runs: list[Run] = []
    for name in names:
        cells = [("bracket", b) for b in BRACKET] + [("audit", b) for b in AUDIT if name in AUDITED]
        for call, budget in cells:
            if budget <= options.longest:
                runs.append(measure(name, call, budget))
                print(f"{name}: {runs[-1]}", flush=True)
    kept = sum(run.is_kept for run in runs)
    used = sorted(run.wall / run.budget for run in runs)
    rows = [("budgets kept", f"{kept} of {len(runs)}"), ("largest share used", f"{used[-1]:.2f}")]
    rows += [(name, "; ".join(str(run) for run in runs if run.name == name)) for name in names]
    rows.append(("load of the machine", f"{os.getloadavg()[1]:.1f}"))
    title = (
        f"Share used of budgets up to {options.longest:g} s (data settled), bar: {LEAST} to {MOST}, or all is settled"
    )
    report("budgets", title, rows, options, whole=len(names) == len(TARGETS))


if __name__ == "__main__":
    main()
