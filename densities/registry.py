"""The densities by name: strings and numbers only, read without torch.

A new density is a file and one line here: the command line offers it, the contract tests run it, and the table that
compares all of them lists it.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from elbowroom.entrances import checked

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


class Entry(NamedTuple):
    """One density.

    Attributes:
        where: `"file:Class"` in this folder, imported when the first one is built.
        data: `"binary"`, `"levels"`, or both: `"any"`.
        tiny: the constructor's arguments for the contract tests' instance.
        options: arguments of the constructor that make it this density, whatever else is asked for.
        needs: the module that it is made of, which is installed by an extra; empty if it needs none.
    """

    where: str
    data: str
    tiny: Mapping[str, Any]
    options: Mapping[str, Any] = NO_OPTIONS
    needs: str = ""


DENSITIES: dict[str, Entry] = {
    "rbm": Entry("energy:RBM", "binary", {"num_hidden": 3}),
    "made": Entry("autoregressive:MADE", "any", {"hidden": (8,)}),
    "flow-spline": Entry("flow:FlowDensity", "any", {"hidden": (8,), "num_layers": 1}, {"kind": "spline"}, "zuko"),
    "flow-maf": Entry("flow:FlowDensity", "any", {"hidden": (8,), "num_layers": 1}, {"kind": "maf"}, "zuko"),
    "flow-coupling": Entry("flow:FlowDensity", "any", {"hidden": (8,), "num_layers": 2}, {"kind": "coupling"}, "zuko"),
    "diffusion": Entry("diffusion:Diffusion", "any", {"hidden": (8,)}),
    "gan": Entry(
        "adversarial:Adversarial",
        "any",
        {"latent_dim": 2, "hidden": (8,), "num_steps": 4, "num_chains": 16, "sigma": 0.3},
    ),
}
"""Name -> where the class is, the kind of its data, and a tiny instance of it for tests."""


@checked
def density_class(name: str) -> Any:
    """The constructor of the density called `name`.

    Raises:
        ValueError: for a name that is not in `DENSITIES`.
    """
    if name not in DENSITIES:
        raise ValueError(f"name: got density {name!r}, expected one of {', '.join(DENSITIES)}")
    file, _, attribute = DENSITIES[name].where.partition(":")
    return getattr(import_module(f"elbowroom.densities.{file}"), attribute)


@checked
def make_density(name: str, data_dim: int, *, seed: int = 0, **options: Any) -> Any:
    """A density of the registry for data `[B, data_dim]`; its parameters are drawn from the seed.

    Raises:
        TypeError, ValueError: for an unknown name, or options that its constructor refuses.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return density_class(name)(data_dim, **{**DENSITIES[name].options, **options})
