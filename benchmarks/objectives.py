"""What do objectives other than the ELBO bring on the binarised digits? The same programs, epochs and learning rates.

With ten latents: sticking the landing, and the importance-weighted bound of ten draws by its own and by doubly
reparameterised gradients, against the ELBO; log p(x) of the test digits is annealed from the guide (a lower bound in
expectation). With two: maximum likelihood by a lattice against the ELBO; log p(x) by quadrature. Differences are paired
by digit, with 95 % intervals over digits. Bars: exact maximum likelihood and the importance-weighted bound leave the
better models (in a trial, −17.60 against −18.44 with two latents); where K draws are weighed the ELBO gets worse.
"""

import argparse
from typing import Any, NamedTuple

import torch

from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import Dataset, load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Estimate, Target, anneal, fit, importance, quadrature
from elbowroom.models import VAE

ELBO, EXACT = "ELBO", "exact"
TEN: dict[str, dict[str, Any]] = {
    ELBO: {},
    "STL": {"loss": "STL"},
    "IWAE, K = 10": {"loss": "IWAE", "num_particles": 10},
    "DReG, K = 10": {"loss": "DReG", "num_particles": 10},
}
TWO: dict[str, dict[str, Any]] = {
    ELBO: {},
    EXACT: {"loss": "exact", "loss_options": {"points": 32, "half_width": 4.0}},
}
TRAINING = {"learning_rate": 3e-3, "schedule": "cosine", "progress": False}


class Measured(NamedTuple):
    """Of one trained pair: log p(x) and the ELBO of each test digit, and how long a training step took."""

    log_p: Estimate
    elbo: torch.Tensor
    step_seconds: float


def main() -> None:
    """Train each with each seed, and set log p(x) beside the ELBO's, digit by digit."""
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, nargs="+", default=[0], help="with ten latents")
    made.add_argument("--lattice-seeds", type=int, nargs="+", default=[0], help="with two")
    made.add_argument("--epochs", type=int, nargs=2, default=[30, 30], help="of ten latents, and of two")
    made.add_argument("--num-temperatures", type=int, default=50)
    made.add_argument("--num-digits", type=int, default=100, help="of the test digits")
    whole = {"seeds": [0, 1], "lattice_seeds": [0, 1], "epochs": [100, 350], "num_temperatures": 100, "num_digits": 360}
    options = parsed(made, quick={"epochs": [2, 1], "num_temperatures": 5, "num_digits": 20}, long=whole)
    data = load("digits", binarize="threshold")
    rows = []
    for seed in options.seeds:
        found = {name: with_ten(data, seed, options, loss) for name, loss in TEN.items()}
        rows += [row for name in TEN for row in _rows("10 latents", name, seed, found)]
    for seed in options.lattice_seeds:
        found = {name: with_two(data, seed, options, loss) for name, loss in TWO.items()}
        rows += [row for name in TWO for row in _rows("2 latents", name, seed, found)]
    ten, two = options.epochs
    title = (
        f"Objectives, {options.num_digits} digits, 64-64 units: {ten} epochs of batches of 64 with 10 latents, "
        f"log p(x) by {options.num_temperatures} temperatures from the guide; {two} of 128 with 2, by quadrature"
    )
    report("objectives", f"{title}; nats per datum", rows, options)


def with_ten(data: Dataset, seed: int, options: argparse.Namespace, loss: dict[str, Any]) -> Measured:
    """Ten latents: trained, annealed from the guide."""
    target, seconds = _trained(10, data, seed, options.epochs[0], 64, loss, options)
    elbo = importance(target, num_samples=1000, seed=1, search=False).info["elbo"]
    return Measured(anneal(target, num_steps=options.num_temperatures, search=False, seed=1), elbo, seconds)


def with_two(data: Dataset, seed: int, options: argparse.Namespace, loss: dict[str, Any]) -> Measured:
    """Two latents: trained, integrated over a lattice. Where the guide was left alone its ELBO says nothing."""
    target, seconds = _trained(2, data, seed, options.epochs[1], 128, loss, options)
    exact = quadrature(target)
    return Measured(exact, exact.info["elbo"], seconds)


def _trained(
    latent_dim: int,
    data: Dataset,
    seed: int,
    num_epochs: int,
    batch_size: int,
    loss: dict[str, Any],
    options: argparse.Namespace,
) -> tuple[Target, float]:
    torch.manual_seed(seed)
    model, guide = VAE(64, latent_dim, (64, 64)), AmortizedNormal(64, latent_dim, (64, 64))
    size = {"num_epochs": num_epochs, "batch_size": batch_size, "seed": seed, "device": options.device}
    trained = fit(model, guide, data.train, **size, **TRAINING, **loss)
    return Target(
        model.eval(), guide.eval(), data.test[: options.num_digits].to(options.device)
    ), trained.seconds / trained.num_steps


def _rows(what: str, name: str, seed: int, found: dict[str, Measured]) -> list[tuple[str, str]]:
    part = found[name]
    value, error = part.log_p.mean()
    told = [
        f"log p(x) {value:.3f} ± {error:.3f} (numerical), {sum(map(bool, part.log_p.flags))} flagged",
        "guide left alone" if name == EXACT else f"ELBO {float(part.elbo.mean()):.2f}",
        f"{1000 * part.step_seconds:.1f} ms a step",
    ]
    if name != ELBO:
        told.insert(1, f"{_interval(part.log_p.value - found[ELBO].log_p.value)} over the ELBO's")
    return [(f"{what}, seed {seed}: {name}", "; ".join(told))]


def _interval(paired: torch.Tensor) -> str:
    """The mean with its 95 % interval over digits."""
    mean, half = float(paired.mean()), 1.96 * float(paired.std()) / len(paired) ** 0.5
    return f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f})"


if __name__ == "__main__":
    main()
