"""How many effective draws a second does batched MCMC give on the digits VAE, beside BlackJAX and Pyro?

The digits VAE with 2 latents, the first 100 held-out digits, 4 chains each; single precision; all sides in turn in one
process. Warm-up is counted, compilation is not: each call is made once before with the same arguments. An effective
sample size is the smallest over latents, and over z and (z − mean)² so that antithetic chains do not flatter, by one
function for all sides; summed over the data. Errors are those of the posterior means and standard deviations against
quadrature, in their Monte Carlo standard errors (a standard deviation's by the delta method).
Bars, at each number of draws: 10 times BlackJAX's NUTS vmapped over chains and data, 1000 times Pyro's NUTS (one datum
at a time), twice the best of BlackJAX's HMC with 2, 3 or 5 leapfrogs and its late-adjusted parallel sampler (LAPS);
R-hat < 1.01 for 99 % of the data; errors below 5; 10,000 data within 2 GiB in time that grows linearly.

Run: python -m benchmarks.mcmc_digits [--run DIR] [--threads 2] [--repeats 3] [--part many] [--part chains]
"""

import argparse
import functools
import importlib.util
import itertools
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.clock import CPU, now, peak_bytes
from benchmarks.digits import by_defaults
from benchmarks.options import parsed, parser
from benchmarks.results import report
from elbowroom.commands.runs import open_run
from elbowroom.inference import Draws, Target, hmc, nuts, quadrature
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.mcmc.convergence import Convergence, convergence
from elbowroom.models import VAE

NUM_DATA, NUM_CHAINS = 100, 4
PEER_WARMUP = 300
FLIPPED = 0.02
Row = tuple[str, str]
Sampler = Callable[[int], Tensor]
"""seed -> draws `[C, T, B, N]`."""


def main() -> None:
    """Train (or load); memory and time of many data first, for the peak is the process's; then all sides in turn."""
    made = parser(__doc__)
    made.add_argument("--run", type=Path, help="run directory of a digits VAE; default: train one")
    made.add_argument("--repeats", type=int, default=2)
    made.add_argument("--num-draws", type=int, nargs="+", default=[1000])
    made.add_argument("--many", type=int, nargs="+", default=[100, 300, 1000], help="numbers of data")
    made.add_argument("--pyro-data", type=int, default=2, help="data on which Pyro's NUTS is run, one at a time")
    made.add_argument("--part", action="append", choices=("many", "chains"), help="default: both")
    few = {"repeats": 1, "num_draws": [100], "many": [10, 30], "pyro_data": 0}
    options = parsed(
        made, quick=few, long={"repeats": 3, "num_draws": [1000, 4000], "many": [1000, 3000, 10_000], "pyro_data": 3}
    )
    target = programs(options.run, options.device)
    parts = options.part or ["many", "chains"]
    if "many" in parts:
        title = "Batched MCMC on many data, digits VAE with 2 latents, 4 chains of 200 draws (bars: linear, 2 GiB)"
        report("mcmc_digits_many", title, many_data(target, options.many), options)
    if "chains" in parts:
        title = f"MCMC on the digits VAE with 2 latents, {NUM_DATA} data, {NUM_CHAINS} chains (bars: 10, 1000, 2)"
        report("mcmc_digits", title, side_by_side(target, options), options)


def programs(run: Path | None, device: torch.device = CPU) -> Target:
    """The trained programs on the held-out digits: those of a run directory, or the command line's defaults."""
    if run is not None:
        return open_run(str(run), "last", str(device)).target("test")
    return by_defaults(0, device=device)[1]


# Many data -----------------------------------------------------------------------------------------------------------


def many_data(target: Target, sizes: list[int]) -> list[Row]:
    """Seconds and peak memory for more and more data: digits drawn again, some of their pixels flipped."""
    generator = torch.Generator().manual_seed(0)
    (x,) = (arg.cpu() for arg in target.args)
    x = x[torch.randint(len(x), (sizes[-1],), generator=generator)]
    x = torch.where(torch.rand(x.shape, generator=generator) < FLIPPED, 1 - x, x).to(target.device)
    targets = {size: Target(target.model, target.guide, x[:size]) for size in sizes}
    before, rows, seconds = peak_bytes(target.device), [], {}
    for size, among in targets.items():
        hmc(among.select(range(min(size, 300))), num_chains=NUM_CHAINS, num_draws=200)
        begin = now(target.device)
        draws = hmc(among, num_chains=NUM_CHAINS, num_draws=200)
        seconds[size] = now(target.device) - begin
        grown = (peak_bytes(target.device) - before) / 2**20
        told = f"{seconds[size]:.1f} s, {1e3 * seconds[size] / size:.2f} ms a datum; peak memory grew by "
        rows.append((f"{size:,} data", f"{told}{grown:.0f} MiB so far; {_mixed(draws.flat)}"))
    for small, large in itertools.pairwise(sizes):
        exponent = math.log(seconds[large] / seconds[small]) / math.log(large / small)
        rows.append((f"time from {small:,} to {large:,} data grows as their number to the power", f"{exponent:.2f}"))
    return rows


# Side by side --------------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """One contestant: its draws, and what its repeats gave."""

    call: Sampler
    rates: list[float]
    told: str = ""


def side_by_side(target: Target, options: argparse.Namespace) -> list[Row]:
    """Effective draws a second of each side, and the ratios of the bars."""
    (x,) = (arg[:NUM_DATA] for arg in target.args)
    target = Target(target.model, target.guide, x)
    exact = quadrature(target)
    rows = [("data with two modes or more", f"{int((exact.info['num_modes'] > 1).sum())} of {NUM_DATA}")]
    rows.append(("processes that wanted a core before the run, on average", f"{os.getloadavg()[1]:.1f}"))
    rows += _checked(target.model, target, x)
    pyro = by_pyro(target, options.pyro_data)
    if pyro:
        told = ", ".join(f"{rate:.0f}" for rate in pyro)
        rows.append(("Pyro NUTS, one datum at a time: effective draws a second", told))
    for num_draws in options.num_draws:
        sides = {name: Side(call, []) for name, call in contestants(target, x, num_draws).items()}
        for side in sides.values():
            side.call(0)
        for repeat in range(options.repeats):
            for side in sides.values():
                _time(side, repeat, exact)
        for name, side in sides.items():
            told = f"{max(side.rates):,.0f} at best, {statistics.median(side.rates):,.0f} at the median; {side.told}"
            rows.append((f"{name}, {num_draws} draws: effective draws a second", told))
            print("  ".join(rows[-1]), flush=True)  # what is known stays known if the run is stopped
        rows += [(f"{what}, {num_draws} draws", ratio) for what, ratio in _ratios(sides, pyro)]
    return rows


def contestants(target: Target, x: Tensor, num_draws: int) -> dict[str, Sampler]:
    """All sides that can be run here."""

    def ours(seed: int, compile: bool) -> Tensor:
        draws: Draws = hmc(target, num_chains=NUM_CHAINS, num_draws=num_draws, seed=seed, compile=compile)
        return draws.flat

    sides: dict[str, Sampler] = {
        "elbowroom": functools.partial(ours, compile=False),
        "elbowroom, compiled": functools.partial(ours, compile=True),
    }
    if _why_no_peers():
        return sides
    from benchmarks.blackjax_digits import samplers

    return sides | samplers(_vae(target.model), x, num_chains=NUM_CHAINS, num_warmup=PEER_WARMUP, num_draws=num_draws)


def by_pyro(target: Target, num_data: int) -> list[float]:
    """Pyro's NUTS on single data: effective draws a second of each."""
    rates = []
    for b in range(num_data):
        draws = nuts(target, [b], num_chains=NUM_CHAINS, num_warmup=PEER_WARMUP, num_draws=500)
        rates.append(draws.convergence.ess_moments.amin().item() / draws.info["seconds"])
    return rates


def _checked(model: object, target: Target, x: Tensor) -> list[Row]:
    reason = _why_no_peers()
    if reason:
        print(reason, flush=True)
        return [("BlackJAX", reason)]
    import jax

    from benchmarks.blackjax_digits import check_density

    return [
        ("BlackJAX runs on", jax.default_backend()),
        ("relative difference of the density in jax.numpy", f"{check_density(_vae(model), target, x):.0e}"),
    ]


def _time(side: Side, seed: int, exact: Estimate) -> None:
    begin, used = time.perf_counter(), time.process_time()
    draws = side.call(seed)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    found = _convergence(draws)
    side.rates.append(found.ess_moments.amin(1).sum().item() / seconds)
    if side.rates[-1] == max(side.rates):
        mean, sd = draws.double().mean((0, 1)), draws.double().flatten(0, 1).std(0)
        mean_error = ((mean - exact.info["mean"]) / found.mcse_mean).abs().max()
        sd_error = ((sd - exact.info["sd"]) / found.mcse_sd).abs().max()
        spent = f"{seconds:.2f} s, {used:.2f} s of processors"
        side.told = f"{spent}; {_mixed(draws)}; errors up to {mean_error:.1f} (means), {sd_error:.1f} (sds)"


def _ratios(sides: dict[str, Side], pyro: list[float]) -> list[Row]:
    """Each of ours over each bar's opponent."""
    nuts_of_peer = [name for name in sides if name == "BlackJAX NUTS"]
    others = [name for name in sides if name.startswith("BlackJAX") and name not in nuts_of_peer]
    fastest = sorted(others, key=lambda name: max(sides[name].rates))[-1:]
    rows = []
    for ours in (name for name in sides if name.startswith("elbowroom")):
        mine = sides[ours].rates
        if pyro:
            rows.append((f"{ours} / Pyro NUTS", f"{max(mine) / max(pyro):,.0f} at best"))
        for name in nuts_of_peer + fastest:
            theirs = sides[name].rates
            median = statistics.median(mine) / statistics.median(theirs)
            rows.append((f"{ours} / {name}", f"{max(mine) / max(theirs):.1f} at best, {median:.1f} at the median"))
    return rows


def _convergence(draws: Tensor) -> Convergence:
    return convergence(draws, torch.zeros(draws.shape[:3], dtype=torch.bool))


def _mixed(draws: Tensor) -> str:
    rhat = _convergence(draws).rhat.amax(1)
    return f"R-hat < 1.01 for {100 * (rhat < 1.01).double().mean():.1f} % of the data, at most {rhat.max():.3f}"


def _vae(model: object) -> VAE:
    if not isinstance(model, VAE):
        raise TypeError(f"the run must hold a VAE, got {type(model).__name__}")
    return model


def _why_no_peers() -> str:
    """Why BlackJAX cannot be run here; an empty string if it can."""
    missing = [name for name in ("jax", "blackjax") if importlib.util.find_spec(name) is None]
    return f"skipped: {' and '.join(missing)} not installed (pip install elbowroom[benchmarks])" if missing else ""


if __name__ == "__main__":
    main()
