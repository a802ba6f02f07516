"""Convergence of Markov chains, by ArviZ, for every datum and latent at once."""

import warnings
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gates:
    """What draws must pass before they may be called a reference (Vehtari et al. 2021, sections 4 and 5).

    Attributes:
        rhat: largest rank-normalised split R-hat.
        ess_per_chain: smallest bulk and tail effective sample size, for each chain.
        divergences: largest number of divergent transitions.
    """

    rhat: float = 1.01
    ess_per_chain: float = 100.0
    divergences: int = 0


@dataclass(frozen=True)
class Convergence:
    """Diagnostics of draws `[chains, draws, data, latents]`.

    Attributes:
        rhat: rank-normalised split R-hat, `[B, N]`.
        ess_bulk, ess_tail: effective sample sizes, `[B, N]`.
        mcse_mean: Monte Carlo standard error of the posterior mean, `[B, N]`.
        divergences: divergent transitions after warm-up, `[B]`.
        flags: for each datum the reason why its draws are no reference, or an empty string.
    """

    rhat: Tensor
    ess_bulk: Tensor
    ess_tail: Tensor
    mcse_mean: Tensor
    divergences: Tensor
    flags: tuple[str, ...]


def convergence(z: Tensor, diverging: Tensor, gates: Gates | None = None) -> Convergence:
    """Diagnose draws `z` `[C, T, B, N]` with divergence marks `[C, T, B]`."""
    gates = gates or Gates()
    az, xr = _arviz()
    dims = ("chain", "draw", "datum", "latent")
    data = xr.Dataset({"z": (dims, z.detach().double().cpu().numpy())})
    results = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chains that never move divide by zero; the result says NaN
        results["rhat"] = az.rhat(data, method="rank")["z"]
        results["ess_bulk"] = az.ess(data, method="bulk")["z"]
        results["ess_tail"] = az.ess(data, method="tail")["z"]
        results["mcse_mean"] = az.mcse(data, method="mean")["z"]
    tensors = {name: torch.from_numpy(value.values) for name, value in results.items()}
    divergences = diverging.sum((0, 1)).cpu()
    flags = tuple(
        _flag(tensors["rhat"][b], tensors["ess_bulk"][b], tensors["ess_tail"][b], int(divergences[b]), len(z), gates)
        for b in range(z.shape[2])
    )
    return Convergence(**tensors, divergences=divergences, flags=flags)


def _flag(rhat: Tensor, bulk: Tensor, tail: Tensor, divergences: int, num_chains: int, gates: Gates) -> str:
    least = gates.ess_per_chain * num_chains
    told = []
    if num_chains < 2:
        told.append("one chain cannot show disagreement (run at least 2, better 4)")
    if bool(rhat.isnan().any()):
        told.append("R-hat is undefined (a chain that never moved, or too few draws)")
    elif rhat.max() > gates.rhat:
        told.append(f"R-hat {rhat.max():.4f} > {gates.rhat}: the chains disagree")
    if float(torch.minimum(bulk, tail).min()) < least:
        told.append(f"effective sample size {torch.minimum(bulk, tail).min():.0f} < {least:.0f}")
    if divergences > gates.divergences:
        told.append(f"{divergences} divergent transitions")
    return "; ".join(told)


def _arviz() -> tuple[ModuleType, ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces its own refactoring on import
        import arviz as az
        import xarray as xr
    return az, xr
