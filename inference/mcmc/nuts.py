"""Pyro's own NUTS, one datum at a time, in this process: the trusted reference for small numbers of data."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from pyro.infer import MCMC, NUTS
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import check_fits
from elbowroom.inference.evaluation.clock import Budget, Clock, Spent, read_budget
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.mcmc.convergence import Gates
from elbowroom.inference.mcmc.draws import Draws, DrawsInfo
from elbowroom.inference.programs import evaluations
from elbowroom.inference.programs.arguments import picked_rows
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.progress import Tick, progress_bar
from elbowroom.inference.target import Target


@checked
@asked_again
def nuts(
    target: Target,
    data: Sequence[int] | None = None,
    *,
    num_chains: int = 4,
    num_warmup: int = 300,
    num_draws: int = 500,
    seed: int = 0,
    target_accept_prob: float = 0.8,
    gates: Gates | None = None,
    budget: Budget | None = None,
    progress: bool = False,
) -> Draws:
    """Sample p(z | x_b) with the No-U-Turn sampler (Hoffman & Gelman 2014) of Pyro, for each datum by itself.

    Chains start apart (uniformly in (−2, 2) in unconstrained coordinates), know nothing of the guide, adapt a step size
    and a diagonal metric for one datum, and run one after the other in this process. The price is Pyro's trace at every
    leapfrog step: seconds for each datum.

    Args:
        target: programs and data; plate rescaling and `poutine.scale` are undone.
        data: which data (default: all).
        num_chains, num_warmup, num_draws: for each datum.
        seed: the chains are a function of (seed, datum, chain).
        target_accept_prob: mean acceptance that step sizes are adapted to; raise it where transitions diverge.
        gates: convergence gates; draws that fail them are flagged and `.reference()` refuses them.
        budget: seconds, or a number of evaluations; by default there is no limit. Data for which it has no room are
            left out: the draws are those of the first ones.
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Draws with `.flags` (empty where R-hat ≤ 1.01, bulk and tail ESS ≥ 100 a chain and nothing diverged).

    Raises:
        ValueError: on a number out of range, or a target without continuous latents.
        TooSlow: if the budget has no room for a single datum: it ended before, or half of it did before half of the
            steps.
        ProgramError: if `data` is given but the programs cannot be given part of their data.
    """
    if num_warmup < 1:
        raise ValueError(f"num_warmup must be at least 1, got {num_warmup}: NUTS adapts its steps")
    if budget is not None:
        read_budget(budget)
    check_fits(target, num_chains=num_chains, num_draws=num_draws)
    if not target.structure.latents:
        raise ValueError("this target has no continuous latent to sample (finite discrete ones are summed out)")
    Coordinates.of(target)  # says why, if chains cannot walk here
    chosen = range(len(target)) if data is None else picked_rows(data, len(target), "data").tolist()
    singles = [target] if len(target) == 1 and data is None else [target.select([b]) for b in chosen]
    steps = num_chains * (num_warmup + num_draws)
    begin = time.perf_counter()
    sampler = partial(_chain, num_warmup=num_warmup, num_draws=num_draws, accept=target_accept_prob)
    with progress_bar(len(singles) * steps, "NUTS", "step", progress) as bar:
        pace = _Pace(Clock(torch.inf if budget is None else budget), steps, bar)
        chains: list[list[_Chain]] = []
        with pace.within_budget():
            for single in singles:
                pace.begin(len(chains))
                chains.append([sampler(single, seed=(seed, c), tick=pace) for c in range(num_chains)])
    info: DrawsInfo = {
        "method": "nuts",
        "seconds": time.perf_counter() - begin,
        "num_evaluations": torch.tensor([sum(chain.num_gradients for chain in datum) for datum in chains]),
        "num_warmup": num_warmup,
        "seed": seed,
    }
    z = _stacked([[chain.z for chain in datum] for datum in chains])
    stats = _stacked([[chain.stats for chain in datum] for datum in chains])
    digests = torch.cat([single.digests for single in singles[: len(chains)]])
    return Draws(z, target.latent_names, stats, info, gates or Gates(), target.varying, digests=digests)


class TooSlow(ValueError):
    """The budget has no room for the chains of one datum.

    Attributes:
        needed: what one datum takes at the pace so far, in words.
    """

    def __init__(self, clock: Clock, done: int, steps: int) -> None:
        self.needed = f"some {clock.says(clock.spent * steps / done)}" if done else "an unknown time"
        super().__init__(
            f"it takes {self.needed} for one datum, for which its budget, {clock.says(clock.budget)}, has no room; "
            "give a larger budget, or ask for fewer chains or draws (num_chains, num_warmup, num_draws)"
        )


class _Pace:
    """A tick that stops what does not fit into a budget.

    Args:
        clock: of the budget.
        steps: of all chains of a datum.
        tick: is told, too.
    """

    def __init__(self, clock: Clock, steps: int, tick: Tick) -> None:
        self.clock, self.steps, self.tick = clock, steps, tick
        self.taken, self.finished = 0, 0

    def begin(self, finished: int) -> None:
        """Before a datum, when so many have been finished: as one of them took, this one will."""
        self.finished = finished
        if finished and self.clock.left < self.clock.spent / finished:
            raise Spent(self.clock)

    def __call__(self, done: int = 1) -> None:
        """Steps that were taken. Of the first datum there must be half of them in half of the budget."""
        self.taken += done
        share = 1.0 if self.finished else max(0.5, self.taken / self.steps)
        if self.clock.spent > share * self.clock.budget:
            raise Spent(self.clock)
        self.tick(done)

    @contextmanager
    def within_budget(self) -> Iterator[None]:
        """Inside, data are run until one does not fit.

        Raises:
            TooSlow: if none fits.
        """
        with self.clock.forgiving(), self.clock.until():
            yield
            return
        if not self.finished:
            raise TooSlow(self.clock, self.taken, self.steps)


class _Chain(NamedTuple):
    """One chain of one datum: draws by site `[T, 1, *event]`, statistics by name `[T, 1]`, number of gradients."""

    z: dict[str, Tensor]
    stats: dict[str, Tensor]
    num_gradients: int


def _stacked(chains: list[list[dict[str, Tensor]]]) -> dict[str, Tensor]:
    """Values by name of the chains of each datum, `[T, 1, …]` each, as `[C, T, B, …]`."""
    by_chain = list(zip(*chains, strict=True))
    return {
        name: torch.stack([torch.cat([values[name] for values in data], 1) for data in by_chain])
        for name in chains[0][0]
    }


def _chain(
    target: Target, *, seed: tuple[int, int], num_warmup: int, num_draws: int, accept: float, tick: Tick
) -> _Chain:
    """Run one chain of one datum; `seed`: the user's and the chain's number."""
    program, gradients = target.program("model"), [0]

    def counted() -> Any:
        gradients[0] += 1
        with evaluations.counting(evaluations.GRADIENT):
            return program()

    record = _Record(gradients, tick)
    with quiet_globals(target.args):
        torch.manual_seed(hash((*seed, int(target.keys[0]))) % 2**63)
        nesting = target.structure.nesting
        kernel = NUTS(counted, target_accept_prob=accept, max_plate_nesting=nesting)
        sampler = MCMC(kernel, num_draws, num_warmup, num_chains=1, disable_progbar=True, hook_fn=record)
        sampler.run()
        samples = sampler.get_samples()
    z = {}
    for name, latent in target.structure.latents.items():
        value = samples[name].detach().cpu()
        padded = value.reshape(num_draws, *(1,) * (nesting - latent.rank), *value.shape[1:])
        z[name] = target.structure.collect(latent, padded, latent.event)
    stats = {name: torch.tensor(column).unsqueeze(1) for name, column in record.columns.items()}
    return _Chain(z, stats, gradients[0])


class _Record:
    """Pyro calls this after every transition; it reads the kernel's state."""

    def __init__(self, gradients: list[int], tick: Tick) -> None:
        self.gradients, self.tick, self.before, self.mean = gradients, tick, 0, 0.0
        self.diverged = 0
        self.columns: dict[str, list[Any]] = {
            name: [] for name in ("lp", "n_steps", "acceptance_rate", "step_size", "diverging")
        }

    def __call__(self, kernel: Any, samples: Any, stage: str, i: int) -> None:
        self.tick(1)
        steps, self.before = self.gradients[0] - self.before, self.gradients[0]
        if not stage.lower().startswith("sample"):
            self.mean = 0.0
            return
        mean = kernel._mean_accept_prob
        count = len(self.columns["lp"]) + 1
        # Pyro keeps a running mean m_n = m_{n−1} + (a_n − m_{n−1}) / n; this is a_n.
        acceptance = self.mean + (mean - self.mean) * count
        self.mean = mean
        diverging, self.diverged = len(kernel._divergences) > self.diverged, len(kernel._divergences)
        numbers = (-float(kernel._potential_energy_last), steps, acceptance, float(kernel.step_size), diverging)
        for column, value in zip(self.columns.values(), numbers, strict=True):
            column.append(value)
