"""A comparison as an xarray DataTree and a netCDF file that ArviZ and plain xarray read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from elbowroom.inference import Comparison, Draws
from elbowroom.inference.evidence.quadrature.quadrature import LEVELS
from elbowroom.report.archives.latent_sites import Site, sites_of
from elbowroom.report.archives.netcdf import write_tree
from elbowroom.report.records.marginals import marginal_errors
from elbowroom.report.records.versions import versions

_NATS = {"units": "nats"}
_ATTRIBUTES = {"method": "method", "seed": "seed", "num_warmup": "tuning_steps", "seconds": "sampling_time"}
_PER_LATENT = ("rhat", "ess_bulk", "ess_tail", "ess_moments", "mcse_mean", "mcse_sd")
_STATISTICS = {
    "lp": {"long_name": "log p(x, z) plus the log-Jacobian of the unconstrained coordinates", "units": "nats"},
    "energy": {"long_name": "potential plus kinetic energy, the Hamiltonian of the draw", "units": "nats"},
    "n_steps": {"long_name": "gradient evaluations of this transition"},
    "acceptance_rate": {"long_name": "mean acceptance probability over the trajectory"},
    "step_size": {"long_name": "step size of the leapfrog integrator"},
    "diverging": {"long_name": "whether the trajectory diverged"},
}


def to_datatree(
    comparison: Comparison, *, observed: Tensor | None = None, attrs: Mapping[str, Any] | None = None
) -> xr.DataTree:
    """One Dataset for each group, with the dimensions and coordinates that an ArviZ user expects.

    `datum` has the data's indices in the target as coordinate; `latent` numbers the latents of a model with one vector
    site, and names them (`z[0]`, `w`) otherwise. Draws keep their sites as variables: of dimensions
    `(chain, draw, datum, latent)` for one vector site, else `(chain, draw, datum, <site>_dim_0, …)`.

    Groups:
        posterior, sample_stats, convergence: the MCMC draws, their statistics (ArviZ's names) and diagnostics, with
            ArviZ's attributes (`sampling_time` in seconds); absent if MCMC did not run.
        guide: draws of q, as one chain.
        exact: `mean`, `sd`, `covariance`, `mode`, `quantile`, number of modes and lattice points; absent without
            quadrature.
        marginals: `mean`, `sd`, `quantile`, each with its `…_stderr`, `wasserstein`, `wasserstein_noise`, `ess`,
            `evaluations`, `seconds`, `flag` by `estimator`.
        log_evidence: `elbo`, `importance`, `exact`, `kl_q_p`, `kl_p_q` with `…_stderr`, in nats, what they bound in the
            attribute `bound`; `pareto_k`, `flag`, and the identity's `identity_residual` = log p̂ − (ELBO + KL).
        observed_data: `x`, if given.

    Args:
        comparison: from `compare`.
        observed: the data compared, `[B, ...]`.
        attrs: more attributes for every group, for example the run they belong to; strings or numbers.

    Raises:
        ValueError: if `observed` has not one row for each datum.
    """
    if observed is not None and len(observed) != len(comparison.data):
        raise ValueError(
            f"observed has {len(observed)} rows, expected {len(comparison.data)}: the compared data in their order, "
            "x[comparison.data]"
        )
    sites = sites_of(comparison.latents)
    groups = {
        **({} if comparison.draws is None else _mcmc(comparison, comparison.draws, sites)),
        "guide": _draws(comparison, comparison.guide_draws.unsqueeze(0), sites),
        "marginals": _marginals(comparison, sites),
        "log_evidence": _log_evidence(comparison),
    }
    if "quadrature" in comparison.evidence:
        groups["exact"] = _exact(comparison, sites)
    if observed is not None:
        groups["observed_data"] = _observed(comparison, observed)
    common = {"creation_library": "elbowroom", **{f"{k}_version": v for k, v in versions().items()}, **(attrs or {})}
    named = {name: dataset.assign_attrs(common | dataset.attrs) for name, dataset in groups.items()}
    root = xr.Dataset(attrs={"title": "VI against MCMC against the exact posterior"} | common)
    return xr.DataTree.from_dict({"/": root, **named})


def save_netcdf(
    comparison: Comparison, path: str | Path, *, observed: Tensor | None = None, attrs: Mapping[str, Any] | None = None
) -> Path:
    """Write `to_datatree` to a netCDF file (HDF5, compressed), whole or not at all, and return its path.

    Read it with `arviz.from_netcdf(path)`, `xarray.open_datatree(path)`, or `xarray.open_dataset(path, group=…)`.
    """
    return write_tree(to_datatree(comparison, observed=observed, attrs=attrs), path)


def _mcmc(comparison: Comparison, draws: Draws, sites: Sequence[Site]) -> dict[str, xr.Dataset]:
    """The groups of the MCMC draws."""
    library = "pyro-ppl" if draws.info["method"] == "nuts" else "elbowroom"
    attrs: dict[str, Any] = {"inference_library": library, "inference_library_version": versions()[library]}
    attrs |= {_ATTRIBUTES[name]: value for name, value in draws.info.items() if name in _ATTRIBUTES}
    statistics = {
        name: (("chain", "draw", "datum"), _array(value), _STATISTICS.get(name, {}))
        for name, value in draws.stats.items()
    }
    convergence = draws.convergence
    diagnostics: dict[str, Any] = {
        name: (("datum", "latent"), _array(getattr(convergence, name))) for name in _PER_LATENT
    }
    diagnostics |= {
        "divergences": ("datum", _array(convergence.divergences)),
        **({} if convergence.ebfmi is None else {"ebfmi": ("datum", _array(convergence.ebfmi))}),
        "num_evaluations": ("datum", _array(draws.info["num_evaluations"]), {"long_name": "gradients of log p(x, z)"}),
        "flag": ("datum", np.array(convergence.flags, dtype=object)),
    }
    chains = {"chain": np.arange(draws.flat.shape[0]), "draw": np.arange(draws.flat.shape[1])}
    return {
        "posterior": _draws(comparison, draws.flat, sites).assign_attrs(attrs),
        "sample_stats": xr.Dataset(statistics, chains | {"datum": comparison.data}, attrs),
        "convergence": xr.Dataset(diagnostics, _coords(comparison, sites), attrs),
    }


def _draws(comparison: Comparison, flat: Tensor, sites: Sequence[Site]) -> xr.Dataset:
    """Draws `[chains, draws, data, N]` as one variable for each site."""
    array, variables, start = _array(flat), {}, 0
    for site in sites:
        values = array[..., start : start + site.size].reshape(*array.shape[:3], *site.shape)
        variables[site.name] = (("chain", "draw", "datum", *site.dims), values)
        start += site.size
    coords = {"chain": np.arange(len(array)), "draw": np.arange(array.shape[1]), "datum": comparison.data}
    for site in sites:
        coords |= {dim: np.arange(size) for dim, size in zip(site.dims, site.shape, strict=True)}
    return xr.Dataset(variables, coords)


def _exact(comparison: Comparison, sites: Sequence[Site]) -> xr.Dataset:
    info, exact = comparison.evidence["quadrature"].info, comparison.evidence["quadrature"]
    marginal = ("datum", "latent")
    variables = {
        "mean": (marginal, _array(info["mean"])),
        "sd": (marginal, _array(info["sd"])),
        "covariance": ((*marginal, "latent_other"), _array(info["covariance"])),
        "mode": (marginal, _array(info["mode"]), {"long_name": "highest mode of p(z|x) in unconstrained coordinates"}),
        "quantile": (("probability", *marginal), _array(info["quantiles"])),
        "log_evidence": ("datum", _array(exact.value), {**_NATS, "bound": exact.bound}),
        "log_evidence_error": ("datum", _array(exact.stderr), _NATS),
        "num_modes": ("datum", _array(info["num_modes"])),
        "num_points": ("datum", _array(info["num_points"]), {"long_name": "lattice points"}),
    }
    coords = _coords(comparison, sites)
    coords |= {"latent_other": coords["latent"], "probability": np.array(info["levels"])}
    return xr.Dataset(variables, coords, {"method": "quadrature"})


def _marginals(comparison: Comparison, sites: Sequence[Site]) -> xr.Dataset:
    methods = list(comparison.posteriors)
    posteriors = list(comparison.posteriors.values())
    errors = [marginal_errors(comparison, method) for method in methods]
    levels = posteriors[0].mean.new_tensor(LEVELS).double()
    absent = np.full(posteriors[0].mean.shape, np.nan)

    def distance(by_method: Mapping[str, Tensor]) -> np.ndarray:
        return np.stack([_array(by_method[m]) if m in by_method else absent for m in methods])

    marginal = ("estimator", "datum", "latent")
    quantile = ("estimator", "probability", "datum", "latent")
    variables = {
        "mean": (marginal, np.stack([_array(p.mean) for p in posteriors])),
        "mean_stderr": (marginal, np.stack([_array(p.mean_stderr) for p in posteriors])),
        "sd": (marginal, np.stack([_array(p.sd) for p in posteriors])),
        "sd_stderr": (marginal, np.stack([_array(e.sd) for e in errors])),
        "quantile": (quantile, np.stack([_array(p.quantiles(levels)) for p in posteriors])),
        "quantile_stderr": (quantile, np.stack([_array(e.quantiles) for e in errors])),
        "wasserstein": (marginal, distance(comparison.wasserstein), {"units": "of the latent"}),
        "wasserstein_noise": (marginal, distance(comparison.wasserstein_floor), {"units": "of the latent"}),
        "ess": (("estimator", "datum"), np.stack([_array(p.ess) for p in posteriors])),
        "evaluations": (("estimator", "datum"), np.stack([_array(p.evaluations) for p in posteriors])),
        "seconds": (
            "estimator",
            np.array([p.seconds for p in posteriors]),
            {"units": "s", "long_name": "for all data"},
        ),
        "flag": (("estimator", "datum"), np.array([p.flags for p in posteriors], dtype=object)),
    }
    coords = _coords(comparison, sites) | {"estimator": methods, "probability": np.array(LEVELS)}
    return xr.Dataset(variables, coords, {"reference": comparison.reference or "none"})


def _log_evidence(comparison: Comparison) -> xr.Dataset:
    sampled = comparison.evidence["importance"]
    values = {
        "elbo": (sampled.info["elbo"], {**_NATS, "bound": "lower"}),
        "elbo_stderr": (sampled.info["elbo_stderr"], _NATS),
        "importance": (sampled.value, {**_NATS, "bound": sampled.bound}),
        "importance_stderr": (sampled.stderr, _NATS),
        "pareto_k": (sampled.info["pareto_k"], {"long_name": "Pareto tail index of the importance weights"}),
        "kl_q_p": (comparison.kl_q_p, {**_NATS, "long_name": "KL(q(z|x) ‖ p(z|x)), the room above the ELBO"}),
        "kl_q_p_stderr": (comparison.kl_q_p_stderr, _NATS),
        "kl_p_q": (comparison.kl_p_q, {**_NATS, "long_name": "KL(p(z|x) ‖ q(z|x))"}),
        "kl_p_q_stderr": (comparison.kl_p_q_stderr, _NATS),
    }
    if "quadrature" in comparison.evidence:
        exact = comparison.evidence["quadrature"]
        values |= {"exact": (exact.value, {**_NATS, "bound": "exact"}), "exact_stderr": (exact.stderr, _NATS)}
    if comparison.identity is not None:
        both = comparison.identity
        values |= {"identity_residual": (both.residual, _NATS), "identity_stderr": (both.stderr, _NATS)}
    variables: dict[str, Any] = {name: ("datum", _array(value), about) for name, (value, about) in values.items()}
    variables["flag"] = ("datum", np.array(sampled.flags, dtype=object), {"long_name": "why not to trust importance"})
    attrs = {"num_samples": sampled.info["num_samples"], **_NATS}
    return xr.Dataset(variables, {"datum": comparison.data}, attrs)


def _observed(comparison: Comparison, observed: Tensor) -> xr.Dataset:
    dims = ("datum", *(f"x_dim_{i}" for i in range(observed.dim() - 1)))
    coords = {"datum": comparison.data} | {d: np.arange(n) for d, n in zip(dims[1:], observed.shape[1:], strict=True)}
    return xr.Dataset({"x": (dims, _array(observed))}, coords)


def _coords(comparison: Comparison, sites: Sequence[Site]) -> dict[str, Any]:
    """The coordinates of the data and of all scalar latents."""
    plain = len(sites) == 1 and sites[0].dims == ("latent",)
    return {"datum": comparison.data, "latent": np.arange(sites[0].size) if plain else comparison.latents}


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy()
