"""The results of a comparison: marginals, evidence and divergences by each method, as tensors and as flat records."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Required, TypedDict, cast

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.marginals import Posterior
from elbowroom.inference.diagnostics.second_sampler import SecondSampler
from elbowroom.inference.entry_points import report_function
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import LEVELS, QuadratureInfo
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.saving.json_values import json_able
from elbowroom.inference.showing.numbers import flagged_first, in_short, mean_with_interval, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table


@dataclass(frozen=True, repr=False)
class Identity(Shown):
    """log p(x) = ELBO + KL(q ‖ p(z|x)), its parts computed independently of each other; nats, `[B]` each.

    log p(x) by importance sampling, the ELBO by Monte Carlo with other noise, and the KL by quadrature.
    """

    log_p: Tensor
    log_p_stderr: Tensor
    elbo: Tensor
    elbo_stderr: Tensor
    kl: Tensor

    def as_table(self) -> Table:
        """The residual of each datum, the largest in its own standard errors first."""
        size = self.residual.abs() / self.stderr
        rows = [
            (
                str(b),
                with_error(float(self.log_p[b]), float(self.log_p_stderr[b])),
                with_error(float(self.elbo[b]), float(self.elbo_stderr[b])),
                f"{float(self.kl[b]):.3f}",
                with_error(float(self.residual[b]), float(self.stderr[b])),
                "",
            )
            for b in flagged_first([""] * len(size), size)
        ]
        title = f"log p(x) − (ELBO + KL): mean {mean_with_interval(self.residual, self.stderr)}"
        return Table((title,), ("row", "log p(x)", "ELBO", "KL (exact)", "residual", ""), ">>>>><", rows, len(size))

    @property
    def residual(self) -> Tensor:
        """log p(x) − (ELBO + KL): zero up to `stderr`."""
        return self.log_p - self.elbo - self.kl

    @property
    def stderr(self) -> Tensor:
        """Standard error of the residual."""
        return (self.log_p_stderr**2 + self.elbo_stderr**2).sqrt()


class Evidence(TypedDict, total=False):
    """log p(x) by method: importance sampling, a lower bound, and quadrature, exact, for up to three latents."""

    importance: Required[Estimate[ImportanceInfo]]
    quadrature: Estimate[QuadratureInfo]


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """What each method says about the posterior and the evidence of the same data.

    Attributes:
        data: indices of the B data in the target.
        latents: names of the N scalar latents.
        posteriors: method -> marginals: `guide`, `importance`, and where asked for `nuts` or `hmc`, `quadrature`.
        evidence: method -> log p(x): see `Evidence`.
        reference: the method that the others are held against (`quadrature`, else MCMC's), or None if there is none.
        kl_q_p, kl_p_q: KL(q ‖ p(z|x)) and KL(p(z|x) ‖ q), `[B]`, nats, and their standard errors. Exact by quadrature;
            else log p̂ − ELBO, and the mean of log p(x, z) − log q(z|x) over MCMC draws less log p̂.
        wasserstein: method -> W₁ distance of each marginal to the reference, `[B, N]`.
        wasserstein_floor: method -> the W₁ that as many independent draws of the reference would show, `[B, N]`.
        identity: both sides of log p = ELBO + KL; None without quadrature.
        draws: the MCMC draws; None if MCMC was not run.
        guide_draws: draws of q, `[S, B, N]`.
        check: NUTS on some of the data, where `draws` are of another sampler; None if it was not run.
        notes: what the budget had no room for.
    """

    data: list[int]
    latents: list[str]
    posteriors: dict[str, Posterior]
    evidence: Evidence
    reference: str | None
    kl_q_p: Tensor
    kl_q_p_stderr: Tensor
    kl_p_q: Tensor
    kl_p_q_stderr: Tensor
    wasserstein: dict[str, Tensor]
    wasserstein_floor: dict[str, Tensor]
    identity: Identity | None
    draws: Draws | None
    guide_draws: Tensor
    notes: tuple[str, ...] = ()
    check: SecondSampler | None = None

    def as_table(self) -> Table:
        """Evidence by method, and mean and standard deviation of each latent by each method."""
        against = "" if self.reference is None else f", held against {self.reference}"
        head = [f"{len(self.data)} data by {', '.join(self.posteriors)}{against}", *self.notes]
        evidence = cast(Mapping[str, Estimate], self.evidence)
        for method, estimate in evidence.items():
            head.append(f"  log p(x), {method}: mean {mean_with_interval(estimate.value, estimate.stderr)}")
        head += in_short(evidence["importance"].unnormalised if "importance" in evidence else ())
        head.append(f"  KL(q ‖ p(z|x)): mean {mean_with_interval(self.kl_q_p, self.kl_q_p_stderr)}")
        for method, estimate in evidence.items():
            flagged = [b for b in flagged_first(estimate.flags, most=3) if estimate.flags[b]]
            head += [f"  datum {self.data[b]}, {method}: {estimate.flags[b]}" for b in flagged]
        rows = [self._row(b, n, method) for b, n, method in self._places()]
        columns = ("datum", "latent", "method", "mean", "sd", "W1 to the reference", "flag")
        total = len(self.data) * len(self.latents) * len(self.posteriors)
        return Table(tuple(head), columns, "><<>>><", rows, total, "rows")

    def _places(self) -> list[tuple[int, int, str]]:
        """(row, latent, method) of what is shown: all methods of a latent side by side."""
        every = ((b, n, m) for b in range(len(self.data)) for n in range(len(self.latents)) for m in self.posteriors)
        return list(islice(every, LINES))

    def _row(self, b: int, n: int, method: str) -> tuple[str, ...]:
        posterior, distance = self.posteriors[method], self.wasserstein.get(method)
        return (
            str(self.data[b]),
            self.latents[n],
            method,
            with_error(float(posterior.mean[b, n]), float(posterior.mean_stderr[b, n])),
            f"{float(posterior.sd[b, n]):.3f}",
            "" if distance is None else f"{float(distance[b, n]):.3f}",
            posterior.flags[b],
        )

    def rows(self) -> list[dict[str, Any]]:
        """One flat record for each datum, latent and method: what the table, JSON and tests read."""
        levels = torch.tensor(LEVELS, dtype=torch.float64)
        records = []
        for method, posterior in self.posteriors.items():
            quantiles = posterior.quantiles(levels)
            for b, datum in enumerate(self.data):
                for n, latent in enumerate(self.latents):
                    distance = self.wasserstein.get(method)
                    floor = self.wasserstein_floor.get(method)
                    records.append(
                        {
                            "datum": datum,
                            "latent": latent,
                            "method": method,
                            "mean": posterior.mean[b, n].item(),
                            "mean_stderr": posterior.mean_stderr[b, n].item(),
                            "sd": posterior.sd[b, n].item(),
                            **{f"q{round(100 * p):02d}": quantiles[i, b, n].item() for i, p in enumerate(LEVELS)},
                            "wasserstein": None if distance is None else distance[b, n].item(),
                            "wasserstein_floor": None if floor is None else floor[b, n].item(),
                            "flag": posterior.flags[b],
                        }
                    )
        return sorted(records, key=lambda r: (self.data.index(r["datum"]), self.latents.index(r["latent"])))

    def evidence_rows(self) -> list[dict[str, Any]]:
        """One flat record for each datum: bounds, exact value, divergences and the identity."""
        sampled, records = self.evidence["importance"], []
        for b, datum in enumerate(self.data):
            record: dict[str, Any] = {
                "datum": datum,
                "elbo": sampled.info["elbo"][b].item(),
                "elbo_stderr": sampled.info["elbo_stderr"][b].item(),
                "importance": sampled.value[b].item(),
                "importance_stderr": sampled.stderr[b].item(),
                "pareto_k": sampled.info["pareto_k"][b].item(),
                "kl_q_p": self.kl_q_p[b].item(),
                "kl_q_p_stderr": self.kl_q_p_stderr[b].item(),
                "kl_p_q": self.kl_p_q[b].item(),
                "kl_p_q_stderr": self.kl_p_q_stderr[b].item(),
                "flag": sampled.flags[b],
                "unnormalised": sampled.unnormalised[b],
            }
            if "quadrature" in self.evidence:
                exact = self.evidence["quadrature"]
                record |= {
                    "exact": exact.value[b].item(),
                    "exact_error": exact.stderr[b].item(),
                    "num_modes": int(exact.info["num_modes"][b]),
                }
            if self.identity is not None:
                record |= {
                    "identity_residual": self.identity.residual[b].item(),
                    "identity_stderr": self.identity.stderr[b].item(),
                }
            records.append(record)
        return records

    def costs(self) -> list[dict[str, Any]]:
        """Seconds for all data and evaluations of log p(x, z) (NUTS: gradients) per datum, by method."""
        return [
            {
                "method": method,
                "seconds": p.seconds,
                "evaluations_per_datum": p.evaluations.double().mean().item(),
                "ess": p.ess.min().item(),
            }
            for method, p in self.posteriors.items()
        ]

    def record(self) -> dict[str, Any]:
        """Everything that is printed, JSON-able (non-finite numbers as None)."""
        parts: dict[str, Any] = {
            "data": self.data,
            "latents": self.latents,
            "reference": self.reference,
            "posteriors": self.rows(),
            "evidence": self.evidence_rows(),
            "costs": self.costs(),
        }
        if self.check is not None:
            parts["check"] = {"method": "nuts", "data": self.check.data, "agrees": self.check.agrees}
            parts["check"] |= {"distance": self.check.distance.tolist(), "flags": list(self.check.draws.flags)}
        record: dict[str, Any] = json_able(parts)
        return record

    def to_arviz(self, *, observed: Tensor | None = None) -> Any:
        """The comparison as ArviZ's object: an `arviz.InferenceData` with ArviZ 0.23, an `xarray.DataTree` with 1.x.

            both = comparison.to_arviz(observed=x[comparison.data])
            arviz.summary(both); arviz.plot_forest(both, coords={"datum": comparison.data[0]})

        The coordinate `datum` holds `data`. Groups `posterior`, `sample_stats` and `convergence` are those of
        `Draws.to_arviz`, absent without MCMC: `arviz.summary(both, group="guide")` reads draws of q, `[1, S, B, ...]`.
        `log_evidence` has log p(x) by method with errors and flags, and both divergences, `[B]`, nats; `exact` and
        `marginals` have what the methods say of each datum and latent: `elbowroom.report.to_datatree` lists all.

        Args:
            observed: the data compared, `[B, ...]`, in the order of `data`: the group `observed_data`.

        Returns:
            A copy: who changes it changes no result.

        Raises:
            ValueError: if `observed` has not one row for each datum.
            ImportError: if ArviZ cannot be imported, with what to install.
            RuntimeError: if elbowroom was installed before it could do this.
        """
        convert = report_function("comparison_to_arviz", "elbowroom.report.comparison_to_arviz(comparison)")
        return convert(self, observed=observed)
