"""The published table of MNIST VAEs by `fit`, with brackets in the place of single bounds. 784-200-200-50, tanh.

For each row the learning rate is chosen on the validation images (a short training on the training images, log p(x) by
importance sampling), then the pair is trained on all 60,000 images, as the published protocol has it: dynamic
binarisation, batches of 100, a cosine from the rate to 0. log p(x) of all 10,000 test images is importance-sampled, as
in the papers, and of the first 1000 it is bracketed. Published (Burda, Grosse & Salakhutdinov 2016, table 1): 3280
epochs, 5000 samples. Runs go on from where they are in --run; rows are reported as they are done.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.mnist_tables --run DIR [--rows VAE IWAE-50] [--epochs 100]
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.equal_steps_mnist import LAYERS, PLAIN, programs
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import Dataset, load
from elbowroom.inference import Bracket, Estimate, Fit, Target, bracket, fit, importance

BATCH_SIZE, NUM_SAMPLES, NUM_BRACKETED = 100, 1000, 1000
RATES = (5e-4, 1e-3, 2e-3, 4e-3)
NUM_TRIED = 1000  # validation images by which a rate is chosen


@dataclass(frozen=True)
class Row:
    """A pair, its objective, and what was published of it: −log p(x) of test images after 3280 epochs."""

    programs: str
    published: str
    objective: dict[str, Any] = field(default_factory=dict)


ROWS: dict[str, Row] = {
    "VAE": Row(PLAIN, "86.76"),
    "IWAE-5": Row(PLAIN, "85.54", {"loss": "IWAE", "num_particles": 5}),
    "IWAE-50": Row(PLAIN, "84.78", {"loss": "IWAE", "num_particles": 50}),
    "DReG-50": Row(PLAIN, "not published", {"loss": "DReG", "num_particles": 50}),
    "two layers": Row(LAYERS, "85.33"),
    "two layers, IWAE-50": Row(LAYERS, "82.90", {"loss": "IWAE", "num_particles": 50}),
}


def main() -> None:
    """Rows in turn."""
    made = parser(__doc__, usual="long")
    made.add_argument("--run", type=Path, default=Path("runs/mnist_tables"), help="where the runs are kept and resumed")
    made.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    made.add_argument("--epochs", type=int, default=100)
    made.add_argument("--tried-epochs", type=int, default=10, help="of each learning rate, to choose one")
    made.add_argument("--rate", type=float, help="the learning rate, if none is to be chosen")
    made.add_argument("--num-samples", type=int, default=NUM_SAMPLES, help="of each test image")
    made.add_argument("--num-bracketed", type=int, default=NUM_BRACKETED, help="of the test images")
    made.add_argument("--budget", type=float, default=300.0, help="seconds of the bracket")
    options = parsed(made, quick={"rows": ["VAE"], "epochs": 1, "rate": 1e-3, "num_samples": 20, "num_bracketed": 5})
    data, done = load("mnist", binarize="dynamic"), []
    for name in options.rows:
        rate, tried = (options.rate, "") if options.rate else chosen_rate(name, data, options)
        images = torch.cat([data.train, data.validation])
        place = options.run / f"{_slug(name)}-{options.epochs}-{rate:g}"
        trained, target = trained_on(images, name, rate, options.epochs, data, options.device, place)
        begin = time.perf_counter()
        sampled = importance(target, num_samples=options.num_samples, memory_bytes=2**30, search=False)
        seconds = time.perf_counter() - begin
        first = target.select(range(options.num_bracketed))
        sides = bracket(first, budget=options.budget, state=place / "bracket.safetensors")
        done += told(name, rate, tried, trained, sampled, seconds, sides, options)
        epochs = f"{options.epochs} epochs of batches of {BATCH_SIZE}"
        report("mnist_tables", f"MNIST, 784-200-200-50, {epochs}, −log p(x) of test images, nats", done, options)


def chosen_rate(name: str, data: Dataset, options: argparse.Namespace) -> tuple[float, str]:
    """The learning rate with the highest log p(x) of validation images after a few epochs, and what all had."""
    found: dict[float, float] = {}
    for rate in RATES:
        place = options.run / f"{_slug(name)}-tried-{options.tried_epochs}-{rate:g}"
        _, target = trained_on(data.train, name, rate, options.tried_epochs, data, options.device, place)
        some = Target(target.model, target.guide, data.validation[:NUM_TRIED].to(options.device))
        found[rate] = importance(some, num_samples=NUM_SAMPLES, search=False).mean()[0]
        print(f"{name}: rate {rate:g} after {options.tried_epochs} epochs: {-found[rate]:.2f}", flush=True)
    told = ", ".join(f"{rate:g}: {-value:.2f}" for rate, value in found.items())
    return max(found, key=lambda rate: found[rate]), f"validation after {options.tried_epochs} epochs, {told}"


def trained_on(
    images: torch.Tensor, name: str, rate: float, num_epochs: int, data: Dataset, device: torch.device, place: Path
) -> tuple[Fit, Target]:
    """A trained pair, or the rest of its training if it was begun, and test images for it."""
    row = ROWS[name]
    model, guide = programs(row.programs, data.train.mean(0))
    trained = fit(
        model,
        guide,
        images,
        num_epochs=num_epochs,
        batch_size=BATCH_SIZE,
        learning_rate=rate,
        schedule="cosine",
        prepare=data.prepare,
        run_dir=place,
        resume=True,
        compile=True,
        device=device,
        **row.objective,
    )
    return trained, Target(model.eval(), guide.eval(), data.test.to(device))


def told(
    name: str,
    rate: float,
    tried: str,
    trained: Fit,
    sampled: Estimate,
    seconds: float,
    sides: Bracket,
    options: argparse.Namespace,
) -> list[tuple[str, str]]:
    """The lines of a row."""
    value, error = sampled.mean()
    settled = sides.settled
    both = sides.lower.value.isfinite() & sides.upper.value.isfinite()
    lower, upper = (float(side.value[both].mean()) for side in (sides.lower, sides.upper))
    return [
        (f"{name}: published after 3280 epochs", ROWS[name].published),
        (f"{name}: learning rate", f"{rate:g}" + (f" ({tried})" if tried else "")),
        (f"{name}: ELBO", f"{-sampled.info['elbo'].mean():.2f}"),
        (
            f"{name}: {options.num_samples} importance samples of {len(sampled)} images",
            f"{-value:.2f} ± {error:.3f}, {sum(map(bool, sampled.flags))} flagged, {seconds:.0f} s",
        ),
        (
            f"{name}: bracket of {len(sides)} images in {options.budget:g} s",
            f"{-upper:.3f} to {-lower:.3f} of {int(both.sum())} with both sides; {int(settled.sum())} settled",
        ),
        (
            f"{name}: training",
            f"{trained.seconds:.0f} s, {1000 * trained.seconds / trained.num_steps:.2f} ms a step, {trained.steps}",
        ),
    ]


def _slug(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")


if __name__ == "__main__":
    main()
