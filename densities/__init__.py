"""How else can log p(x) be had, without an integral over z? The rivals of a VAE, to compare it with.

    p(x) = f(x) / Z,    Z = Σ_x f(x)    and what each does about Z

    density.py          Density: what all of them can be asked; Cost
    registry.py         DENSITIES by name: strings and numbers only, read without torch
    energy.py           a restricted Boltzmann machine: Z is a sum of 2^H terms
    partition_function.py   … and where it is too long, annealed
    autoregressive.py   each value given those before it, in one pass (MADE)
    flow.py             an invertible map to normal numbers, of data with noise added: Z is a determinant
    diffusion.py        noise undone step by step: a bound whose q is fixed
    diffusion_bound.py  … its terms
    denoiser.py         … its network
    probability_flow.py  … and the same network as a flow
    adversarial.py      a generator without a likelihood, with noise a program that is annealed
    adversarial_training.py  … trained
    discretised_normal.py  … its p(x|z)
    datum_noise.py      random numbers of a datum's own
    training.py         minimise: minibatches, Adam, and the parameters that were best on validation data
    reported.py         log p(x) of held-out data as it is reported
    saving.py           a density as a directory of safetensors and JSON

Read density.py first. Data are whole numbers 0 … K − 1, `[B, P]` (zeros and ones if K = 2), and log p(x) is that of
their probability, in nats per datum, so that all of them and a model of elbowroom.models can stand in one table.
Imports: torch, networks (and zuko by it), inference with what saves files and draws noise for a datum; never models or
guides. Each name
loads torch when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elbowroom.densities.adversarial import Adversarial
    from elbowroom.densities.autoregressive import MADE
    from elbowroom.densities.density import Cost, Density
    from elbowroom.densities.diffusion import Diffusion
    from elbowroom.densities.energy import RBM
    from elbowroom.densities.flow import FlowDensity
    from elbowroom.densities.partition_function import LogPartition
    from elbowroom.densities.registry import DENSITIES, density_class, make_density
    from elbowroom.densities.reported import HeldOut, held_out, mean_over_data
    from elbowroom.densities.saving import load_density, save_density

__all__ = [
    "DENSITIES",
    "MADE",
    "RBM",
    "Adversarial",
    "Cost",
    "Density",
    "Diffusion",
    "FlowDensity",
    "HeldOut",
    "LogPartition",
    "density_class",
    "held_out",
    "load_density",
    "make_density",
    "mean_over_data",
    "save_density",
]

_FILES = {
    "adversarial": ("Adversarial",),
    "autoregressive": ("MADE",),
    "density": ("Cost", "Density"),
    "diffusion": ("Diffusion",),
    "energy": ("RBM",),
    "flow": ("FlowDensity",),
    "partition_function": ("LogPartition",),
    "reported": ("HeldOut", "held_out", "mean_over_data"),
    "registry": ("DENSITIES", "density_class", "make_density"),
    "saving": ("load_density", "save_density"),
}
_HOME = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
