"""The digits VAE with 2 latents: how fast, how good, and does importance sampling agree with the exact log p(x)?

Bars: held-out ELBO of at least -20.0 nats within 30 s on 2 cores; importance sampling (5000 samples) within 4 standard
errors of quadrature for at least 97 % of the 360 held-out digits; quadrature of all of them within 30 s.
"""

from functools import partial

import torch

from benchmarks.clock import CPU, timed
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.commands.options import Programs, Training
from elbowroom.commands.programs import build
from elbowroom.commands.registered import kind_of
from elbowroom.commands.runs import sizes_of
from elbowroom.datasets import load
from elbowroom.inference import Fit, Target, fit, importance, quadrature

EPOCHS = 350  # what 3500 steps make of the digits


def main() -> None:
    """Train with the command line's defaults for a few seeds, and measure."""
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=2, help="how many")
    made.add_argument("--epochs", type=int, default=EPOCHS)
    made.add_argument("--num-samples", type=int, default=5000)
    options = parsed(made, quick={"seeds": 1, "epochs": 20, "num_samples": 1000}, long={"seeds": 5})
    rows = []
    for seed in range(options.seeds):
        trained, target = by_defaults(seed, options.epochs, options.device)
        sampled, sampling, _ = timed(partial(importance, target, num_samples=options.num_samples), options.device)
        exact, summing, _ = timed(partial(quadrature, target), options.device)
        value, stderr, elbo = (each.cpu() for each in (sampled.value, sampled.stderr, sampled.info["elbo"]))
        off = ((value - exact.value) / stderr).abs() > 4
        unnamed = sum(1 for o, flag in zip(off.tolist(), sampled.flags, strict=True) if o and not flag)
        room = exact.value - elbo
        rows += [
            (f"seed {seed}: training", f"{trained.seconds:.1f} s, {trained.num_steps} steps"),
            (f"seed {seed}: held-out ELBO, nats", f"{elbo.mean():.3f}"),
            (
                f"seed {seed}: exact log p(x), nats",
                f"{exact.mean()[0]:.3f}; room {room.mean():.3f}, largest {room.max():.2f}",
            ),
            (
                f"seed {seed}: importance within 4 standard errors",
                f"{100 * (1 - off.double().mean()):.1f} % ({int(off.sum())} off, {unnamed} of them not flagged)",
            ),
            (f"seed {seed}: seconds for 360 digits", f"importance {sampling:.1f}, quadrature {summing:.1f}"),
            (
                f"seed {seed}: largest error of quadrature, nats",
                f"{exact.stderr.max():.1e}, {sum(map(bool, exact.flags))} flagged",
            ),
        ]
    title = "Digits VAE (64-128-128-2-64-64-64, softplus), the command line's defaults"
    report("digits", title, rows, options)


def by_defaults(seed: int, num_epochs: int = EPOCHS, device: torch.device = CPU) -> tuple[Fit, Target]:
    """The VAE of the command line's defaults, trained, on the held-out digits."""
    data, chosen = load("digits", binarize="threshold"), Training()
    model, guide = build(Programs(), sizes_of(data, kind_of(Programs())), seed)
    trained = fit(
        model,
        guide,
        data.train,
        validation=data.validation,
        num_epochs=num_epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        schedule=chosen.schedule,
        seed=seed,
        device=device,
    )
    return trained, Target(model.eval(), guide.eval(), data.test.to(device))


if __name__ == "__main__":
    main()
