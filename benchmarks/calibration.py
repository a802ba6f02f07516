"""How often does a calibration raise a false alarm, and how often does it find a guide that is off?

Many calibrations of 200 simulations each are made in one go: their simulations are independent rows of one target.
Bars: false alarms in 3 to 7 % at the 5 % level for every kind of test on exact guides; more than 90 % found of standard
deviations off by 25 % and of means off by half a standard deviation.
"""

from collections.abc import Callable, Iterator, Sequence

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from benchmarks.options import REFERENCES, parsed, parser
from benchmarks.results import report
from elbowroom.inference import Target
from elbowroom.inference.diagnostics.calibration.multiple_testing import holm
from elbowroom.inference.diagnostics.calibration.ranking import places
from elbowroom.inference.diagnostics.calibration.simulations import simulated
from elbowroom.inference.diagnostics.calibration.uniformity import uniformity
from elbowroom.inference.evaluation.budget import plan
from elbowroom.reference import problem

SIMULATIONS, DRAWS, LEVEL = 200, 200, 0.05
EXACT = ("conjugate-normal", "ppca", "ppca-10")
GUIDES = {"sd 1.25 times": (1.25, 0.0), "sd 0.75 times": (0.75, 0.0), "mean off by 0.5 sd": (1.0, 0.5)}


def model(x: Tensor) -> None:
    """z ~ N(0, I), x | z ~ N(z, I)."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(x.shape[1]), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


def guide(scale: Tensor, shift: Tensor) -> Callable[[Tensor], None]:
    """The exact posterior N(x/2, I/2) with each standard deviation times `scale`, each mean `shift` of them off."""

    def program(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 + shift * 0.5**0.5, scale * 0.5**0.5).to_event(1))

    return program


def alarms(target: Target, repetitions: int, around: Target | None = None, num_draws: int = DRAWS) -> dict[str, Tensor]:
    """For each kind of test whether each of many calibrations rejects; `around` is an exact target to start from."""
    rows = torch.arange(repetitions * SIMULATIONS) % len(target)
    source = target.select(rows).pinned_to({})
    given = around.select(rows).pinned_to({}).propose(1, seed=77)[0] if around is not None else None
    cut = plan(source, num_draws, gradients=True)
    found = []
    for piece, part in cut.data(source):
        mine = None if given is None else {name: value[:, piece] for name, value in given.items()}
        found.append(places(simulated(part, mine, 5), cut, num_draws, 5, True).u)
    u = torch.cat(found).unflatten(0, (repetitions, SIMULATIONS)).transpose(0, 1)  # [N, R, Q + 2]
    p = uniformity(u.flatten(1)).p_value.unflatten(0, (repetitions, -1))  # [R, Q + 2]
    ranks = torch.stack([holm(row[:-2], LEVEL)[0].any() for row in p])
    return {"SBC": ranks, "coverage": p[:, -2] <= LEVEL, "TARP": p[:, -1] <= LEVEL}


def rows(exact_ones: int, off_ones: int) -> Iterator[tuple[str, str]]:
    """A line for each guide."""
    for name in EXACT:
        target = problem(name).target()
        yield f"exact, {name}", _line(alarms(target, exact_ones))
        yield f"exact, {name}, around observed data", _line(alarms(target, exact_ones, around=target))
    for D in (1, 2, 10):
        for which, affected in (("every latent", D), ("one latent", 1)):
            if D > 1 or which == "every latent":
                for what, (scale, shift) in GUIDES.items():
                    yield (
                        f"{D} latents, {what}, {which}",
                        _line(alarms(off(D, scale, shift, affected), off_ones)),
                    )
    for what, (scale, shift) in GUIDES.items():
        target, exact = off(2, scale, shift, 2), off(2, 1.0, 0.0, 2)
        yield f"2 latents, {what}, every latent, around observed data", _line(alarms(target, off_ones, exact))


def off(num_latents: int, scale: float, shift: float, affected: int) -> Target:
    """A target whose guide is off in the first `affected` latents."""
    scales, shifts = torch.ones(num_latents), torch.zeros(num_latents)
    scales[:affected], shifts[:affected] = scale, shift
    x = 2**0.5 * torch.randn(16, num_latents, generator=torch.Generator().manual_seed(1))
    return Target(model, guide(scales, shifts), x)


def _line(found: dict[str, Tensor]) -> str:
    return ", ".join(f"{kind} {100 * no.double().mean():.1f} %" for kind, no in found.items())


def _told(lines: Iterator[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    kept = []
    for name, value in lines:
        print(f"  {name}: {value}", flush=True)
        kept.append((name, value))
    return kept


def main() -> None:
    """Run all of them in float64."""
    made = parser(__doc__, only_processor=REFERENCES)
    made.add_argument("--repetitions", type=int, nargs=2, default=[200, 40], help="of exact guides, and of others")
    options = parsed(made, quick={"repetitions": [10, 3]}, long={"repetitions": [1000, 200]})
    torch.set_default_dtype(torch.float64)
    exact, others = options.repetitions
    title = f"Calibration: how often {SIMULATIONS} simulations reject ({exact} repetitions exact, {others} off)"
    report("calibration", title, list(_told(rows(exact, others))), options)


if __name__ == "__main__":
    main()
