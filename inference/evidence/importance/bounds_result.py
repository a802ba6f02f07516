"""Bounds on log p(x) by name, and what is said of the weights besides them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NotRequired, Self, TypedDict

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.showing.numbers import in_short
from elbowroom.inference.showing.printed import Printed
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.showing.text_table import aligned


class BoundsInfo(TypedDict):
    """What S weights of each datum say besides the bounds.

    Keys:
        ess, pareto_k, pareto_k_stderr, pareto_k_long, heavy_tail, min_ss, convergence_rate, max_weight,
            constant_weights: as of `ImportanceInfo`, `[B]`.
        num_samples: S.
        relative_variance: Var(w) / (E w)², `[B]`; NaN from one sample.
        num_evaluations: of log p(x, z), for each datum: S draws of the guide and S of the prior.
        seed: of the draws.
    """

    ess: Tensor
    pareto_k: Tensor
    pareto_k_stderr: Tensor
    pareto_k_long: Tensor
    heavy_tail: Tensor
    min_ss: Tensor
    convergence_rate: Tensor
    max_weight: Tensor
    constant_weights: Tensor
    num_samples: int
    relative_variance: Tensor
    num_evaluations: int
    seed: int


class IwaeInfo(TypedDict):
    """How far an IWAE-K bound is below log p(x), E[IWAE-K] − log p(x), estimated in two ways.

    Keys:
        bias_delta: by the delta method, −Var(w) / (2 K (E w)²), `[B]`, nats.
        bias_jackknife, bias_jackknife_stderr: by the jackknife, and its standard error, `[B]`, nats; for K > 1.
    """

    bias_delta: Tensor
    bias_jackknife: NotRequired[Tensor]
    bias_jackknife_stderr: NotRequired[Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class Bounds(Shown, Mapping[str, Estimate]):
    """Bounds on log p(x) by name, each an `Estimate` with its own error, direction and flags.

    `elbo`, `iwae-K`, `renyi-α` (α > 0) and `importance` are lower bounds in expectation, `upper-n` and `struski-K`
    upper ones;
    `cubo-n`, `renyi-α` (α < 0) and `jackknife-K` are estimates that bound nothing at finite S; `prior` and `harmonic`
    show why the simplest estimators fail.

    Attributes:
        estimates: name -> Estimate.
        info: diagnostics of the guide's weights: see `BoundsInfo`.
    """

    estimates: dict[str, Estimate]
    info: BoundsInfo

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum in every bound."""
        return replace(self, estimates={name: bound.doubted(reason) for name, bound in self.estimates.items()})

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.estimates:
            raise KeyError(f"no bound '{name}'; there are {', '.join(self.estimates)}")
        return self.estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    def table(self, datum: int | None = None) -> Printed:
        """All bounds as text, in nats: the mean over data with its error, or one datum's numbers and its flags."""
        texts = self._unnormalised()
        remarks = in_short(texts if datum is None else texts[datum : datum + 1])
        return Printed.of([*aligned([_COLUMNS, *self._rows(datum)], _SIDES), *remarks])

    def as_table(self) -> Table:
        """All bounds: the mean over data of each, with its error, and how many data are flagged."""
        first = next(iter(self.estimates.values()))
        title = f"{len(self)} bounds on log p(x), {self.info['num_samples']} samples: means over {len(first)} data"
        return Table((title, *in_short(self._unnormalised())), _COLUMNS, _SIDES, self._rows(None), noun="bounds")

    def _rows(self, datum: int | None) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for name, estimate in self.items():
            if datum is None:
                value, error = estimate.mean()
                flagged = [flag for flag in estimate.flags if flag]
                flag = f"{len(flagged)}/{len(estimate)}: {flagged[0]}" if flagged else ""
            else:
                value, error, flag = float(estimate.value[datum]), float(estimate.stderr[datum]), estimate.flags[datum]
            rows.append((name, estimate.bound, f"{value:.4f}", f"{error:.4f}", flag))
        return rows

    def _unnormalised(self) -> tuple[str, ...]:
        return next(iter(self.values())).unnormalised if self.estimates else ()


_COLUMNS = ("", "bounds", "nats per datum", "± error", "flag")
_SIDES = "<<>><"
