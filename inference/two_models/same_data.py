"""Whether two targets are densities of the same data, in the same units: else their log p(x) cannot be compared."""

from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.supports import entry_support
from elbowroom.inference.target import Target

_TOLERANCE = 1e-6  # relative: one may hold the data in 32 bits and the other in 64


def check_comparable(names: tuple[str, str], a: Target, b: Target) -> None:
    """Refuse two targets whose log p(x) have no difference that means anything.

    Values may stand in another order or shape (channels first or last), as long as it is a datum's own values.

    Raises:
        ValueError: other numbers of data, other values, values on another scale, or a probability against a density.
    """
    if len(a) != len(b):
        raise ValueError(
            f"{names[0]} is pinned to {len(a)} data and {names[1]} to {len(b)}: they are compared datum by datum, so "
            "give both the same data in the same order"
        )
    (x, x_counts), (y, y_counts) = _observed(names[0], a), _observed(names[1], b)
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{names[0]} observes {x.shape[1]} values of each datum and {names[1]} observes {y.shape[1]}: log p(x) of "
            "more values is another quantity"
        )
    if x_counts != y_counts:
        discrete, real = names if x_counts else names[::-1]
        raise ValueError(
            f"{discrete} gives the data probabilities and {real} a density, which have no common unit. Compare "
            "models of one kind: a density of dequantised integers bounds their probability (elbowroom.datasets."
            "dequantised)"
        )
    if not _close(x, y):
        raise ValueError(_other_values(names, x, y))


def _observed(name: str, target: Target) -> tuple[Tensor, bool]:
    """A datum's observed values in a row, in the order of their size, `[B, P]`, and whether they are counted."""
    rows, counts = [], []
    for program, kind, _, record in target.sites():
        if program == "model" and kind == "observed":
            rows.append(_of_each_datum(target, record))
            counts.append(bool(getattr(entry_support(record["fn"]), "is_discrete", False)))
    if not rows:
        raise ValueError(f"{name} observes nothing: it has no log p(x)")
    return torch.cat(rows, 1).sort(1).values, all(counts)


def _of_each_datum(target: Target, record: Any) -> Tensor:
    """The values of an observed site, `[B, …]` flattened; of data that have programs of their own, what names them."""
    structure, fn = target.structure, record["fn"]
    if structure.separate:
        return torch.from_numpy(target.keys.astype("float64")).unsqueeze(1)
    value = torch.as_tensor(record["value"]).detach().double().cpu()
    if structure.data_dim is not None:
        value = value.expand(torch.broadcast_shapes(value.shape, fn.shape()))
        value = value.movedim(value.dim() - fn.event_dim + structure.data_dim, 0)
    value = value.reshape(len(target.whole or target), -1)
    return value if target.picked is None else value[target.picked.cpu()]


def _close(x: Tensor, y: Tensor) -> bool:
    scale = x.abs().max().clamp_min(torch.finfo(x.dtype).tiny)
    return bool(((x - y).abs() <= _TOLERANCE * scale).all())


def _other_values(names: tuple[str, str], x: Tensor, y: Tensor) -> str:
    """What is wrong with data that are not the same: another scale, or other data."""
    one, other = x.flatten() - x.mean(), y.flatten() - y.mean()
    if float(other.square().sum()) > 0:
        slope = float((one * other).sum() / other.square().sum())
        if slope > 0 and _close(one, slope * other):
            num_values = x.shape[1]
            return (
                f"{names[0]} has the data of {names[1]} times {slope:.4g}, and a density has the unit of its data: log "
                f"p(x) of {names[1]} is {num_values} · log({slope:.4g}) nats higher for that alone. Pin both to data "
                "on one scale"
            )
    differ = int((((x - y).abs() > _TOLERANCE * x.abs().max()).any(1)).sum())
    return (
        f"{names[0]} and {names[1]} are pinned to other data: {differ} of {len(x)} differ in their values. Give both "
        "the same data in the same order"
    )
