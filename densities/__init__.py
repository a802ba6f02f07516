"""How else can log p(x) be had, without an integral over z? The rivals of a VAE, to compare it with.

    p(x) = f(x) / Z,    Z = Σ_x f(x)    and what each does about Z

    density.py          Density: what all of them can be asked; Cost
    registry.py         DENSITIES by name: strings and numbers only, read without torch
    training.py         minimise: minibatches, Adam, and the parameters that were best on validation data
    saving.py           a density as a directory of safetensors and JSON

Read density.py first. Data are whole numbers 0 … K − 1, `[B, P]` (zeros and ones if K = 2), and log p(x) is that of
their probability, in nats per datum, so that all of them and a model of elbowroom.models can stand in one table.
Imports: torch, zuko by `networks`, and inference's public names with what saves files; never models, guides.
"""

from elbowroom.densities.density import Cost, Density
from elbowroom.densities.registry import DENSITIES, density_class, make_density
from elbowroom.densities.saving import load_density, save_density

__all__ = [
    "DENSITIES",
    "Cost",
    "Density",
    "density_class",
    "load_density",
    "make_density",
    "save_density",
]
