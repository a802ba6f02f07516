"""What every method has said about every datum so far, kept in a file if asked."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.training.durable import replace_file

_FORMAT = "elbowroom bracket 1"


class StateError(ValueError):
    """A state file that cannot be continued: damaged, or of another problem."""


@dataclass
class Column:
    """One method's answers: `value`, `stderr` `[B]` (NaN where it has not run) and a flag for each datum."""

    value: Tensor
    stderr: Tensor
    flags: list[str]


@dataclass
class Ledger:
    """Columns by method, how much effort each datum has had, and the seconds spent."""

    num_data: int
    columns: dict[str, Column] = field(default_factory=dict)
    effort: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    seconds: float = 0.0

    @classmethod
    def empty(cls, num_data: int) -> "Ledger":
        """Nothing known."""
        return cls(num_data, {}, torch.full((num_data,), -1))

    def put(self, method: str, rows: Tensor, estimate: Estimate, flags: tuple[str, ...] | None = None) -> None:
        """Write down a method's answers for some data, over what it said before."""
        if method not in self.columns:
            nothing = torch.full((self.num_data,), torch.nan, dtype=torch.float64)
            self.columns[method] = Column(nothing, nothing.clone(), [""] * self.num_data)
        column = self.columns[method]
        column.value[rows] = estimate.value.double().cpu()
        column.stderr[rows] = estimate.stderr.double().cpu()
        for row, flag in zip(rows.tolist(), flags or estimate.flags, strict=True):
            column.flags[row] = flag

    def has(self, method: str) -> Tensor:
        """Which data a method has answered, if only with a flag, `[B]`."""
        if method not in self.columns:
            return torch.zeros(self.num_data, dtype=torch.bool)
        column = self.columns[method]
        return ~column.value.isnan() | torch.tensor([bool(flag) for flag in column.flags])

    def write(self, path: Path, fingerprint: dict[str, Any]) -> None:
        """Replace the state file by this ledger, whole or not at all."""
        tensors = {"effort": self.effort}
        for name, column in self.columns.items():
            tensors |= {f"{name}/value": column.value, f"{name}/stderr": column.stderr}
        told = {
            "format": _FORMAT,
            "fingerprint": fingerprint,
            "seconds": self.seconds,
            "flags": {name: column.flags for name, column in self.columns.items()},
        }
        told["digest"] = _digest(tensors, told)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, save(tensors, {"elbowroom": json.dumps(told)}))

    @classmethod
    def read(cls, path: Path, fingerprint: dict[str, Any]) -> "Ledger":
        """Continue from a state file.

        Raises:
            StateError: if it is damaged, or was written for other data, programs or seed.
        """
        told, tensors = _load(path)
        for name, wanted in fingerprint.items():
            if told["fingerprint"].get(name) != wanted:
                raise StateError(
                    f"state={str(path)!r} was written for other {name}: it holds {told['fingerprint'].get(name)!r}, "
                    f"this call has {wanted!r}. Give another path, or remove it to begin anew"
                )
        columns = {
            name: Column(tensors[f"{name}/value"], tensors[f"{name}/stderr"], list(flags))
            for name, flags in told["flags"].items()
        }
        return cls(len(tensors["effort"]), columns, tensors["effort"], told["seconds"])


def _load(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a state file holds, as it was written."""
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {}).get("elbowroom", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise StateError(f"state={str(path)!r} is no readable state file ({error}): remove it to begin anew") from error
    if not isinstance(told, dict) or told.get("format") != _FORMAT:
        raise StateError(f"state={str(path)!r} is not a bracket's state: give another path")
    if told.pop("digest", None) != _digest(tensors, told):
        raise StateError(f"state={str(path)!r} is damaged, its contents have changed: remove it to begin anew")
    return told, tensors


def _digest(tensors: dict[str, Tensor], told: dict[str, Any]) -> str:
    """Of everything in a state file: safetensors itself notices no changed number."""
    digest = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()
