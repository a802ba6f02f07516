"""HMC on 1, 100 and 10 000 data against an encoder: seconds of one thread, errors against a known posterior.

x = W z + ε with 100 values and 2 latents, 10 000 data with `--long`; `--latents 10` takes three times as long
(notebooks/09_vi_or_mcmc.py has 10 and 50, fewer data, and the other ways). Chains are 4 × 50 draws after 100 of
warm-up, all data at once; the encoder is linear, as the posterior's mean is, with a scale of its own for each latent.
Errors are in true posterior standard deviations, root mean squares over latents, means over data.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.clock import steady
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, fit, hmc
from elbowroom.models import PPCA

WIDTH = 100


def main() -> None:
    """Train the encoder, run the chains at each size, and report both bills."""
    made = parser(__doc__, threads=1)
    made.add_argument("--latents", nargs="+", type=int, default=[2])
    made.add_argument("--sizes", nargs="+", type=int, default=[1, 100, 1000])
    options = parsed(made, quick={"sizes": [1, 30]}, long={"sizes": [1, 100, 10_000]})
    rows = []
    for latents in options.latents:
        rows += compared(latents, options.sizes, options.device)
    title = "HMC against an encoder by number of data, linear-Gaussian model, seconds of one thread"
    report("vi_or_mcmc", title, rows, options)


def compared(latents: int, sizes: list[int], device: torch.device) -> list[tuple[str, str]]:
    """Rows of one dimension: the encoder, then chains at each size."""
    model, x = drawn(latents, max(sizes))
    model, x = model.to(device), x.to(device)
    guide = AmortizedNormal(WIDTH, latents, hidden=())
    settings = {"num_epochs": 30, "batch_size": 100, "learning_rate": 1e-2, "schedule": "cosine", "progress": False}
    training = seconds(lambda: fit(model, guide, x[:2000], device=device, **settings), device)[1]
    (mean, sd), answering = seconds(lambda: moments_of(guide.eval(), x[2000:]), device)
    told = errors(model, x[2000:], mean, sd)
    rows = [
        (f"{latents} latents, encoder", f"{training:.1f} s once, {answering / len(mean) * 1e6:.1f} µs a datum; {told}")
    ]
    for size in sizes:
        part = x[2000 : 2000 + size]
        draws, took = seconds(lambda part=part: hmc(Target(model, guide, part), num_draws=50), device)
        z = draws.flat.flatten(0, 1).to(device)
        told = errors(model, part, z.mean(0), z.std(0))
        each = f"{took:.1f} s, {1000 * took / size:.1f} ms a datum, {took / training:.1f} trainings"
        rows.append((f"{latents} latents, HMC on {size} data", f"{each}; {told}"))
    return rows


def drawn(latents: int, num_data: int) -> tuple[PPCA, Tensor]:
    """A model with random loadings, and data of it: 2000 to train on, and those that are asked about."""
    torch.manual_seed(0)
    model = PPCA(WIDTH, latents, sigma=1.0).requires_grad_(False)
    model.loadings.copy_(0.3 * torch.randn(WIDTH, latents))
    z = torch.randn(2000 + num_data, latents)
    return model, z @ model.loadings.T + torch.randn(len(z), WIDTH)


@torch.no_grad()
def moments_of(guide: AmortizedNormal, x: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations of q, `[B, D]`."""
    q = guide.encode(x)
    return q.mean, q.variance.sqrt()


def errors(model: PPCA, x: Tensor, mean: Tensor, sd: Tensor) -> str:
    """How far means and standard deviations are off, with 95 % half widths over data where there are several."""
    posterior = model.posterior(x)
    true_sd = posterior.variance.sqrt()
    off = ((mean - posterior.mean) / true_sd).square().mean(-1).sqrt()
    wide = 100 * (sd / true_sd - 1).square().mean(-1).sqrt()
    return f"means off by {_with_error(off)} sd, sds by {_with_error(wide)} %"


def _with_error(values: Tensor) -> str:
    half = 1.96 * values.std() / len(values) ** 0.5 if len(values) > 1 else torch.nan
    return f"{values.mean():.3f}" + (f" ± {half:.3f}" if len(values) > 1 else "")


def seconds(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What a call returns, and the seconds that it took."""
    begin = steady(device)
    return call(), steady(device) - begin


if __name__ == "__main__":
    main()
