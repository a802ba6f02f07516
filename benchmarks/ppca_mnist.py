"""Does `fit` reach the exact maximum likelihood of pPCA? Grey MNIST, k = 10; bar: within 0.3 nat in 60 s on 2 cores."""

import torch

from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, ExactPosterior
from elbowroom.inference import Target, fit, importance
from elbowroom.models import PPCA


def main() -> None:
    """Train by SVI, then compare the exact log p(x) of the trained model with the closed-form optimum."""
    made = parser(__doc__)
    made.add_argument("--epochs", type=int, default=30)
    made.add_argument("--num-images", type=int, default=60_000)
    options = parsed(made, quick={"epochs": 2, "num_images": 20_000})
    data = load("mnist", binarize="none")
    train = torch.cat([data.train, data.validation])[: options.num_images].to(options.device)
    mean = train.mean(0)
    x = train - mean
    best = PPCA.fit_closed_form(x.double(), 10)
    optimum = best.log_prob(x.double()).mean().item()
    torch.manual_seed(0)
    model, guide = PPCA(784, 10, sigma=0.3), AmortizedNormal(784, 10, ())
    trained = fit(
        model,
        guide,
        x,
        num_epochs=options.epochs,
        device=options.device,
        batch_size=512,
        learning_rate=3e-2,
        schedule="cosine",
        loss="TraceMeanField_ELBO",
    )
    with torch.no_grad():
        exact = model.log_prob(x).mean().item()
    target = Target(model, guide, x[:1000])
    elbo = importance(target, num_samples=100, search=False).info["elbo"].mean().item()
    weights = Target(model, ExactPosterior(model), x[:1000]).log_weights(2)
    report(
        "ppca_mnist",
        "pPCA k = 10 on grey MNIST by fit, against the closed-form maximum likelihood",
        [
            ("closed form, nats per image", f"{optimum:.3f}"),
            ("trained, exact log p(x)", f"{exact:.3f} (short of the optimum by {optimum - exact:.3f})"),
            ("trained, ELBO of the first 1000", f"{elbo:.3f}; exact there {model.log_prob(x[:1000]).mean():.3f}"),
            ("exact guide: spread of log w, nats", f"{(weights[0] - weights[1]).abs().max():.1e} (float32)"),
            ("training", f"{trained.seconds:.1f} s, {trained.num_steps} steps; sigma {model.sigma.item():.4f}"),
        ],
        options,
    )


if __name__ == "__main__":
    main()
