"""VI against MCMC against the exact posterior, for chosen data."""

import time
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.diagnostics.comparison_result import Comparison, Evidence, Identity
from elbowroom.inference.diagnostics.marginals import (
    GRID_LEVELS,
    from_draws,
    from_guide,
    from_quadrature,
    wasserstein,
    wasserstein_floor,
)
from elbowroom.inference.diagnostics.second_sampler import NUM_CHAINS, SecondSampler, second_sampler
from elbowroom.inference.estimate import with_contradictions
from elbowroom.inference.evaluation.budget import check_fits
from elbowroom.inference.evaluation.clock import Budget, budget_words, read_budget
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.quadrature.quadrature import MAX_DIM, quadrature
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.mcmc.convergence import Gates
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.nuts import TooSlow, nuts
from elbowroom.inference.programs.arguments import picked_rows
from elbowroom.inference.target import Target


@checked
def compare(
    target: Target,
    data: Sequence[int] | None = None,
    *,
    num_samples: int = 5000,
    mcmc: bool | Literal["nuts", "hmc"] = True,
    num_checked: int = 0,
    num_chains: int = 4,
    num_warmup: int = 300,
    num_draws: int = 500,
    seed: int = 0,
    gates: Gates | None = None,
    budget: Budget | None = None,
    progress: bool = False,
) -> Comparison:
    """Compare the guide with importance sampling, MCMC and (up to three latents) the exact posterior, datum by datum.

    Args:
        target: programs and data.
        data: indices of the data to compare (default: all; NUTS takes seconds for each).
        num_samples: draws of the guide, for its marginals and for importance sampling.
        mcmc: `"nuts"` or True: Pyro's NUTS, one datum after the other; `"hmc"`: `hmc`, which runs all data at once;
            False: none.
        num_checked: with `mcmc="hmc"`, the first so many data are sampled by NUTS too, an independent implementation:
            `check` says whether both agree. NUTS runs two of the chains, one after the other: enough for its gates.
        num_chains, num_warmup, num_draws, gates: of MCMC.
        budget: of NUTS, in seconds, or a number of evaluations; by default there is no limit. It takes the data in
            their order as long as they fit: the others are left out of the comparison, or, where not one fits, NUTS is;
            `notes` says what it would take.
        seed: of everything random.
        progress: show progress bars on whatever takes longer than two seconds.

    Raises:
        ProgramError, ValueError: as `Target.select`, `importance` and `nuts` do.
    """
    _check(num_samples, mcmc, num_checked, budget)
    check_fits(target, num_samples=num_samples)
    chosen = list(range(len(target))) if data is None else picked_rows(data, len(target), "data").tolist()
    part = target if data is None else target.select(chosen)
    dim = Coordinates.of(part).dim
    if dim == 0:
        raise ValueError(
            "compare is about posteriors of continuous latents, and this target has none: its finite discrete ones are "
            "summed out, log p(x) is exact by quadrature(target), and there is nothing to approximate"
        )
    small = dim <= MAX_DIM
    sizes = {"num_chains": num_chains, "num_warmup": num_warmup, "num_draws": num_draws}
    options: dict[str, Any] = {**sizes, "seed": seed, "gates": gates, "progress": progress}
    draws, check, notes = _by_mcmc(part, chosen, mcmc, num_checked, budget, options)
    if draws is not None and len(draws) < len(part):
        part, chosen = part.select(range(len(draws))), chosen[: len(draws)]
    # The weights are those of `importance` with this seed, so that one datum has one k̂; q's draws are others.
    guide, reweighted, draws_of_q = from_guide(part, num_samples, seed + 1)
    # Where the exact posterior is, nothing more needs to be looked for.
    sampled = importance(part, num_samples=num_samples, seed=seed, progress=progress, search=False if small else None)
    evidence: Evidence = {"importance": sampled}
    posteriors = {"guide": guide, "importance": reweighted}
    if draws is not None:
        posteriors[draws.info["method"]] = from_draws(draws)
    if small:
        begin = time.perf_counter()
        exact = quadrature(part, quantiles=GRID_LEVELS.tolist(), progress=progress)
        evidence["quadrature"] = exact
        posteriors["quadrature"] = from_quadrature(exact, time.perf_counter() - begin)
        checked = with_contradictions({"importance": sampled, "exact": exact})
        evidence = {"importance": checked["importance"], "quadrature": checked["exact"]}
    reference = "quadrature" if small else None
    if not small and draws is not None and not any(draws.flags):
        reference = draws.info["method"]
    others = [m for m in posteriors if m != reference] if reference else []
    kl = _divergences(part, evidence, draws)
    return Comparison(
        data=chosen,
        latents=target.latent_names,
        posteriors=posteriors,
        evidence=evidence,
        reference=reference,
        **kl,
        wasserstein={m: wasserstein(posteriors[m], posteriors[reference or ""]) for m in others},
        wasserstein_floor={m: wasserstein_floor(posteriors[reference or ""], posteriors[m].ess) for m in others},
        identity=_identity(part, evidence, num_samples, seed),
        draws=draws,
        check=check,
        guide_draws=draws_of_q,
        notes=notes,
    )


def _check(num_samples: int, mcmc: bool | str, num_checked: int, budget: Budget | None) -> None:
    if budget is not None:
        read_budget(budget)
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, got {num_samples}")
    if mcmc not in (True, False, "nuts", "hmc"):
        raise ValueError(f"mcmc: got {mcmc!r}, expected 'nuts', 'hmc', or False for none")
    if num_checked and mcmc != "hmc":
        raise ValueError(f"num_checked: got {num_checked} with mcmc={mcmc!r}; NUTS is a check of mcmc='hmc'")


def _by_mcmc(
    target: Target,
    chosen: list[int],
    mcmc: bool | str,
    num_checked: int,
    budget: Budget | None,
    options: dict[str, Any],
) -> tuple[Draws | None, SecondSampler | None, tuple[str, ...]]:
    """Draws by the sampler that was asked for, its check if there is one, and what there was no room for."""
    if not mcmc:
        return None, None, ()
    if mcmc != "hmc":
        draws, notes = _by_nuts(target, budget, **options)
        return draws, None, notes
    draws = hmc(target, **options)
    return draws, *_checked(target, chosen, draws, num_checked, budget, options)


def _checked(
    target: Target, chosen: list[int], draws: Draws, count: int, budget: Budget | None, options: dict[str, Any]
) -> tuple[SecondSampler | None, tuple[str, ...]]:
    """NUTS on the first so many data, held against the draws that there are."""
    if not count:
        return None, ()
    rows = list(range(min(count, len(target))))
    few = {**options, "num_chains": min(NUM_CHAINS, options["num_chains"])}
    by_nuts, notes = _by_nuts(target.select(rows), budget, **few)
    if by_nuts is None:
        return None, notes
    rows = rows[: len(by_nuts)]
    return second_sampler([chosen[b] for b in rows], draws.select(rows), by_nuts), ()


def _by_nuts(target: Target, budget: Budget | None, **options: Any) -> tuple[Draws | None, tuple[str, ...]]:
    """Draws of the data for which the budget has room, and what there was no room for."""
    everything = range(len(target)) if target.sliceable else None
    try:
        draws = nuts(target, everything, budget=budget, **options)
    except TooSlow as slow:
        return None, (f"Without NUTS: {slow}",)
    if len(draws) == len(target):
        return draws, ()
    pace = f"{draws.info['seconds'] / len(draws):.3g} s for one datum"
    return draws, (
        f"The first {len(draws)} of {len(target)} data only: NUTS took {pace}, and its budget, "
        f"{budget_words(budget or torch.inf)}, has no room for more",
    )


def _divergences(target: Target, evidence: Evidence, draws: Draws | None) -> dict[str, Tensor]:
    if "quadrature" in evidence:
        exact = evidence["quadrature"]
        return {
            "kl_q_p": exact.info["kl_q_p"],
            "kl_q_p_stderr": exact.stderr,
            "kl_p_q": exact.info["kl_p_q"],
            "kl_p_q_stderr": exact.stderr,
        }
    sampled = evidence["importance"]
    reverse = sampled.value - sampled.info["elbo"]
    reverse_stderr = (sampled.stderr**2 + sampled.info["elbo_stderr"] ** 2).sqrt()
    forward = forward_stderr = torch.full_like(reverse, torch.nan)
    if draws is not None:
        z = {name: value.flatten(0, 1) for name, value in draws.z.items()}
        with torch.no_grad():
            prior, likelihood = target.log_joint(z)
            ratio = (prior + likelihood - target.log_guide(z)).double().cpu()
        forward = ratio.mean(0) - sampled.value
        ess = draws.convergence.ess_bulk.amin(1)
        forward_stderr = (ratio.var(0) / ess + sampled.stderr**2).sqrt()
    return {
        "kl_q_p": reverse,
        "kl_q_p_stderr": reverse_stderr,
        "kl_p_q": forward,
        "kl_p_q_stderr": forward_stderr,
    }


def _identity(target: Target, evidence: Evidence, num_samples: int, seed: int) -> Identity | None:
    if "quadrature" not in evidence:
        return None
    other = importance(target, num_samples=num_samples, seed=seed + 2, search=False)
    sampled = evidence["importance"]
    return Identity(
        log_p=sampled.value,
        log_p_stderr=sampled.stderr,
        elbo=other.info["elbo"],
        elbo_stderr=other.info["elbo_stderr"],
        kl=evidence["quadrature"].info["kl_q_p"],
    )
