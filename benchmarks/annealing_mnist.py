"""What does a guide save annealing, and how tight are its bounds? MNIST VAE 784-200-200-50, log p(x) of test images.

Bars: from the guide within 0.1 nat of 1000 temperatures from the prior at 1/8 of the cost or less; a bidirectional
bracket of at most 0.05 nat at 400 temperatures on simulated images.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.annealing_mnist [--long] [--run DIR] [--num-images 100]
"""

from pathlib import Path

import torch

from benchmarks.clock import CPU
from benchmarks.mnist_vae import initialise
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, importance, load_checkpoint
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.annealing.ais import anneal
from elbowroom.inference.evidence.annealing.reverse import bidirectional
from elbowroom.models import VAE

Row = tuple[str, str]


def main() -> None:
    """Train (or load), then estimate the same images from guide and prior, and bracket simulated ones."""
    made = parser(__doc__)
    made.add_argument("--run", type=Path, help="run directory of a model trained before; default: train one")
    made.add_argument("--epochs", type=int, default=5)
    made.add_argument("--num-images", type=int, default=40)
    made.add_argument("--num-simulated", type=int, default=20)
    made.add_argument("--num-chains", type=int, default=16)
    made.add_argument("--num-temperatures", type=int, default=1000, help="from the prior")
    made.add_argument("--compile", action="store_true")
    whole = {"epochs": 20, "num_images": 100, "num_simulated": 50}
    few = {"epochs": 1, "num_images": 3, "num_simulated": 2, "num_temperatures": 100}
    options = parsed(made, quick=few, long=whole)
    model, guide, test = programs(options.run, options.epochs, options.device)
    target = Target(model, guide, test[: options.num_images])
    sampled = importance(target, num_samples=5000, memory_bytes=2**30)
    settings = {"num_chains": options.num_chains, "compile": options.compile}
    slow = anneal(target, start="prior", num_steps=options.num_temperatures, **settings)
    rows = [
        ("importance sampling, 5000 samples", f"{_mean(sampled)}; {_flagged(sampled)}"),
        (f"AIS from the prior, {options.num_temperatures} temperatures", _line(slow, slow)),
    ]
    for steps in (50, 90, 400):
        quick = anneal(target, num_steps=steps, **settings)
        rows.append((f"AIS from the guide, {steps} temperatures", _line(quick, slow)))
    rows += _bracket(model, guide, test[: options.num_simulated], options.num_chains, options.compile)
    report(
        "annealing_mnist",
        f"log p(x) of {options.num_images} MNIST test images by annealing, {options.num_chains} chains, nats per image "
        "(mean over images ± its standard error for these images)",
        rows,
        options,
    )


def programs(run: Path | None, epochs: int, device: torch.device = CPU) -> tuple[VAE, AmortizedNormal, torch.Tensor]:
    """The textbook VAE, trained, and the binarised test images, on a device."""
    data = load("mnist", binarize="dynamic")
    train = torch.cat([data.train, data.validation])
    torch.manual_seed(0)
    model, guide = VAE(784, 50, (200, 200), activation="tanh"), AmortizedNormal(784, 50, (200, 200), activation="tanh")
    if run is not None:
        load_checkpoint(run, model, guide)
    else:
        initialise(model, guide, train.mean(0))
        settings = {"batch_size": 100, "schedule": "cosine", "prepare": data.prepare, "device": device}
        fit(model, guide, train, num_epochs=epochs, **settings)
    return model.to(device).eval(), guide.to(device).eval(), data.test.to(device)


def _bracket(model: VAE, guide: AmortizedNormal, images: torch.Tensor, num_chains: int, compile: bool) -> list[Row]:
    target, rows = Target(model, guide, images), []
    for steps in (100, 400):
        both = bidirectional(target, num_steps=steps, num_chains=num_chains, compile=compile)
        width, error = both.mean_width()
        told = f"{width:.3f} ± {error:.3f} wide (lower {_mean(both.lower)}, upper {_mean(both.upper)})"
        rows.append((f"bracket of {len(images)} simulated images, {steps} temperatures", told))
    return rows


def _line(estimate: Estimate, reference: Estimate) -> str:
    evaluations, seconds = (estimate.info[name] / reference.info[name] for name in ("num_evaluations", "seconds"))
    gap = (estimate.value - reference.value).mean()
    cost = f"{estimate.info['num_evaluations']} gradients an image ({evaluations:.3f} of the prior's)"
    clock = f"{estimate.info['seconds']:.0f} s ({seconds:.3f})"
    return f"{_mean(estimate)}; {gap:+.3f}; {cost}, {clock}, pilot chains included; {_flagged(estimate)}"


def _mean(estimate: Estimate) -> str:
    value, error = estimate.mean()
    return f"{value:.3f} ± {error:.3f}"


def _flagged(estimate: Estimate) -> str:
    return f"{sum(map(bool, estimate.flags))} of {len(estimate)} flagged"


if __name__ == "__main__":
    main()
