"""What a training step of `fit` costs beside the same step by Pyro's SVI and by torch alone, written by hand.

Two VAEs: of digits' size (64-64-64-2, minibatches of 128) and of MNIST's (784-200-200-50, minibatches of 100). All
draw a permutation an epoch, pick rows and take steps of fused Adam, or Pyro's; `fit` also weighs, schedules, watches
for NaN and keeps its records. What making and compiling a record takes is given by itself. Bars: `fit` compiled at most
1.1 of hand-written compiled torch, and half of SVI.

Run: python -m benchmarks.svi_step [--quick] [--device cuda]
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.clock import now
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.guides import AmortizedNormal
from elbowroom.inference.training import fit
from elbowroom.inference.training.train_step import TrainStep
from elbowroom.models import VAE


@dataclass(frozen=True)
class Case:
    """A VAE of zeros and ones, and how many steps are timed."""

    name: str
    num_pixels: int
    latent_dim: int
    hidden: tuple[int, ...]
    batch_size: int
    num_data: int
    num_epochs: int

    def programs(self) -> tuple[VAE, AmortizedNormal]:
        sizes = (self.num_pixels, self.latent_dim, self.hidden)
        return VAE(*sizes), AmortizedNormal(*sizes)

    @property
    def num_steps(self) -> int:
        return self.num_epochs * (self.num_data // self.batch_size)


CASES = (
    Case("digits", 64, 2, (64, 64), 128, 1280, 40),
    Case("MNIST", 784, 50, (200, 200), 100, 10_000, 4),
)


def by_svi(case: Case, data: Tensor) -> float:
    """Milliseconds a step, as a Pyro user writes it."""
    model, guide = (program.to(data.device) for program in case.programs())
    with pyro.get_param_store().scope():
        svi = SVI(model, guide, Adam({"lr": 1e-3}), Trace_ELBO())
        return timed(case, data, svi.step)


def by_hand(case: Case, data: Tensor, compile: bool) -> float:
    """Milliseconds a step in torch alone."""
    encoder, decoder = (network.to(data.device) for network in networks(case))

    def loss_of(x: Tensor) -> Tensor:
        mean, log_sd = encoder(x).chunk(2, -1)
        z = mean + log_sd.exp() * torch.randn_like(mean)
        rest = binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        return (rest + 0.5 * (mean**2 + (2 * log_sd).exp() - 1 - 2 * log_sd).sum()) / len(x)

    compute = torch.compile(loss_of, dynamic=False) if compile else loss_of
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3, fused=True)

    def step(x: Tensor) -> None:
        optimizer.zero_grad()
        loss = compute(x)
        loss.backward()
        optimizer.step()
        loss.item()

    return timed(case, data, step)


def networks(case: Case) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder as `AmortizedNormal` and `VAE` have them."""

    def layers(*widths: int) -> nn.Sequential:
        pairs = list(pairwise(widths))
        modules = [module for a, b in pairs[:-1] for module in (nn.Linear(a, b), nn.SiLU())]
        return nn.Sequential(*modules, nn.Linear(*pairs[-1]))

    latent, pixels = case.latent_dim, case.num_pixels
    return layers(pixels, *case.hidden, 2 * latent), layers(latent, *case.hidden, pixels)


def timed(case: Case, data: Tensor, step: Callable[[Tensor], object]) -> float:
    """Milliseconds a step, after three that are not counted."""
    for rows in torch.randperm(len(data)).split(case.batch_size)[:3]:
        step(data[rows])
    begin = now(data.device)
    for _ in range(case.num_epochs):
        for rows in torch.randperm(len(data)).split(case.batch_size):
            step(data[rows])
    return 1e3 * (now(data.device) - begin) / case.num_steps


def by_fit(case: Case, data: Tensor, compile: bool | str) -> tuple[float, float]:
    """Milliseconds a step, and seconds that the first two steps took, in which a record is made and tried."""
    taken: list[float] = []
    step = TrainStep.__call__

    def timed_step(self: TrainStep, index: Tensor) -> None:
        begin = now(data.device)
        step(self, index)
        taken.append(now(data.device) - begin)

    TrainStep.__call__ = timed_step  # type: ignore[method-assign]
    try:
        sizes = {"num_epochs": case.num_epochs, "batch_size": case.batch_size}
        fit(*case.programs(), data, compile=compile, device=data.device, progress=False, **sizes)
    finally:
        TrainStep.__call__ = step  # type: ignore[method-assign]
    return 1e3 * sum(taken[2:]) / len(taken[2:]), sum(taken[:2])


def main() -> None:
    """Print the milliseconds and the ratios of interleaved repeats."""
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--shorter", type=int, default=1, help="one in so many epochs")
    options = parsed(made, quick={"repeats": 1, "shorter": 4}, long={"repeats": 7})
    rows = [row for case in CASES for row in compared(case, options)]
    report("svi_step", "A step of fit beside the same step by Pyro's SVI and by torch alone, ms", rows, options)


def compared(case: Case, options: argparse.Namespace) -> list[tuple[str, str]]:
    """Rows of a case."""
    torch.manual_seed(0)
    case = replace(case, num_epochs=case.num_epochs // options.shorter)
    data = torch.bernoulli(torch.full((case.num_data, case.num_pixels), 0.4)).to(options.device)
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        "SVI by hand": lambda: (by_svi(case, data), 0.0),
        "torch by hand": lambda: (by_hand(case, data, False), 0.0),
        "torch by hand, compiled": lambda: (by_hand(case, data, True), 0.0),
        "fit, programs run": lambda: by_fit(case, data, False),
        "fit, recorded": lambda: by_fit(case, data, "auto"),
        "fit, compiled": lambda: by_fit(case, data, True),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    first: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, way in ways.items():
            milliseconds, seconds = way()
            times[name].append(milliseconds)
            first[name].append(seconds)
    rows = [
        (
            f"{case.name}: {name}",
            f"{min(values):.2f} at best, {statistics.median(values):.2f} at the median"
            + (
                f"; the first two steps {first[name][0]:.1f} s, later {min(first[name]):.1f} s" if "fit" in name else ""
            ),
        )
        for name, values in times.items()
    ]
    for ours in ("fit, recorded", "fit, compiled"):
        for theirs in ("SVI by hand", "torch by hand, compiled"):
            ratios = [a / b for a, b in zip(times[ours], times[theirs], strict=True)]
            rows.append((f"{case.name}: {ours} / {theirs}", f"{statistics.median(ratios):.2f} at the median"))
    return rows


if __name__ == "__main__":
    main()
