"""How long do brackets of ten thousand data take, and how much memory? Digits VAE with 8 latents.

The test digits are drawn again and a few of their pixels turned over, so that no two data are alike. Bars: all settled
within 0.1 nat in ten minutes, memory that does not grow with the data. How many of the first are right is asked of
annealing with 400 temperatures.

Run: python -m benchmarks.bracket_digits [--num-data 1000] [--budget 600]
"""

from collections import Counter

import torch

from benchmarks.bracket_mnist import TEMPERATURES, both_sides, compared
from benchmarks.clock import forget_peak, peak_bytes, timed
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, anneal, bracket, fit
from elbowroom.models import VAE

TURNED, NUM_CHAINS, NUM_ANNEALED = 0.02, 16, 100


def main() -> None:
    """Train, bracket, and hold the first against annealing."""
    made = parser(__doc__, threads=1)
    made.add_argument("--latents", type=int, default=8)
    made.add_argument("--epochs", type=int, default=150)
    made.add_argument("--num-data", type=int, default=1000)
    made.add_argument("--budget", type=float, default=120.0)
    options = parsed(
        made, quick={"epochs": 20, "num_data": 20, "budget": 8.0}, long={"num_data": 10_000, "budget": 600.0}
    )
    digits = load("digits", binarize="threshold")
    torch.manual_seed(0)
    model, guide = (kind(64, options.latents, hidden=(64,)) for kind in (VAE, AmortizedNormal))
    fit(
        model,
        guide,
        digits.train,
        num_epochs=options.epochs,
        learning_rate=3e-3,
        schedule="cosine",
        device=options.device,
    )
    target = Target(model.eval(), guide.eval(), drawn_again(digits.test, options.num_data).to(options.device))
    before = forget_peak(options.device)
    found, seconds, cpu = timed(lambda: bracket(target, budget=options.budget), options.device)
    more = peak_bytes(options.device) - before
    first = range(min(NUM_ANNEALED, len(target)))
    truth = anneal(target.select(first), num_steps=TEMPERATURES, num_chains=NUM_CHAINS, search=False)
    report(
        "bracket_digits",
        f"Brackets of {len(target)} digits in {options.budget:g} s, {options.latents} latents, nats per image",
        [
            ("seconds, and of the processor", f"{seconds:.1f}, {cpu:.1f}"),
            ("memory at most, beyond that before", f"{more / 2**20:.0f} MiB"),
            ("both sides; settled within 0.1 nat", f"{both_sides(found)}; {int(found.settled.sum())} of {len(target)}"),
            ("by", ", ".join(f"{name} ({n})" for name, n in Counter(map(found.method, range(len(target)))).items())),
            *((f"first {len(first)}, {what}", figure) for what, figure in compared(found, truth)),
        ],
        options,
    )


def drawn_again(images: torch.Tensor, num_data: int) -> torch.Tensor:
    """So many of these, each with a few pixels turned over."""
    generator = torch.Generator().manual_seed(0)
    x = images[torch.randint(len(images), (num_data,), generator=generator)]
    return torch.where(torch.rand(x.shape, generator=generator) < TURNED, 1 - x, x)


if __name__ == "__main__":
    main()
