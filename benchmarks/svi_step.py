"""What a training step of `fit` costs beside the same step written by hand around Pyro's SVI.

Digits-sized VAE 64-64-64-2, minibatches of 128. Both sides draw a permutation an epoch, pick rows and call `SVI.step`;
`fit` also clips, weighs, schedules, watches for NaN and keeps its records. Bar: a ratio of at most 1.15.
"""

import statistics
import time

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor

from benchmarks.results import report
from elbowroom.guides import AmortizedNormal
from elbowroom.inference.training import fit
from elbowroom.models import VAE

BAR = 1.15
EPOCHS = 20
REPEATS = 9


def by_hand(data: Tensor, validation: bool) -> float:
    """Milliseconds a step, as a Pyro user writes it (`validation`: Pyro's default is on)."""
    model, guide = VAE(64, 2), AmortizedNormal(64, 2)
    with pyro.get_param_store().scope(), pyro.validation_enabled(validation):
        svi = SVI(model, guide, Adam({"lr": 1e-3}), Trace_ELBO())
        svi.step(data[:128])
        num_steps, began = 0, time.perf_counter()
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(data)).split(128):
                svi.step(data[rows])
                num_steps += 1
        return 1e3 * (time.perf_counter() - began) / num_steps


def by_fit(data: Tensor) -> float:
    """Milliseconds a step of `fit`, its bookkeeping included."""
    fitted = fit(VAE(64, 2), AmortizedNormal(64, 2), data, num_epochs=EPOCHS, clip_norm=100.0, progress=False)
    return 1e3 * fitted.seconds / fitted.num_steps


def main() -> None:
    """Print the milliseconds and the ratios of interleaved repeats."""
    torch.manual_seed(0)
    data = torch.bernoulli(torch.full((1408, 64), 0.4))
    by_hand(data, True), by_fit(data)  # imports and allocators
    times: dict[str, list[float]] = {"SVI by hand": [], "SVI by hand, validation off": [], "fit": []}
    for _ in range(REPEATS):
        times["SVI by hand"].append(by_hand(data, True))
        times["fit"].append(by_fit(data))
        times["SVI by hand, validation off"].append(by_hand(data, False))
    rows = [
        (f"{name}, ms a step", f"{min(values):.2f} at best, {statistics.median(values):.2f} at the median")
        for name, values in times.items()
    ]
    for name in ("SVI by hand", "SVI by hand, validation off"):
        ratios = [ours / theirs for ours, theirs in zip(times["fit"], times[name], strict=True)]
        best = min(times["fit"]) / min(times[name])
        rows.append((f"fit / {name}", f"{best:.2f} at best, {statistics.median(ratios):.2f} at the median"))
    report("svi_step", f"A step of fit beside the same step by hand, digits VAE (bar: {BAR})", rows)


if __name__ == "__main__":
    main()
