"""Is a value of log p(x) ever wrong without a flag? Every reference problem, seed by seed, by every estimator.

A value is *outside* if it is off by more than 3 standard errors and by more than 0.05 nat; it is *silent* if it is
outside and carries no flag. Bars: nothing silent, and at most 10 % of the brackets flagged at the default budget.

    python -m benchmarks.reference_table --problem "modes*" --estimator bracket importance --seeds 0 1 2
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch

import torch
from torch import Tensor

from benchmarks.clock import now
from benchmarks.options import REFERENCES, parsed, parser
from benchmarks.results import report
from elbowroom.inference import Draws, Target, adapted_importance, anneal, bracket, bridge, hmc, importance, smc
from elbowroom.reference import PROBLEMS, Reference, problem

STDERRS, NEAR = 3.0, 0.05  # a value is outside beyond both
BUDGET = 60.0  # seconds of one bracket: its default, and that of the long form
Sides = list[tuple[Tensor, Tensor]]
"""Values and standard errors `[B]`: one pair, or a lower and an upper one."""


@dataclass(frozen=True)
class Answer:
    """What an estimator says of a problem's data: its sides, a flag for each datum, and the method that gave it."""

    sides: Sides
    flags: tuple[str, ...]
    methods: tuple[str, ...] = ()


@dataclass
class Task:
    """A target with what its estimators share: chains are run once."""

    target: Target
    seed: int
    budget: float
    _draws: Draws | None = None

    @property
    def draws(self) -> Draws:
        if self._draws is None:
            self._draws = hmc(self.target, seed=self.seed)
        return self._draws


def by_bracket(task: Task) -> Answer:
    """Both sides of a bracket, within the budget."""
    found = bracket(task.target, budget=task.budget, seed=task.seed)
    methods = tuple(found.method(b) for b in range(len(found)))
    return Answer([(side.value, side.stderr) for side in (found.lower, found.upper)], found.flags, methods)


def by_adapted(task: Task) -> Answer:
    """Both bounds from a mixture fitted to the task's chains; who uses these sees the chains' flags, too."""
    found = adapted_importance(task.target, task.draws, seed=task.seed)
    doubts = zip(found.lower.flags, found.upper.flags, task.draws.flags, strict=True)
    return Answer([(side.value, side.stderr) for side in found], tuple("; ".join(filter(None, f)) for f in doubts))


def plain(estimator: Callable[..., object]) -> Callable[[Task], Answer]:
    """An estimator of a target and a seed that returns one `Estimate`."""

    def run(task: Task) -> Answer:
        return _of(estimator(task.target, seed=task.seed))

    return run


def _of(found: object) -> Answer:
    return Answer([(found.value, found.stderr)], found.flags)  # type: ignore[attr-defined]


ESTIMATORS: dict[str, Callable[[Task], Answer]] = {
    "importance": plain(importance),
    "anneal": plain(anneal),
    "smc": plain(smc),
    "bridge": lambda task: _of(bridge(task.target, task.draws, seed=task.seed)),
    "adapted_importance": by_adapted,
    "bracket": by_bracket,
}
CHAINS = ("anneal", "smc", "bridge", "adapted_importance")  # these need a continuous latent


@dataclass
class Count:
    """Data of one estimator, over problems and seeds."""

    total: int = 0
    outside: int = 0
    flagged: int = 0
    seconds: float = 0.0
    silent: list[str] = field(default_factory=list)

    def add(self, name: str, task: Task, answer: Answer, reference: Reference) -> str:
        """Count the data of an answer, and say in a word what it was like."""
        off = torch.zeros(len(reference), dtype=torch.bool)
        worst = torch.zeros(len(reference), dtype=torch.float64)
        for value, stderr in answer.sides:
            error = value.double() - reference.log_evidence
            beyond = ~(error.abs() <= STDERRS * stderr + reference.accuracy) & ~(error.abs() <= NEAR)
            off |= beyond
            worst = torch.where(error.abs() > worst.abs(), error, worst)
        clean = torch.tensor([not flag for flag in answer.flags])
        silent = (off & clean).nonzero().flatten().tolist()
        self.total += len(reference)
        self.outside += int(off.sum())
        self.flagged += int((~clean).sum())
        methods = answer.methods or ("",) * len(reference)
        told = [f"{worst[b]:+.3f}{' ' + methods[b] if methods[b] else ''}" for b in silent]
        self.silent += [f"{name} seed {task.seed} datum {b}: {text}" for b, text in zip(silent, told, strict=True)]
        return f"{int(off.sum())} outside, {int((~clean).sum())} flagged of {len(reference)}, silent {told or 0}"


def measure(names: Sequence[str], estimators: Sequence[str], seeds: Sequence[int], budget: float) -> dict[str, Count]:
    """Run them all, with a line for each as it is done."""
    counts = {what: Count() for what in estimators}
    for name in names:
        reference = problem(name)
        for seed in seeds:
            task = Task(reference.target(), seed, budget)
            for what in estimators:
                if what in CHAINS and not task.target.latents:
                    continue
                begin = now()
                said = counts[what].add(name, task, ESTIMATORS[what](task), reference)
                seconds = now() - begin
                counts[what].seconds += seconds
                print(f"{name:36} seed {seed} {what:18} {seconds:6.1f} s  {said}", flush=True)
    return counts


def rows(counts: dict[str, Count]) -> Iterator[tuple[str, str]]:
    """A line for each estimator, then one for each silent error."""
    for what, count in counts.items():
        share = 100 * count.flagged / max(count.total, 1)
        yield (
            what,
            f"{len(count.silent)} silent; {count.outside} outside, {count.flagged} flagged ({share:.1f} %) of "
            f"{count.total} values; {count.seconds:.0f} s",
        )
    for what, count in counts.items():
        for line in count.silent:
            yield f"silent: {what}", line


def main() -> None:
    """Run all of them in float64, or those that are asked for."""
    made = parser(__doc__, only_processor=REFERENCES)
    made.add_argument("--problem", nargs="+", default=["*"], help="names, or patterns of them")
    made.add_argument("--every", type=int, default=5, help="of these one in so many")
    made.add_argument("--estimator", nargs="+", default=list(ESTIMATORS), choices=list(ESTIMATORS))
    made.add_argument("--seeds", nargs="+", type=int, default=[0])
    made.add_argument("--budget", type=float, default=10.0, help="seconds of one bracket")
    few = {"problem": ["conjugate*", "modes*"], "budget": 2.0}
    options = parsed(made, quick=few, long={"every": 1, "seeds": [0, 1, 2], "budget": BUDGET})
    names = [name for name in PROBLEMS if any(fnmatch(name, pattern) for pattern in options.problem)][:: options.every]
    if not names:
        made.error(f"no reference problem is called {options.problem}; there are {', '.join(PROBLEMS)}")
    torch.set_default_dtype(torch.float64)
    counts = measure(names, options.estimator, options.seeds, options.budget)
    whole = options.problem == ["*"] and len(options.estimator) == len(ESTIMATORS)
    title = (
        f"{len(names)} of {len(PROBLEMS)} reference problems, seeds {' '.join(map(str, options.seeds))}, brackets of "
        f"{options.budget:g} s: values that are wrong without a flag"
    )
    report("reference_table", title, list(rows(counts)), options, whole=whole)


if __name__ == "__main__":
    main()
