"""Which latent site of a hierarchical guide the gap comes from: KL(q ‖ p(z|x)) by the chain rule, site by site."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import weights
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.gap.log_p import log_evidence_from_guide
from elbowroom.inference.gap.refined_target import RefinedTarget
from elbowroom.inference.programs.handlers import Draw, Set
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Arrange, Result, Values, collected, place
from elbowroom.inference.showing.numbers import flag_counts, mean_with_interval
from elbowroom.inference.showing.printed import Printed
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.showing.text_table import aligned
from elbowroom.inference.target import Target
from elbowroom.inference.weights import K_LIMIT

_MANY = 0.25  # share of the outer draws whose k̂ may be large: one k̂ of 128 weights has an error of 0.3
_LEAST_INNER = 25  # weights that a tail index is estimated from


@dataclass(frozen=True, repr=False)
class SiteAttribution(Shown):
    """KL(q(z|x) ‖ p(z|x)) = Σ_i E_q KL(q(z_i | z_<i, x) ‖ p(z_i | z_<i, x)), for every datum.

    Attributes:
        terms: site -> its term, `[B]`, nats, in the order in which the guide draws the sites; they add up to `gap`.
            Each is what would be gained by making this site's conditional density exact, those after it being exact.
        gap: log p(x) − ELBO, from the same draws.
        log_p: log p(x).
        elbo: the ELBO, from the outer draws.
        shortfall: site -> how much log p(x, z_≤i) behind this site is estimated too low, `[B]`, nats, to first order
            (½ Var w / (K mean² w)): this site's term is too high by it, the next site's too low; zero for the last.
        pareto_k: site -> tail index of the inner weights behind this site: its 90 % quantile over outer draws, `[B]`
            (−∞ where the weights are constant, NaN with 24 inner draws or fewer).
        flags: for each datum the reason not to rely on its terms, or an empty string.
    """

    terms: dict[str, Estimate]
    gap: Estimate
    log_p: Estimate
    elbo: Estimate
    shortfall: dict[str, Tensor]
    pareto_k: dict[str, Tensor]
    flags: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.gap)

    @property
    def sites(self) -> tuple[str, ...]:
        """The latent sites in the order in which the guide draws them."""
        return tuple(self.terms)

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum before its own ones, in every term, too."""
        return replace(
            self,
            terms={site: term.doubted(reason) for site, term in self.terms.items()},
            **{name: getattr(self, name).doubted(reason) for name in ("gap", "log_p", "elbo")},
            flags=tuple(reasons(reason, flag) for flag in self.flags),
        )

    def as_table(self) -> Table:
        """The mean gap, and the mean term of each site, with what the inner estimates may have moved to it."""
        rows = [
            (name, mean_with_interval(term.value, term.stderr, ""), f"{float(self.shortfall[name].nanmean()):.3f}", "")
            for name, term in self.terms.items()
        ]
        head = (
            f"log p(x) − ELBO by site, {len(self)} data: mean {mean_with_interval(self.gap.value, self.gap.stderr)}",
            *flag_counts(self.flags),
        )
        return Table(head, ("site", "mean term (nats)", "of it too high by", ""), "<>><", rows, noun="sites")

    def table(self) -> Printed:
        """Mean term of each site over data, with its error, nats."""
        total, error = self.gap.mean()
        rows = [("site", "nats", "± error"), *((n, *map("{:.3f}".format, t.mean())) for n, t in self.terms.items())]
        rows.append(("all: log p(x) − ELBO", f"{total:.3f}", f"{error:.3f}"))
        return Printed.of(aligned(rows, "<>>"))


@checked
@asked_again
def attribute_sites(
    target: Target,
    *,
    num_outer: int = 64,
    num_inner: int = 128,
    log_p: Estimate | None = None,
    seed: int = 0,
    memory_bytes: int | None = None,
) -> SiteAttribution:
    """Attribute the gap of every datum to the latent sites of the guide.

        term_i = E_q [log q(z_i | z_<i, x) − log p(x, z_≤i) + log p(x, z_<i)]

    Outer draws z ~ q; behind each of them log p(x, z_≤i) = log ∫ p(x, z) dz_>i is estimated by importance sampling of
    the later sites from the guide given the earlier ones. The sum telescopes: whatever the inner estimates are, the
    terms add up to log p(x) − ELBO. Inner estimates are lower bounds in expectation (log mean w): where the guide's
    later sites are far from the posterior, part of their term is given to the site before (`shortfall`, flagged).

    Args:
        target: programs and data.
        num_outer: draws of the guide for each datum.
        num_inner: K, draws of the later sites for each outer draw and site.
        log_p: log p(x) of the same data. By default a lattice for up to two latents, else annealing from the guide;
            importance sampling where the guide draws discrete sites.
        seed: the result of a datum is a function of (seed, datum).
        memory_bytes: byte budget for one evaluation (default 256 MiB).

    Returns:
        SiteAttribution; stderr of a term: over outer draws, the noise of the inner estimates in it, and that of log_p.

    Raises:
        ValueError: on fewer than 2 outer or inner draws, or `log_p` of other data.
        ProgramError: if sites have no densities of their own: the guide draws its latents by way of auxiliary sites, or
            is a refined one.
    """
    _check(target, num_outer, num_inner, log_p)
    cells = cells_within(target, memory_bytes)
    data_at_once = min(len(target), max(1, cells // num_inner)) if target.sliceable else len(target)
    draws_at_once = max(1, cells // (num_inner * data_at_once))
    parts = []
    with torch.no_grad():
        for begin in range(0, len(target), data_at_once):
            end = min(begin + data_at_once, len(target))
            part = target if data_at_once >= len(target) else target.select(range(begin, end))
            parts.append(_Levels.of(part, num_outer, num_inner, draws_at_once, seed))
    evidence = log_p or log_evidence_from_guide(target, num_outer * num_inner, seed, memory_bytes)
    evidence = replace(evidence, unnormalised=target.unnormalised)
    return _assembled(_Levels.joined(parts), evidence, target.cautions)


def _check(target: Target, num_outer: int, num_inner: int, log_p: Estimate | None) -> None:
    """Raise unless there are draws enough, log p(x) is of these data, and each latent site has a density of its own."""
    if num_outer < 2 or num_inner < 2:
        raise ValueError(f"num_outer and num_inner must be at least 2, got {num_outer} and {num_inner}")
    target.check_proper()
    check_same_data(target, log_p=log_p)
    if isinstance(target, RefinedTarget):
        raise ProgramError(
            "refined members are densities of all latents together: attribute the gap of Target(model, "
            "refined.program(), x), whose guide draws them site by site"
        )
    if target.structure.fills is not None and bool(target.structure.fills.any()):
        raise ProgramError(
            f"the latent sites {list(target.structure.masked)} are masked, and drawn from the prior there: the guide "
            "has no density of its own for all of them. Attribute the gap of data without masks"
        )
    if target.structure.auxiliary:
        raise ProgramError(
            f"the guide draws its latents by way of {list(target.structure.auxiliary)}, so they have no densities of "
            "their own there: write a guide that draws each latent site itself"
        )


def _assembled(levels: "_Levels", log_p: Estimate, cautions: tuple[str, ...]) -> SiteAttribution:
    """The terms of each site from what is estimated behind it."""
    zero = torch.zeros_like(levels.evidence[0])
    evidence = [log_p.value.to(zero).expand_as(zero), *levels.evidence]  # log p(x, z_≤i), `[S, B]`, i = 0 … n
    terms: dict[str, Estimate] = {}
    log_p_error = log_p.stderr.to(zero)
    for i, (name, log_q) in enumerate(levels.log_q.items()):
        value, stderr = _mean(log_q - evidence[i + 1] + evidence[i])
        terms[name] = Estimate(value, torch.hypot(stderr, log_p_error) if i == 0 else stderr, "none")
    elbo = Estimate(
        *_mean(levels.evidence[-1] - sum(levels.log_q.values(), zero)), "lower", unnormalised=log_p.unnormalised
    )
    gap = Estimate(log_p.value.to(elbo.value) - elbo.value, torch.hypot(elbo.stderr, log_p_error.cpu()), "none")
    names = list(levels.log_q)
    flags = tuple(
        reasons(cautions[b], log_p.flags[b], *(_flag(levels, names, i, b) for i in range(len(names) - 1)))
        for b in range(len(gap))
    )
    return SiteAttribution(
        terms,
        replace(gap, flags=flags),
        log_p,
        elbo,
        dict(zip(names, levels.shortfall.cpu(), strict=True)),
        dict(zip(names, levels.pareto_k.cpu(), strict=True)),
        flags,
    )


def _flag(levels: "_Levels", names: list[str], i: int, b: int) -> str:
    share, short = float(levels.heavy[i, b]), float(levels.shortfall[i, b])
    if not math.isfinite(short):
        return f"log p(x, z) given '{names[i]}' is not finite for some draws"
    if share <= _MANY:
        return ""
    return (
        f"given '{names[i]}' the weights of the later sites have heavy tails (k̂ > {K_LIMIT} for {100 * share:.0f} % "
        f"of the draws): the term of '{names[i]}' is too high and that of '{names[i + 1]}' too low, by {short:.2g} "
        "nats or more"
    )


@dataclass(frozen=True)
class _Levels:
    """What is estimated behind each site.

    Attributes:
        log_q: site -> log q(z_i | z_<i, x) at the outer draws, `[S, B]`.
        evidence: log p(x, z_≤i) for i = 1 … n, `[S, B]`; exact for the last.
        shortfall, pareto_k: `[n, B]`; see `SiteAttribution`.
        heavy: share of the outer draws with heavy inner tails, `[n, B]`.
    """

    log_q: dict[str, Tensor]
    evidence: list[Tensor]
    shortfall: Tensor
    pareto_k: Tensor
    heavy: Tensor

    @classmethod
    def of(cls, target: Target, num_outer: int, num_inner: int, draws_at_once: int, seed: int) -> "_Levels":
        """Estimate what is behind each site, for all data of a target."""
        z, _ = target.propose(num_outer, seed=seed)
        log_q = target.run("guide", _site_densities, z, num_outer)[1]
        evidence, tails = [], []  # of each level: shortfall, k̂ and the share of heavy tails, `[B]`
        for level in range(1, len(log_q)):
            given = {name: z[name] for name in list(log_q)[:level]}
            pieces = list(_inner(target, given, num_inner, draws_at_once, seed + level))
            evidence.append(torch.cat([value for value, _, _ in pieces]))
            short, k = (torch.cat([piece[j] for piece in pieces]) for j in (1, 2))
            tails.append((short.mean(0), _upper(k), (k > K_LIMIT).double().mean(0)))
        prior, likelihood = target.log_joint(z)
        evidence.append(prior + likelihood)
        tails.append((torch.zeros_like(prior[0]), torch.full_like(prior[0], -torch.inf), torch.zeros_like(prior[0])))
        return cls(log_q, evidence, *(torch.stack([level[j].double() for level in tails]) for j in range(3)))

    @classmethod
    def joined(cls, parts: "list[_Levels]") -> "_Levels":
        """The levels of all data, part after part."""
        one = parts[0]
        return cls(
            {name: torch.cat([p.log_q[name] for p in parts], 1) for name in one.log_q},
            [torch.cat(values, 1) for values in zip(*(p.evidence for p in parts), strict=True)],
            *(torch.cat([getattr(p, name) for p in parts], 1) for name in ("shortfall", "pareto_k", "heavy")),
        )


def _upper(k: Tensor) -> Tensor:
    """The 90 % quantile of k̂ over outer draws `[S, B]`, unknown ones (NaN) left out, `[B]`; NaN where all are."""
    lowered = torch.where(k.isnan(), -torch.inf, k)
    return torch.where(k.isnan().all(0), torch.nan, lowered.quantile(0.9, 0, interpolation="higher"))


def _inner(
    target: Target, given: Values, num_inner: int, draws_at_once: int, seed: int
) -> Iterator[tuple[Tensor, ...]]:
    """Yield log p(x, z_≤i) of each outer draw, how much too low it is, and k̂, `[S', B]` each, in pieces."""
    num_outer = len(next(iter(given.values())))
    for first in range(0, num_outer, draws_at_once):
        outer = {name: value[first : first + draws_at_once] for name, value in given.items()}
        count = len(next(iter(outer.values())))
        fixed = {name: value.repeat_interleave(num_inner, 0) for name, value in outer.items()}
        noise = Noise(seed, target.keys, count * num_inner, first * num_inner)
        z, terms = target.run("guide", partial(_draw_rest, noise=noise), fixed, count * num_inner, noise)
        prior, likelihood = target.log_joint(z)
        log_w = (prior + likelihood - terms["log_q"]).double().unflatten(0, (count, num_inner)).transpose(0, 1)
        value = weights.log_marginal(log_w)
        k = (
            weights.pareto_k(log_w.flatten(1)).reshape(value.shape)
            if num_inner >= _LEAST_INNER
            else torch.full_like(value, torch.nan)
        )
        yield value, weights.log_marginal_stderr(log_w).square() / 2, k


def _draw_rest(target: Target, given: Values, num_samples: int | None, arrange: Arrange, *, noise: Noise) -> Result:
    """Draws of the guide's other sites given some, and their log density."""
    structure = target.structure
    given_sites = replace(structure, latents={n: latent for n, latent in structure.latents.items() if n in given})
    # The innermost messenger comes first: sites that are set are not drawn.
    trace = target.trace("guide", num_samples, Draw(noise, arrange), Set(place(given_sites, given, num_samples)))
    log_q = torch.zeros(num_samples or 1, len(target), dtype=target.dtype, device=target.device)
    for name in structure.latents:
        if name not in given:
            log_q = log_q + structure.per_datum(site_log_prob(trace.nodes[name]), num_samples or 1, len(target))
    values = {name: trace.nodes[name]["value"] for name in structure.latents}
    return collected(target, values, num_samples), {"log_q": log_q}


def _site_densities(target: Target, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """log q(z_i | z_<i, x) of each latent site, in the order of the guide."""
    trace = target.trace("guide", num_samples, Set(place(target.structure, given, num_samples)))
    latents = target.structure.latents
    return {}, {
        name: target.structure.per_datum(site_log_prob(site), num_samples or 1, len(target)).double()
        for name, site in trace.nodes.items()
        if name in latents
    }


def _mean(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over outer draws `[S, B]` and its standard error, `[B]`."""
    return values.mean(0).cpu(), (values.std(0) / len(values) ** 0.5).cpu()
