"""How good does the textbook MNIST VAE become by `fit`? 784-200-200-50, dynamic binarisation, 100 epochs if `--long`.

Run with MNIST in ELBOWROOM_DATA: python -m benchmarks.mnist_vae [--long] [--epochs 100] [--device cuda]
"""

from functools import partial

import torch

from benchmarks.clock import timed
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, importance
from elbowroom.inference.weights import K_LIMIT
from elbowroom.models import VAE


def initialise(model: VAE, guide: AmortizedNormal, mean: torch.Tensor) -> None:
    """Glorot weights, zero biases, and output biases at the pixels' log-odds, as the IWAE paper's code does."""
    layers = [layer for program in (model, guide) for layer in program.modules() if isinstance(layer, torch.nn.Linear)]
    for layer in layers:
        torch.nn.init.xavier_uniform_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    outputs = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        outputs.bias.copy_(torch.logit(mean.clamp(1e-3, 1 - 1e-3)))


def main() -> None:
    """Train, then estimate log p(x) of test images by importance sampling: of all 10,000 in the long form."""
    made = parser(__doc__)
    made.add_argument("--epochs", type=int, default=8)
    made.add_argument("--activation", default="tanh")
    made.add_argument("--learning-rate", type=float, default=1e-3)
    made.add_argument("--num-samples", type=int, default=200)
    made.add_argument("--num-images", type=int, default=5000)
    published = {"epochs": 100, "num_samples": 1000, "num_images": 10_000}
    options = parsed(made, quick={"epochs": 1, "num_samples": 50, "num_images": 1000}, long=published)
    data = load("mnist", binarize="dynamic")
    train = torch.cat([data.train, data.validation])  # the published protocol trains on all 60,000
    torch.manual_seed(0)
    model = VAE(784, 50, (200, 200), activation=options.activation)
    guide = AmortizedNormal(784, 50, (200, 200), activation=options.activation)
    initialise(model, guide, train.mean(0))
    trained = fit(
        model,
        guide,
        train,
        num_epochs=options.epochs,
        batch_size=100,
        learning_rate=options.learning_rate,
        schedule="cosine",
        prepare=data.prepare,
        device=options.device,
    )
    target = Target(model.eval(), guide.eval(), data.test[: options.num_images].to(options.device))
    sizes = {"num_samples": options.num_samples, "memory_bytes": 2**30}
    estimate, seconds, _ = timed(partial(importance, target, progress=True, **sizes), options.device)
    value, stderr = estimate.mean()
    report(
        "mnist_vae",
        f"MNIST VAE 784-200-200-50 ({options.activation}, learning rate {options.learning_rate:g} to 0), "
        f"{options.epochs} epochs by fit, dynamic binarisation",
        [
            ("importance-sampled NLL, test, nats", f"{-value:.2f} ± {stderr:.3f} ({options.num_samples} samples)"),
            ("ELBO, test, nats", f"{estimate.info['elbo'].mean():.2f}"),
            (f"data flagged (Pareto k̂ > {K_LIMIT})", f"{sum(map(bool, estimate.flags))} of {len(estimate)}"),
            ("training", f"{trained.seconds:.0f} s, {1000 * trained.seconds / trained.num_steps:.2f} ms a step"),
            (
                "importance sampling",
                f"{seconds:.0f} s, {len(estimate) * options.num_samples / seconds / 1e3:.0f}k a second",
            ),
        ],
        options,
    )


if __name__ == "__main__":
    main()
