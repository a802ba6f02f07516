"""How many images does a bracket settle in a given time, and is it right? MNIST VAE 784-200-200-50, test images.

Bars: both sides for all, 95 of 100 settled within 0.1 nat, the budget kept within 1.2; none of the settled more than
four standard errors and 0.1 nat away from annealing with 400 temperatures.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.bracket_mnist [--run DIR] [--budget 30] [--num-images 100]
"""

from collections import Counter
from pathlib import Path

import torch

from benchmarks.annealing_mnist import programs
from benchmarks.clock import timed
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.inference import Bracket, Estimate, Target, anneal, bracket

TEMPERATURES, NUM_CHAINS = 400, 16


def main() -> None:
    """Train (or load), bracket the first images, and hold both sides against annealing."""
    made = parser(__doc__, threads=1)
    made.add_argument("--run", type=Path, help="run directory of a model trained before; default: train one")
    made.add_argument("--epochs", type=int, default=5)
    made.add_argument("--num-images", type=int, default=100)
    made.add_argument("--budget", type=float, default=30.0)
    options = parsed(made, quick={"epochs": 1, "num_images": 10, "budget": 8.0})
    model, guide, test = programs(options.run, options.epochs, options.device)
    target = Target(model, guide, test[: options.num_images])
    found, seconds, cpu = timed(lambda: bracket(target, budget=options.budget), options.device)
    truth = anneal(target, num_steps=TEMPERATURES, num_chains=NUM_CHAINS, search=False)
    report(
        "bracket_mnist",
        f"Brackets of {len(target)} MNIST test images in {options.budget:g} s, {options.epochs} epochs, nats per image",
        [
            ("seconds, and of the processor", f"{seconds:.1f}, {cpu:.1f}"),
            ("both sides; settled within 0.1 nat", f"{both_sides(found)}; {int(found.settled.sum())} of {len(target)}"),
            ("by", ", ".join(f"{name} ({n})" for name, n in Counter(map(found.method, range(len(target)))).items())),
            *compared(found, truth),
        ],
        options,
    )


def compared(found: Bracket, truth: Estimate) -> list[tuple[str, str]]:
    """The settled images against annealing, of the first that were annealed."""
    data = found.settled[: len(truth)].nonzero().flatten()
    lower, upper = found.lower.value[data], found.upper.value[data]
    more = lower - truth.value[data]
    error = torch.hypot(found.lower.stderr[data], truth.stderr[data])
    off = (more.abs() > 4 * error + 0.1).sum()
    return [
        ("settled: mean of lower and upper side", f"{float(lower.mean()):.4f}, {float(upper.mean()):.4f}"),
        ("largest distance of the sides", f"{float((upper - lower).abs().max()):.3f}"),
        (f"lower side less annealing, {TEMPERATURES} temperatures", f"{float(more.mean()):+.4f} ± {_error(error):.4f}"),
        ("… in standard errors: mean, sd", f"{float((more / error).mean()):+.2f}, {float((more / error).std()):.2f}"),
        ("settled and more than four of these and 0.1 nat off", str(int(off))),
    ]


def both_sides(found: Bracket) -> int:
    """How many data have a number on either side."""
    return int((found.lower.value.isfinite() & found.upper.value.isfinite()).sum())


def _error(stderr: torch.Tensor) -> float:
    return float(stderr.square().sum().sqrt() / len(stderr))


if __name__ == "__main__":
    main()
