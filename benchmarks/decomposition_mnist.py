"""What does it take to say where the room of 1000 MNIST images comes from? VAE 784-200-200-50.

Bars: mean-field, full covariance and log p(x) by annealing within 10 minutes on 2 cores; a ladder that never falls;
terms that add up; cost linear in the number of data.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.decomposition_mnist [--long] [--run DIR] [--num-images 1000]
"""

from pathlib import Path

from benchmarks.annealing_mnist import programs
from benchmarks.clock import forget_peak, peak_bytes
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.inference import Decomposition, Estimate, Target, decompose, importance
from elbowroom.inference.weights import K_LIMIT

FAMILIES = ("mean-field", "full covariance")


def main() -> None:
    """Train (or load), decompose a part and then all of the images, and weigh from the refined guide."""
    made = parser(__doc__)
    made.add_argument("--run", type=Path, help="run directory of a model trained before; default: train one")
    made.add_argument("--epochs", type=int, default=5)
    made.add_argument("--num-images", type=int, default=200)
    options = parsed(made, quick={"epochs": 1, "num_images": 8}, long={"epochs": 20, "num_images": 1000})
    model, guide, test = programs(options.run, options.epochs, options.device)
    forget_peak(options.device)
    part = decompose(Target(model, guide, test[: options.num_images // 4]), families=FAMILIES)
    print(f"{len(part)} images: {part.seconds:.1f} s", flush=True)
    before = peak_bytes(options.device)
    target = Target(model, guide, test[: options.num_images])
    found = decompose(target, families=FAMILIES)
    peak = peak_bytes(options.device) - before
    print(f"{len(found)} images: {found.seconds:.1f} s", flush=True)
    rows = [(f"ELBO, {name}", _mean(rung)) for name, rung in found.ladder.items()]
    rows += [("log p(x), annealed from full covariance", _mean(found.log_p))]
    rows += [(name, _mean(getattr(found, name))) for name in ("amortization", "optimisation", "approximation")]
    few = target.select(range(min(200, len(target))))
    weighed = {
        "the encoder": importance(few, num_samples=1000),
        "full covariance": importance(found.refined.target().select(range(len(few))), num_samples=1000),
    }
    rows += [(f"importance sampling from {name}, first {len(few)}", _weighed(e)) for name, e in weighed.items()]
    rows += [
        ("smallest step of the ladder, any image", f"{min(float(g.value.min()) for g in found.gains.values()):.4f}"),
        ("terms less log p(x) − ELBO, largest", f"{_off(found):.1e}"),
        ("largest standard error of a term, any image", f"{_largest_error(found):.3f}"),
        ("seconds", f"{found.seconds:.0f} for {len(found)} images, {part.seconds:.0f} for the first {len(part)}"),
        ("evaluations of an image, annealing left out", f"{float(found.num_evaluations.double().mean()):.0f}"),
        ("memory beyond that of the smaller run", f"{peak / 2**20:.0f} MiB"),
    ]
    report(
        "decomposition_mnist",
        f"Where the room of {len(found)} MNIST test images comes from, nats per image (mean ± error for these images)",
        rows,
        options,
    )


def _mean(estimate: Estimate) -> str:
    value, error = estimate.mean()
    return f"{value:.4f} ± {error:.4f}"


def _weighed(estimate: Estimate) -> str:
    heavy = int((estimate.info["pareto_k"] > K_LIMIT).sum())
    return f"{_mean(estimate)}; {heavy} of {len(estimate)} beyond k̂ = {K_LIMIT}"


def _off(found: Decomposition) -> float:
    total = found.elbo.value + found.amortization.value + found.optimisation.value + found.approximation.value
    return float((total - found.log_p.value).abs().max())


def _largest_error(found: Decomposition) -> float:
    terms = (found.elbo, found.amortization, found.optimisation, found.approximation)
    return max(float(term.stderr.max()) for term in terms)


if __name__ == "__main__":
    main()
