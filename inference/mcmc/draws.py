"""The result of every sampler: draws of the latents of each datum, their statistics and whether to believe them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NotRequired, Self, TypedDict, cast

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.entry_points import report_function
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.mcmc.convergence import Convergence, Gates, convergence
from elbowroom.inference.programs.arguments import picked_rows
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table


class NotAReference(ValueError):
    """Draws that did not pass their convergence gates were asked to serve as the truth."""


class DrawsInfo(TypedDict):
    """How draws were made.

    Keys:
        method: `"hmc"` or `"nuts"`.
        seconds: wall-clock time for all data.
        num_evaluations: gradients of log p(x, z), warm-up included, `[B]`.
        num_warmup: transitions of each chain that adapt and are not kept.
        seed: the chains are a function of (seed, datum).
        num_densities: densities without a gradient, `[B]`; of `hmc`.
        jump_acceptance: expected acceptance of an independence move, `[B]`, zero where there are none; of `hmc`.
        num_refused: points at which the programs raised a numerical error and had density zero, `[B]`; of `hmc`.
        prior_log_p, prior_log_p_stderr, prior_ess: log p̂(x) by a mixture that was fitted to particles from the prior
            alone, its standard error, `[B]` each, nats, and how many of its 4096 draws count in effect, `[B]`: how well
            modes far from the guide were looked for; of `hmc` with more than two latents and starts in the prior.
        prior_crowded: whether those particles show so many modes that others may well have been missed, `[B]` bool.
    """

    method: str
    seconds: float
    num_evaluations: Tensor
    num_warmup: int
    seed: int
    num_densities: NotRequired[Tensor]
    jump_acceptance: NotRequired[Tensor]
    num_refused: NotRequired[Tensor]
    prior_log_p: NotRequired[Tensor]
    prior_log_p_stderr: NotRequired[Tensor]
    prior_ess: NotRequired[Tensor]
    prior_crowded: NotRequired[Tensor]


@dataclass(frozen=True, repr=False)
class Draws(Shown):
    """Posterior draws of every datum.

    Attributes:
        z: latent site -> `[chains, draws, data, *event]`.
        latents: names of the N scalar latents, in the order of `flat`.
        stats: per-draw statistics `[chains, draws, data]`: `lp` (log p(x, z) plus log-Jacobian, nats), `diverging`,
            `n_steps` (gradient evaluations), `acceptance_rate`, `step_size`; of samplers that have one, `energy` (the
            Hamiltonian after the momentum was drawn, nats).
        info: how they were made: see `DrawsInfo`. Its tensors have an entry for each datum.
        gates: what the draws must pass to be called a reference.
        varying: which of the N scalars can vary, `[N]`; the others (zeros above the diagonal of a Cholesky factor) are
            constants of their support, and no gate asks whether they moved. None: all of them.
        doubts: for each datum why its draws are no reference whatever their gates say, or an empty string; by default B
            empty ones.
        digests: a digest of each datum, `[B]` int64, by which draws of other data are refused; None: nothing is known.
    """

    z: dict[str, Tensor]
    latents: list[str]
    stats: dict[str, Tensor]
    info: DrawsInfo
    gates: Gates = field(default_factory=Gates)
    varying: Tensor | None = None
    doubts: tuple[str, ...] = ()
    digests: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.doubts:
            object.__setattr__(self, "doubts", ("",) * next(iter(self.z.values())).shape[2])

    def __len__(self) -> int:
        return self.flat.shape[2]

    def as_table(self) -> Table:
        """Posterior mean and sd of the latent that mixed worst in each datum (of all latents, of one datum)."""
        found = self.convergence
        failed = sum(map(bool, self.flags))
        verdict = "all passed their gates" if not failed else f"{failed} of {len(self)} data did not pass their gates"
        rows = [self._row(b, n, found) for b, n in self._places(found)]
        columns = ("datum", "latent", "mean", "sd", "R-hat", "ESS", "flag")
        total = len(self) if len(self) > 1 else len(self.latents)
        head = (self._title(), verdict, *flag_counts(self.flags)[1:])
        return Table(head, columns, "><>>>><", rows, total, "data" if len(self) > 1 else "latents")

    def _title(self) -> str:
        chains, draws, num_data, num_latents = self.flat.shape
        return (
            f"posterior draws by {self.info['method']}: {num_data} data, {chains} chains of {draws} draws, "
            f"{num_latents} latents"
        )

    def _places(self, found: Convergence) -> list[tuple[int, int]]:
        """(datum, latent) of the rows that are shown."""
        rhat = found.rhat.nan_to_num(nan=torch.inf)
        if len(self) == 1:
            return [(0, n) for n in rhat[0].argsort(descending=True, stable=True)[:LINES].tolist()]
        return [(b, int(rhat[b].argmax())) for b in flagged_first(self.flags, found.rhat.amax(1))]

    def _row(self, b: int, n: int, found: Convergence) -> tuple[str, ...]:
        values = self.flat[:, :, b, n]
        return (
            str(b),
            self.latents[n],
            with_error(float(values.mean()), float(found.mcse_mean[b, n])),
            with_error(float(values.std()), float(found.mcse_sd[b, n])),
            f"{float(found.rhat[b, n]):.4f}",
            f"{float(found.ess[b, n]):.0f}",
            self.flags[b],
        )

    @cached_property
    def flat(self) -> Tensor:
        """All latents side by side, `[chains, draws, data, N]`."""
        return torch.cat([v.flatten(3) if v.dim() > 3 else v.unsqueeze(-1) for v in self.z.values()], -1)

    @cached_property
    def convergence(self) -> Convergence:
        """R-hat, effective sample sizes, Monte Carlo errors, divergences and E-BFMI; `doubts` are among its flags."""
        found = convergence(
            self.flat,
            self.stats["diverging"],
            self.gates,
            energy=self.stats.get("energy"),
            varying=self.varying,
            names=self.latents,
            step_size=self.stats.get("step_size"),
        )
        return replace(found, flags=tuple(map(reasons, self.doubts, found.flags)))

    @property
    def flags(self) -> tuple[str, ...]:
        """For each datum the reason why its draws are no reference; an empty string where they are one."""
        return self.convergence.flags

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum why its draws are no reference: no gate lets them pass."""
        return replace(self, doubts=tuple(reasons(reason, doubt) for doubt in self.doubts))

    @checked
    def select(self, data: Sequence[int]) -> "Draws":
        """The draws of some of the data; `seconds` stays what all of them took."""
        index = picked_rows(data, len(self), "data").tolist()
        info = {name: value[index] if isinstance(value, Tensor) else value for name, value in self.info.items()}
        return Draws(
            z={name: value[:, :, index] for name, value in self.z.items()},
            latents=self.latents,
            stats={name: value[:, :, index] for name, value in self.stats.items()},
            info=cast(DrawsInfo, info),
            gates=self.gates,
            varying=self.varying,
            doubts=tuple(self.doubts[b] for b in index),
            digests=None if self.digests is None else self.digests[index],
        )

    def reference(self) -> Tensor:
        """The draws `[chains, draws, data, N]`, if every datum passed its gates.

        Raises:
            NotAReference: naming the data that failed, and why.
        """
        failed = [(b, flag) for b, flag in enumerate(self.flags) if flag]
        if failed:
            reasons = "; ".join(f"datum {b}: {flag}" for b, flag in failed[:5])
            raise NotAReference(
                f"{len(failed)} of {len(self)} data did not pass the convergence gates ({reasons}). Run longer chains, "
                "or leave these data out; their draws are in .z, but they are not the truth."
            )
        return self.flat

    @property
    def mean(self) -> Tensor:
        """Posterior means, `[data, N]`; their Monte Carlo errors are `convergence.mcse_mean`."""
        return self.flat.mean((0, 1))

    @property
    def sd(self) -> Tensor:
        """Posterior standard deviations, `[data, N]`."""
        return self.flat.flatten(0, 1).std(0)

    @checked
    def quantiles(self, levels: Tensor) -> Tensor:
        """Marginal quantiles at levels `[Q]`, `[Q, data, N]`."""
        return self.flat.flatten(0, 1).quantile(levels.to(self.flat), dim=0)

    @checked
    def to_arviz(
        self,
        *,
        estimates: Mapping[str, Estimate] | None = None,
        data: Sequence[int] | None = None,
        observed: Tensor | None = None,
    ) -> Any:
        """The draws as ArviZ's object: an `arviz.InferenceData` with ArviZ 0.23, an `xarray.DataTree` with ArviZ 1.x.

            both = draws.to_arviz(estimates={"bridge": bridge(target, draws)})
            arviz.summary(both.sel(datum=3)); arviz.plot_trace(both, coords={"datum": [3]})

        Of C chains of T draws of B data, `datum` is the coordinate of the data. What `arviz.summary` says of a datum is
        `convergence` to rounding (with ArviZ 1.x `mcse_sd` is from 1.3 on, and `ess_tail` where its
        `rcParams["stats.ci_prob"]` is 0.95; rounding moves ArviZ's R-hat of short chains by some thousandths).
        `arviz.plot_energy`, and `plot_pair` with divergences, take one datum at a time: `both.sel(datum=3)`.

        Groups:
            posterior: a variable for each latent site, `[C, T, B, *event]`; the dimension of a single vector site is
                called `latent`, others `<site>_dim_0`, …
            sample_stats: `stats` by chain, draw and datum, `[C, T, B]`.
            convergence: `convergence` by `datum` and `latent`, `[B, N]`, or by `datum`, `[B]`; and `flag`.
            log_evidence: each estimate of log p(x) as `<name>`, `<name>_stderr` (nats) and `<name>_flag`, `[B]`, with
                what it bounds as the attribute `bound`.
            observed_data: `x`, `[B, ...]`.

        Attributes of the first three: `method`, `seed`, `num_warmup` (ArviZ's `tuning_steps`), `sampling_time` (s);
        of all, `elbowroom_version` and those of the libraries.

        Args:
            estimates: estimates of log p(x) of the same data by name, such as `{"bridge": bridge(target, draws)}`.
            data: indices of the data, the coordinate `datum` (default: 0 … B − 1).
            observed: the data themselves, `[B, ...]`.

        Returns:
            A copy: who changes it changes no draws.

        Raises:
            ValueError: if `estimates`, `data` or `observed` are not of B data.
            ImportError: if ArviZ cannot be imported, with what to install.
            RuntimeError: if elbowroom was installed before it could do this.
        """
        convert = report_function("draws_to_arviz", "elbowroom.report.draws_to_arviz(draws)")
        return convert(self, estimates=estimates, data=data, observed=observed)
