"""Do the 95 % intervals of every estimator of log p(x) cover the truth 95 % of the time?

Each reference problem's first datum stands many times in one data set: the copies have noise of their own, so one call
is as many independent repetitions, 200 in the long form. Bar: coverage between 92 % and 98 % for estimates that are
not flagged.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.options import REFERENCES, parsed, parser
from benchmarks.results import report
from elbowroom.inference import Estimate, Target, adapted_importance, anneal, bracket, bridge, hmc, importance, smc
from elbowroom.inference.estimate import NORMAL_95 as Z
from elbowroom.reference import problem

PROBLEMS = (
    "conjugate-normal-0.7",
    "ppca-mean-field",
    "ppca-10",
    "correlated-gaussian-0.6",
    "mixture",
    "banana",
    "modes",
)


def by_chains(estimator: Callable[..., Estimate]) -> Callable[[Target], Estimate]:
    """An estimator that starts from posterior draws."""
    return lambda target: estimator(target, hmc(target, num_draws=250, seed=1))


ESTIMATORS: dict[str, Callable[[Target], Estimate]] = {
    "importance, 1000": lambda target: importance(target, num_samples=1000),
    "annealing, 20 steps, 32 chains": lambda target: anneal(target, num_steps=20, num_chains=32),
    "SMC, 20 steps, 8 x 64": lambda target: smc(target, num_steps=20, num_particles=64),
    "bridge, 4 x 250 draws": by_chains(bridge),
    "adapted importance, 1000": by_chains(lambda t, draws: adapted_importance(t, draws, num_samples=1000).lower),
    "adapted importance, upper": by_chains(lambda t, draws: adapted_importance(t, draws, num_samples=1000).upper),
}


def repeated(name: str, repetitions: int) -> tuple[Target, Tensor]:
    """Copies of a problem's first datum, and its log p(x)."""
    reference = problem(name)
    rows = torch.zeros(repetitions, dtype=torch.long)
    args = tuple(a[rows] if len(a) == len(reference) else a for a in reference.args)
    return Target(reference.model, reference.guide, *args, plate=reference.plate), reference.log_evidence[0]


def covered(estimate: Estimate, truth: Tensor) -> tuple[int, int, Tensor]:
    """How many unflagged intervals cover, how many there are, and their errors in standard errors."""
    clean = torch.tensor([not flag for flag in estimate.flags])
    error = (estimate.value - truth)[clean]
    # Below the rounding of the programs an error is none.
    z = torch.where(error.abs() < 1e-9, 0.0, error / estimate.stderr[clean])
    return int((z.abs() <= Z).sum()), int(clean.sum()), z


def rows(names: list[str], repetitions: int, budget: float) -> Iterator[tuple[str, str]]:
    """A line for each problem and estimator."""
    for name in names:
        target, truth = repeated(name, repetitions)
        for what, run in ESTIMATORS.items():
            hits, count, z = covered(run(target), truth)
            yield f"{name}: {what}", _line(hits, count, z, repetitions)
        found = bracket(target, budget=budget, tolerance=1.0)
        low, high = found.interval()
        clean = found.settled
        hits = int(((low <= truth + 1e-6) & (truth - 1e-6 <= high))[clean].sum())
        methods = ", ".join(sorted(set(found.lower.info["method"])))
        yield f"{name}: bracket ({methods})", _line(hits, int(clean.sum()), None, repetitions)


def _line(hits: int, count: int, z: Tensor | None, repetitions: int) -> str:
    if not count:
        return f"all {repetitions} flagged"
    told = f"{100 * hits / count:.1f} % of {count}"
    if repetitions - count:
        told += f" ({repetitions - count} flagged)"
    return told if z is None else f"{told}; mean error {z.mean():+.2f}, rms {z.square().mean().sqrt():.2f} s.e."


def main() -> None:
    """Run all of them in float64."""
    made = parser(__doc__, only_processor=REFERENCES)
    made.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    made.add_argument("--repetitions", type=int, default=100)
    made.add_argument("--budget", type=float, default=10.0, help="seconds of each bracket")
    few = {"problems": ["conjugate-normal-0.7", "modes"], "repetitions": 20, "budget": 2.0}
    options = parsed(made, quick=few, long={"repetitions": 200, "budget": 60.0})
    torch.set_default_dtype(torch.float64)
    found = []
    for row in rows(options.problems, options.repetitions, options.budget):
        print(*row, sep=": ", flush=True)
        found.append(row)
    title = f"Coverage of 95 % intervals over {options.repetitions} repetitions"
    report("coverage", title, found, options, whole=len(options.problems) == len(PROBLEMS))


if __name__ == "__main__":
    main()
