"""Bounds on log p(x) by name, and what is said of the weights besides them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from torch import Tensor

from elbowroom.inference.estimate import Estimate, in_short
from elbowroom.inference.text_table import aligned


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


@dataclass(frozen=True, eq=False)
class Bounds(Mapping[str, Estimate]):
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

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.estimates:
            raise KeyError(f"no bound '{name}'; there are {', '.join(self.estimates)}")
        return self.estimates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.estimates)

    def __len__(self) -> int:
        return len(self.estimates)

    def table(self, datum: int | None = None) -> str:
        """All bounds as text, in nats: the mean over data with its error, or one datum's numbers and its flags."""
        rows = [("", "bounds", "nats per datum", "± error", "flag")]
        for name, estimate in self.items():
            if datum is None:
                value, error = estimate.mean()
                flagged = [flag for flag in estimate.flags if flag]
                flag = f"{len(flagged)}/{len(estimate)}: {flagged[0]}" if flagged else ""
            else:
                value, error, flag = float(estimate.value[datum]), float(estimate.stderr[datum]), estimate.flags[datum]
            rows.append((name, estimate.bound, f"{value:.4f}", f"{error:.4f}", flag))
        texts = next(iter(self.values())).unnormalised if self.estimates else ()
        return "\n".join([*aligned(rows, "<<>><"), *in_short(texts if datum is None else texts[datum : datum + 1])])
