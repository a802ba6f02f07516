"""Arrays with names, dimensions and one line on what they are: what JSON, netCDF and ArviZ's objects are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

NATS = "nats"


@dataclass(frozen=True)
class Variable:
    """An array with named dimensions.

    Attributes:
        dims: a name for each dimension of `values`.
        values: the array.
        unit: of the values.
        about: one line on what they are.
        bound: of estimates of log p(x): what they bound in expectation.
    """

    dims: tuple[str, ...]
    values: np.ndarray
    unit: str = ""
    about: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Group:
    """Variables that share coordinates; attributes are strings and numbers."""

    variables: dict[str, Variable]
    coords: dict[str, Sequence[Any]] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


def array(value: Tensor) -> np.ndarray:
    """The tensor's numbers, on the CPU."""
    return value.detach().cpu().numpy()


def words(values: Sequence[Any]) -> np.ndarray:
    """Strings, or rows of strings, as an array of objects."""
    return np.array(values, dtype=object)


def observed_data(x: Tensor, data: Sequence[int]) -> Group:
    """The data `[B, ...]` as the variable `x` of dimensions `datum`, `x_dim_0`, …

    Raises:
        ValueError: if `x` has not one row for each datum.
    """
    if len(x) != len(data):
        raise ValueError(
            f"observed has {len(x)} rows, expected {len(data)}: the data of this result in their order, such as "
            "x[comparison.data]"
        )
    dims = ("datum", *(f"x_dim_{i}" for i in range(x.dim() - 1)))
    coords: dict[str, Sequence[Any]] = {"datum": list(data)}
    coords |= {dim: range(size) for dim, size in zip(dims[1:], x.shape[1:], strict=True)}
    return Group({"x": Variable(dims, array(x))}, coords)
