"""The published table of MNIST VAEs by `fit`, with brackets in the place of single bounds. 784-200-200-50, tanh.

For each row the size of batches and the learning rate are chosen on validation images (trainings on the training part,
as long or of 100 epochs, log p(x) by importance sampling), and then whether the KL term is warmed up for a fifth of the
epochs; the pair is trained on all 60,000 images, as the published protocol has it: dynamic binarisation, a cosine from
the rate to 0. log p(x) of all 10,000 test images is importance-sampled, as in the papers, and of the first 1000 it is
bracketed. Published (Burda, Grosse & Salakhutdinov 2016, table 1): 3280 epochs, 5000 samples. Runs go on from where
they are in --run; rows are reported as they are done, and those of earlier calls stay.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.mnist_tables --run DIR [--rows VAE IWAE-50] [--epochs 100]
"""

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.clock import joules, timed
from benchmarks.equal_steps_mnist import LAYERS, PLAIN, WIDTHS, programs
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import Dataset, load
from elbowroom.guides import FlowGuide
from elbowroom.inference import Bracket, Estimate, Fit, Target, bracket, fit, importance

NUM_SAMPLES, NUM_BRACKETED = 1000, 1000
RATES = {20: (5e-4, 1e-3, 2e-3), 100: (1e-3, 2e-3, 4e-3)}  # by size of batches
WARM_UP = 0.2  # of the epochs
NUM_TRIED = 1000  # validation images by which a setting is chosen
_MOST_TRIED = 100  # epochs; of a third of them the highest rates and a warm-up are best, which then are not
FLOW = "flow guide"


@dataclass(frozen=True)
class Row:
    """A pair, its objective, and what was published of it: −log p(x) of test images after 3280 epochs.

    `begun` is the share of the epochs that climb the ELBO first, with a schedule of their own.
    """

    programs: str
    published: str
    objective: dict[str, Any] = field(default_factory=dict)
    begun: float = 0.0


ROWS: dict[str, Row] = {
    "VAE": Row(PLAIN, "86.76"),
    "IWAE-5": Row(PLAIN, "85.54", {"loss": "IWAE", "num_particles": 5}),
    "IWAE-50": Row(PLAIN, "84.78", {"loss": "IWAE", "num_particles": 50}),
    "VAE, then IWAE-50": Row(PLAIN, "84.78 by IWAE-50 alone", {"loss": "IWAE", "num_particles": 50}, begun=0.75),
    "DReG-50": Row(PLAIN, "not published", {"loss": "DReG", "num_particles": 50}),
    "two layers": Row(LAYERS, "85.33"),
    "two layers, IWAE-50": Row(LAYERS, "82.90", {"loss": "IWAE", "num_particles": 50}),
    FLOW: Row(FLOW, "not published (two inverse autoregressive steps)"),
}


@dataclass(frozen=True)
class Setting:
    """What is chosen on validation images; `warm_up` is the share of the epochs that warm the KL term up."""

    batch_size: int
    rate: float
    warm_up: float = 0.0

    def __str__(self) -> str:
        warmed = f" with a warm-up of {self.warm_up:.0%}" if self.warm_up else ""
        return f"{self.rate:g} in batches of {self.batch_size}{warmed}"


@dataclass(frozen=True)
class Trained:
    """A trained pair on test images; `energy` of the training in joules, None where there is no meter.

    `fits` are the trainings, one after the other.
    """

    fits: tuple[Fit, ...]
    target: Target
    energy: float | None


def main() -> None:
    """Rows in turn, each in a section of its own."""
    made = parser(__doc__, usual="long")
    made.add_argument("--run", type=Path, default=Path("runs/mnist_tables"), help="where the runs are kept and resumed")
    made.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    made.add_argument("--epochs", type=int, default=100)
    made.add_argument(
        "--tried-epochs", type=int, help="of each setting, to choose one; default: as --epochs, up to 100"
    )
    made.add_argument("--rate", type=float, help="the learning rate, if none is to be chosen")
    made.add_argument("--batch-size", type=int, default=100, help="with --rate")
    made.add_argument("--warm-up", type=float, default=0.0, help="with --rate: share of the epochs")
    made.add_argument("--num-samples", type=int, default=NUM_SAMPLES, help="of each test image")
    made.add_argument("--num-bracketed", type=int, default=NUM_BRACKETED, help="of the test images")
    made.add_argument("--budget", type=float, default=300.0, help="seconds of the bracket")
    options = parsed(made, quick={"rows": ["VAE"], "epochs": 1, "rate": 1e-3, "num_samples": 20, "num_bracketed": 5})
    data = load("mnist", binarize="dynamic")
    for name in options.rows:
        setting, tried = given_setting(name, options) if options.rate else best_setting(name, data, options)
        images = torch.cat([data.train, data.validation])
        place = options.run / f"{_slug(name)}-{options.epochs}-{_slug(str(setting))}"
        pair = trained_on(images, name, setting, options.epochs, data, options.device, place)
        sampled, seconds, _ = timed(
            lambda pair=pair: importance(
                pair.target, num_samples=options.num_samples, memory_bytes=2**30, search=False, compile=True
            ),
            options.device,
        )
        first = pair.target.select(range(options.num_bracketed))
        sides = bracket(first, budget=options.budget, state=place / "bracket.safetensors")
        report(
            f"mnist_tables_{_slug(name)}_{options.epochs}",
            f"MNIST, {name}, 784-200-200-50, {options.epochs} epochs: −log p(x), nats",
            [*how(name, setting, tried, pair), *what(sampled, seconds, sides, options)],
            options,
        )


def given_setting(name: str, options: argparse.Namespace) -> tuple[Setting, str]:
    """That of the command line."""
    return Setting(options.batch_size, options.rate, options.warm_up if _has_kl(name) else 0.0), "given"


def best_setting(name: str, data: Dataset, options: argparse.Namespace) -> tuple[Setting, str]:
    """The setting with the highest log p(x) of validation images, and what all had."""
    found: dict[Setting, float] = {}
    epochs = options.tried_epochs or min(options.epochs, _MOST_TRIED)

    def tried(setting: Setting) -> None:
        place = options.run / f"{_slug(name)}-tried-{epochs}-{_slug(str(setting))}"
        target = trained_on(data.train, name, setting, epochs, data, options.device, place).target
        some = Target(target.model, target.guide, data.validation[:NUM_TRIED].to(options.device))
        found[setting] = importance(some, num_samples=NUM_SAMPLES, search=False, compile=True).mean()[0]
        print(f"{name}: {setting} after {epochs} epochs: {-found[setting]:.2f}", flush=True)

    def best() -> Setting:
        return max(found, key=lambda s: found[s])

    for batch_size, rates in RATES.items():
        for rate in rates:
            tried(Setting(batch_size, rate))
    if _has_kl(name):
        tried(replace(best(), warm_up=WARM_UP))
    told = ", ".join(f"{setting}: {-value:.2f}" for setting, value in found.items())
    return best(), f"validation after {epochs} epochs, {told}"


def trained_on(
    images: torch.Tensor,
    name: str,
    setting: Setting,
    num_epochs: int,
    data: Dataset,
    device: torch.device,
    place: Path,
) -> Trained:
    """A trained pair, or the rest of its training if it was begun, and test images for it."""
    row = ROWS[name]
    model, guide = pair_of(row.programs, data.train.mean(0))
    first = min(round(row.begun * num_epochs), num_epochs - 1)
    before = place.with_name(f"{place.name}-begun")
    stages: list[tuple[int, dict[str, Any], Path]] = [(first, {}, before)] if first else []
    begin = joules()
    fits = tuple(
        fit(
            model,
            guide,
            images,
            num_epochs=epochs,
            batch_size=setting.batch_size,
            learning_rate=setting.rate,
            schedule="cosine",
            warmup_epochs=setting.warm_up * epochs,
            prepare=data.prepare,
            run_dir=run_dir,
            resume=True,
            compile=True,
            device=device,
            **objective,
        )
        for epochs, objective, run_dir in [*stages, (num_epochs - first, row.objective, place)]
    )
    end = joules()
    spent = None if begin is None or end is None or end < begin else end - begin
    return Trained(fits, Target(model.eval(), guide.eval(), data.test.to(device)), spent)


def pair_of(name: str, mean: torch.Tensor) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A new pair; flows begin as they are made, all else as in `equal_steps_mnist`."""
    if name != FLOW:
        return programs(name, mean)
    model, _ = programs(PLAIN, mean)
    return model, FlowGuide(784, 50, kind="iaf", num_transforms=2, transform_hidden=(200,), **WIDTHS)


def how(name: str, setting: Setting, tried: str, pair: Trained) -> list[tuple[str, str]]:
    """The lines on how a row was trained."""
    energy = pair.energy
    spent = "no meter" if energy is None else f"{energy / 1000:.0f} kJ of the processor"
    return [
        ("published after 3280 epochs", ROWS[name].published),
        ("learning rate", f"{setting} ({tried})"),
        ("training", "; then ".join(map(_told, pair.fits))),
        ("energy of the training in this call", spent),
    ]


def what(sampled: Estimate, seconds: float, sides: Bracket, options: argparse.Namespace) -> list[tuple[str, str]]:
    """The lines on how good it is."""
    value, error = sampled.mean()
    both = sides.lower.value.isfinite() & sides.upper.value.isfinite()
    lower, upper = (f"{-side.value[both].mean():.3f} ± {_error(side, both):.3f}" for side in (sides.lower, sides.upper))
    same = sampled.value[: len(sides)][both.to(sampled.value.device)].mean()
    return [
        ("ELBO", f"{-sampled.info['elbo'].mean():.2f}"),
        (
            f"{options.num_samples} importance samples of {len(sampled)} images",
            f"{-value:.2f} ± {error:.3f}, {sum(map(bool, sampled.flags))} flagged, {seconds:.0f} s",
        ),
        (
            f"bracket of {len(sides)} images in {options.budget:g} s",
            f"{upper} to {lower} of {int(both.sum())} with both sides (importance samples of these: "
            f"{-same:.2f}); {int(sides.settled.sum())} settled",
        ),
    ]


def _told(trained: Fit) -> str:
    """How long a training took."""
    seconds, steps = trained.seconds, trained.num_steps
    made = "in an earlier call" if trained.steps == "none" else trained.steps
    return f"{steps} steps of {trained.loss} in {seconds:.0f} s, {1000 * seconds / steps:.2f} ms a step; {made}"


def _error(side: Estimate, chosen: torch.Tensor) -> float:
    """Of the mean over the chosen data."""
    return float(side.stderr[chosen].square().sum().sqrt() / chosen.sum())


def _has_kl(name: str) -> bool:
    return not ROWS[name].objective


def _slug(name: str) -> str:
    return name.replace(" ", "-").replace(",", "").replace("%", "")


if __name__ == "__main__":
    main()
