"""The digits VAE with 2 latents: how fast, how good, and does importance sampling agree with the exact log p(x)?

Bars: held-out ELBO of at least -20.0 nats within 30 s on 2 cores; importance sampling (5000 samples) within 4 standard
errors of quadrature for at least 97 % of the 360 held-out digits; quadrature of all of them within 30 s.
"""

import time

import torch

from benchmarks.results import report
from elbowroom.commands.options import Data, Programs, Training
from elbowroom.commands.programs import build
from elbowroom.datasets import load
from elbowroom.inference import Target, fit, importance, quadrature


def main() -> None:
    """Train with the command line's defaults for a few seeds, and measure."""
    data = load("digits", binarize=Data().binarize)
    chosen = Training()
    rows = []
    for seed in range(3):
        model, guide = build(Programs(), data.train.shape[1], seed)
        trained = fit(
            model,
            guide,
            data.train,
            validation=data.validation,
            num_epochs=chosen.epochs,
            batch_size=chosen.batch_size,
            learning_rate=chosen.learning_rate,
            schedule=chosen.schedule,
            seed=seed,
        )
        target = Target(model.eval(), guide.eval(), data.test)
        begin = time.perf_counter()
        sampled = importance(target, num_samples=5000)
        middle = time.perf_counter()
        exact = quadrature(target)
        end = time.perf_counter()
        off = ((sampled.value - exact.value) / sampled.stderr).abs() > 4
        unnamed = sum(1 for o, flag in zip(off.tolist(), sampled.flags, strict=True) if o and not flag)
        room = exact.value - sampled.info["elbo"]
        rows += [
            (f"seed {seed}: training", f"{trained.seconds:.1f} s, {trained.num_steps} steps"),
            (f"seed {seed}: held-out ELBO, nats", f"{sampled.info['elbo'].mean():.3f}"),
            (
                f"seed {seed}: exact log p(x), nats",
                f"{exact.mean()[0]:.3f}; room {room.mean():.3f}, largest {room.max():.2f}",
            ),
            (
                f"seed {seed}: importance within 4 standard errors",
                f"{100 * (1 - off.double().mean()):.1f} % ({int(off.sum())} off, {unnamed} of them not flagged)",
            ),
            (f"seed {seed}: seconds for 360 digits", f"importance {middle - begin:.1f}, quadrature {end - middle:.1f}"),
            (
                f"seed {seed}: largest error of quadrature, nats",
                f"{exact.stderr.max():.1e}, {sum(map(bool, exact.flags))} flagged",
            ),
        ]
    torch.manual_seed(0)
    report("digits", "Digits VAE (64-128-128-2-64-64-64, softplus), the command line's defaults", rows)


if __name__ == "__main__":
    main()
