"""Names that options take, known before anything heavy is imported; tests hold them against the registries."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from elbowroom.commands.arguments.places import beside
from elbowroom.commands.arguments.ranges import value_of
from elbowroom.commands.arguments.spelling import meant, nearest
from elbowroom.guides.registry import GUIDES
from elbowroom.models.registry import MODELS

DATA_SETS = ("digits", "linear-system", "topics-simulated", "mnist", "fashion-mnist", "omniglot", "freyfaces")
LIKELIHOODS = (
    "bernoulli", "normal-fixed", "normal-learned", "normal-heteroscedastic", "beta", "continuous-bernoulli", "binomial",
    "categorical", "discretised-logistic", "poisson", "negative-binomial", "zero-inflated-negative-binomial",
    "multinomial",
)  # fmt: skip
LOSSES = (
    "Trace_ELBO", "TraceMeanField_ELBO", "TraceEnum_ELBO", "RenyiELBO", "IWAE", "Renyi", "STL", "DReG",
    "score-function", "reweighted-wake-sleep", "semi-supervised", "exact", "quantized",
)  # fmt: skip

NAMES: Mapping[str, Collection[str]] = {
    "programs.model": MODELS,
    "programs.guide": GUIDES,
    "programs.likelihood": LIKELIHOODS,
    "programs.activation": ("tanh", "silu", "softplus", "gelu", "elu", "relu"),
    "networks.likelihood": LIKELIHOODS,
    "training.optimizer": ("Adam", "AdamW", "SGD"),
    "training.schedule": ("constant", "cosine", "exponential"),
    "training.kl_weight": ("constant", "linear", "cyclical"),
    "training.loss": LOSSES,
}
"""Option -> the names that it takes; in the place of a model and a guide also module:name."""

ENDINGS = (".npy", ".npz", ".mat", ".pt", ".safetensors", ".csv", ".tsv", ".parquet", ".h5ad", ".amat", ".gz")
"""Of data files, by which a name is seen to be one."""

_OWN = ("programs.model", "programs.guide")


def check_names(options: Any) -> None:
    """Refuse a name that its registry does not have.

    Raises:
        ValueError: naming the option, and what was likely meant.
    """
    for option, names in NAMES.items():
        value = value_of(options, option)
        own = option in _OWN and ":" in str(value)
        if value is not None and value not in names and not own:
            raise ValueError(_unknown(option, value, names))
    name = value_of(options, "data.name")
    if name is not None:
        _check_data(name, options.data.dir)


def _unknown(option: str, value: str, names: Collection[str]) -> str:
    near = nearest(value, names)
    or_own = ", or your own as module:name" if option in _OWN else ""
    told = meant(near) if near else f", expected one of {', '.join(names)}{or_own}"
    return f"--{option}: got {value!r}{told}"


def _check_data(name: str, folder: str | None) -> None:
    """A named set, or a file or folder that is there; what a file holds is another matter."""
    if name.lower().replace("_", "-") in DATA_SETS:
        return
    path = Path(name).expanduser()
    roots = [Path(root).expanduser() for root in (folder, os.environ.get("ELBOWROOM_DATA")) if root]
    places = [path, *(root / path for root in roots)]
    if any(place.exists() for place in places) or (folder and not roots[0].is_dir()):
        return
    near_file = next((near for place in reversed(places) if (near := beside(place)) is not None), None)
    if path.suffix.lower() in ENDINGS or len(path.parts) > 1:
        where = " or ".join(str(place) for place in places)
        raise FileNotFoundError(f"--data.name {name}: no such file: {where}{meant(near_file)}")
    near = nearest(name, DATA_SETS) or near_file
    told = meant(near) if near else f"; known are {', '.join(DATA_SETS)}, or give a file or a folder of pictures"
    raise ValueError(f"--data.name {name}: unknown data set {name!r}{told}")
