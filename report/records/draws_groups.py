"""Markov chains as named arrays: draws, statistics of each draw in ArviZ's names, and diagnostics of each datum."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from elbowroom.inference import Draws
from elbowroom.report.records.groups import NATS, Group, Variable, array, words
from elbowroom.report.records.latent_sites import Site, latent_labels, sites
from elbowroom.report.records.versions import versions

CONVERGENCE = {
    "rhat": "rank-normalised split R-hat",
    "ess_bulk": "effective sample size of the ranks",
    "ess_tail": "effective sample size of the 5 % and 95 % quantiles",
    "ess_moments": "effective sample size of mean and square",
    "mcse_mean": "Monte Carlo standard error of the posterior mean",
    "mcse_sd": "Monte Carlo standard error of the posterior sd",
}
_STATISTICS = {
    "lp": ("log p(x, z) plus the log-Jacobian of the unconstrained coordinates", NATS),
    "energy": ("potential plus kinetic energy, the Hamiltonian of the draw", NATS),
    "n_steps": ("gradient evaluations of this transition", ""),
    "acceptance_rate": ("mean acceptance probability over the trajectory", ""),
    "step_size": ("step size of the leapfrog integrator", ""),
    "diverging": ("whether the trajectory diverged", ""),
}
_FACTS = {
    "method": "method", "seed": "seed", "num_warmup": "num_warmup",
    "tuning_steps": "num_warmup", "sampling_time": "seconds",
}  # fmt: skip
"""Attribute -> what `Draws.info` calls it. The last two are ArviZ's names, of which `num_warmup` has ours too."""


def mcmc_groups(draws: Draws, data: Sequence[int]) -> dict[str, Group]:
    """The groups of Markov chains.

    posterior: a variable for each latent site, of dimensions `chain`, `draw`, `datum` and the site's own (see
        `latent_sites.sites`).
    sample_stats: statistics of each draw by `chain`, `draw`, `datum`, in ArviZ's names.
    convergence: `rhat`, `ess_bulk`, `ess_tail`, `ess_moments`, `mcse_mean`, `mcse_sd` by `datum` and `latent`;
        `divergences`, `ebfmi` (of samplers that keep energies), `num_evaluations`, `flag` by `datum`.

    Args:
        draws: of B data.
        data: their B indices, the coordinate `datum`.
    """
    attrs = _how(draws)
    posterior = draws_group(draws.z, sites({name: tuple(z.shape[3:]) for name, z in draws.z.items()}), data)
    statistics = {
        name: Variable(("chain", "draw", "datum"), array(value), unit, about)
        for name, value in draws.stats.items()
        for about, unit in [_STATISTICS.get(name, ("", ""))]
    }
    by_draw = {dim: posterior.coords[dim] for dim in ("chain", "draw", "datum")}
    return {
        "posterior": Group(posterior.variables, posterior.coords, attrs),
        "sample_stats": Group(statistics, by_draw, attrs),
        "convergence": Group(*_diagnostics(draws, data), attrs),
    }


def draws_group(z: Mapping[str, Tensor], sites: Sequence[Site], data: Sequence[int]) -> Group:
    """Draws by site, `[chains, draws, data, *shape]`, as one variable for each site."""
    first = next(iter(z.values()))
    coords: dict[str, Sequence[Any]] = {"chain": range(len(first)), "draw": range(first.shape[1]), "datum": list(data)}
    variables = {}
    for site in sites:
        about = "" if site.variable == site.name else f"latent site {site.name!r}"
        dims = ("chain", "draw", "datum", *site.dims)
        variables[site.variable] = Variable(dims, array(z[site.name]), about=about)
        coords |= {dim: range(size) for dim, size in zip(site.dims, site.shape, strict=True)}
    return Group(variables, coords)


def _how(draws: Draws) -> dict[str, Any]:
    """How the chains were made, as attributes."""
    library = "pyro-ppl" if draws.info["method"] == "nuts" else "elbowroom"
    attrs: dict[str, Any] = {"inference_library": library, "inference_library_version": versions()[library]}
    info: Mapping[str, Any] = draws.info
    return attrs | {name: info[key] for name, key in _FACTS.items() if key in info}


def _diagnostics(draws: Draws, data: Sequence[int]) -> tuple[dict[str, Variable], dict[str, Sequence[Any]]]:
    found = draws.convergence
    variables = {
        name: Variable(("datum", "latent"), array(getattr(found, name)), about=about)
        for name, about in CONVERGENCE.items()
    }
    variables["divergences"] = Variable(("datum",), array(found.divergences), about="divergent transitions")
    if found.ebfmi is not None:
        about = "energy Bayesian fraction of missing information, the smallest of the chains"
        variables["ebfmi"] = Variable(("datum",), array(found.ebfmi), about=about)
    gradients = array(draws.info["num_evaluations"])
    variables["num_evaluations"] = Variable(("datum",), gradients, about="gradients of log p(x, z)")
    variables["flag"] = Variable(("datum",), words(found.flags), about="why the draws are no reference")
    ours = sites({name: tuple(z.shape[3:]) for name, z in draws.z.items()})
    return variables, {"datum": list(data), "latent": latent_labels(draws.latents, ours)}
