"""Results on disk: any of the known dataclasses as JSON and tensors, without pickle."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from elbowroom.inference.audit.result import Chains, Portrait
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.diagnostics.calibration import Calibration, Check
from elbowroom.inference.diagnostics.latent_use import LatentUse
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket.ledger import Column, Ledger
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap import Decomposition, RefinedGuide
from elbowroom.inference.mcmc.convergence import Convergence, Gates
from elbowroom.inference.saving.state_file import StateError, read_state, write_state
from elbowroom.inference.target import Target

T = TypeVar("T")

_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Agreement, Calibration, Chains, Check, Column, Convergence, Decomposition, Estimate, Family, Gates, LatentUse,
        Ledger, Portrait, RefinedGuide,
    )
}  # fmt: skip


def storable(kind: type[T]) -> type[T]:
    """Make a dataclass known to the store, under its name."""
    _TYPES[kind.__name__] = kind
    return kind


def save_result(path: Path, kind: str, fingerprint: Mapping[str, Any], result: Any) -> None:
    """Write a result, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    encoded = _encoded(result, tensors)
    write_state(path, kind, fingerprint, tensors or {"nothing": torch.zeros(1)}, {"result": encoded})


def load_result(path: Path, kind: str, fingerprint: Mapping[str, Any], target: Target) -> Any:
    """Read a result back; `target` takes the place of the one that it was about.

    Raises:
        StateError: if the file is damaged, of another problem, or of another version.
    """
    record, tensors = read_state(path, kind, fingerprint)
    try:
        return _decoded(record["result"], tensors, target)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateError(
            f"state={str(path)!r} was written by another version of elbowroom ({type(error).__name__}: {error}): "
            "remove it to begin anew"
        ) from error


def _encoded(value: Any, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, Tensor):
        name = f"t{len(tensors):04d}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(item, tensors) for item in value]}
    if isinstance(value, list):
        return {"list": [_encoded(item, tensors) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_encoded(key, tensors), _encoded(item, tensors)] for key, item in value.items()]}
    if isinstance(value, Target):
        return {"target": True}
    if is_dataclass(value) and type(value).__name__ in _TYPES:
        parts = {f.name: _encoded(getattr(value, f.name), tensors) for f in fields(value)}
        return {"type": type(value).__name__, "fields": parts}
    raise TypeError(f"a {type(value).__name__} cannot be kept in a state file")


def _decoded(encoded: Any, tensors: dict[str, Tensor], target: Target) -> Any:
    if not isinstance(encoded, dict):
        return encoded
    if "type" in encoded:
        return _made(encoded["type"], {k: _decoded(v, tensors, target) for k, v in encoded["fields"].items()})
    ((kind, content),) = encoded.items()
    return _READERS[kind](content, lambda item: _decoded(item, tensors, target), tensors, target)


def _made(kind: str, values: dict[str, Any]) -> Any:
    """The dataclass with these fields."""
    return _TYPES[kind](**values)


_READERS: dict[str, Any] = {
    "float": lambda content, read, tensors, target: float(content),
    "tensor": lambda content, read, tensors, target: tensors[content],
    "tuple": lambda content, read, tensors, target: tuple(map(read, content)),
    "list": lambda content, read, tensors, target: list(map(read, content)),
    "dict": lambda content, read, tensors, target: {read(key): read(value) for key, value in content},
    "target": lambda content, read, tensors, target: target,
}
