"""A comparison as named arrays with dimensions: the one source of its netCDF file and of its ArviZ object."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference import Comparison
from elbowroom.inference.evidence.quadrature.quadrature import LEVELS
from elbowroom.report.records.draws_groups import draws_group, mcmc_groups
from elbowroom.report.records.estimate_groups import evidence_group
from elbowroom.report.records.groups import NATS, Group, Variable, array, words
from elbowroom.report.records.latent_sites import Site, by_site, latent_labels, sites_of
from elbowroom.report.records.marginals import marginal_errors


def comparison_groups(comparison: Comparison) -> dict[str, Group]:
    """Groups by name; `to_datatree` lists them with their variables."""
    sites = sites_of(comparison.latents)
    guide = by_site(comparison.guide_draws.unsqueeze(0), sites)  # as one chain
    groups = {
        **({} if comparison.draws is None else mcmc_groups(comparison.draws, comparison.data)),
        "guide": draws_group(guide, sites, comparison.data),
        "marginals": _marginals(comparison, sites),
        "log_evidence": evidence_group(comparison),
    }
    if "quadrature" in comparison.evidence:
        groups["exact"] = _exact(comparison, sites)
    return groups


def _exact(comparison: Comparison, sites: Sequence[Site]) -> Group:
    exact = comparison.evidence["quadrature"]
    info, marginal = exact.info, ("datum", "latent")
    about = "highest mode of p(z|x) in unconstrained coordinates"
    variables = {
        "mean": Variable(marginal, array(info["mean"])),
        "sd": Variable(marginal, array(info["sd"])),
        "covariance": Variable((*marginal, "latent_other"), array(info["covariance"])),
        "mode": Variable(marginal, array(info["mode"]), about=about),
        "quantile": Variable(("probability", *marginal), array(info["quantiles"])),
        "log_evidence": Variable(("datum",), array(exact.value), NATS, bound=exact.bound),
        "log_evidence_error": Variable(("datum",), array(exact.stderr), NATS),
        "num_modes": Variable(("datum",), array(info["num_modes"])),
        "num_points": Variable(("datum",), array(info["num_points"]), about="lattice points"),
    }
    coords = _coords(comparison, sites)
    coords |= {"latent_other": coords["latent"], "probability": list(info["levels"])}
    return Group(variables, coords, {"method": "quadrature"})


def _marginals(comparison: Comparison, sites: Sequence[Site]) -> Group:
    methods = list(comparison.posteriors)
    posteriors = list(comparison.posteriors.values())
    errors = [marginal_errors(comparison, method) for method in methods]
    levels = posteriors[0].mean.new_tensor(LEVELS).double()
    absent = torch.full_like(posteriors[0].mean, torch.nan)

    def stacked(dims: tuple[str, ...], tensors: Sequence[Tensor], unit: str = "") -> Variable:
        return Variable(("estimator", *dims), np.stack([array(tensor) for tensor in tensors]), unit)

    def distance(by_method: Mapping[str, Tensor]) -> Variable:
        return stacked(marginal, [by_method.get(method, absent) for method in methods], "of the latent")

    marginal, quantile = ("datum", "latent"), ("probability", "datum", "latent")
    variables = {
        "mean": stacked(marginal, [p.mean for p in posteriors]),
        "mean_stderr": stacked(marginal, [p.mean_stderr for p in posteriors]),
        "sd": stacked(marginal, [p.sd for p in posteriors]),
        "sd_stderr": stacked(marginal, [e.sd for e in errors]),
        "quantile": stacked(quantile, [p.quantiles(levels) for p in posteriors]),
        "quantile_stderr": stacked(quantile, [e.quantiles for e in errors]),
        "wasserstein": distance(comparison.wasserstein),
        "wasserstein_noise": distance(comparison.wasserstein_floor),
        "ess": stacked(("datum",), [p.ess for p in posteriors]),
        "evaluations": stacked(("datum",), [p.evaluations for p in posteriors]),
        "seconds": Variable(("estimator",), np.array([p.seconds for p in posteriors]), "s", "for all data"),
        "flag": Variable(("estimator", "datum"), words([p.flags for p in posteriors])),
    }
    coords = _coords(comparison, sites) | {"estimator": methods, "probability": list(LEVELS)}
    return Group(variables, coords, {"reference": comparison.reference or "none"})


def _coords(comparison: Comparison, sites: Sequence[Site]) -> dict[str, Sequence[Any]]:
    """The coordinates of the data and of all scalar latents."""
    return {"datum": comparison.data, "latent": latent_labels(comparison.latents, sites)}
