"""State files: what a long computation knows so far, as safetensors with a fingerprint of its problem."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from elbowroom.inference.saving.durable import replace_file
from elbowroom.inference.saving.reading import MOST_HEADER, UnreadableError, memory, parse_json, read_bytes
from elbowroom.inference.target import Target

_VERSION = 2  # 1 had a digest that said nothing of dtypes and shapes


class StateError(ValueError):
    """A state file that cannot be continued: damaged, or of another problem."""


def fingerprint_of(target: Target, seed: int) -> dict[str, Any]:
    """What a state file must agree on: the data, the programs as far as three weights of a datum tell, the seed."""
    first = target.select([0]) if target.sliceable else target
    with torch.no_grad():
        log_w = first.log_weights(3, seed=seed).double()
    # Programs that hold their data themselves: keys say nothing of these, so the weights of all data must.
    log_w = log_w[:, 0] if target.per_datum else log_w.flatten()
    told = [f"{value:.4g}" for value in log_w.tolist()]
    return {
        "data": hashlib.blake2b(target.keys.tobytes(), digest_size=8).hexdigest(),
        "programs": told if len(told) <= 3 else hashlib.blake2b(" ".join(told).encode(), digest_size=8).hexdigest(),
        "seed": seed,
    }


def write_state(
    path: Path, kind: str, fingerprint: Mapping[str, Any], tensors: dict[str, Tensor], record: dict[str, Any]
) -> None:
    """Replace a state file, whole or not at all; `record` is anything that JSON can hold."""
    replace_file(path, state_bytes(kind, fingerprint, tensors, record))


def state_bytes(kind: str, fingerprint: Mapping[str, Any], tensors: dict[str, Tensor], record: dict[str, Any]) -> bytes:
    """What `write_state` writes."""
    record = {"format": _format(kind), "fingerprint": dict(fingerprint), **record}
    record["digest"] = _digest(tensors, record)
    return save(tensors, {"elbowroom": json.dumps(record)})


def read_state(path: Path, kind: str, fingerprint: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a state file holds: `record` and `tensors` as they were written.

    Raises:
        StateError: if it is damaged, of another kind, or was written for another problem.
    """
    said = f"state={str(path)!r}"
    try:
        content = read_bytes(path, memory())  # once: it may be replaced meanwhile
    except (UnreadableError, OSError) as error:
        raise _unreadable(said, error) from error
    return parse_state(content, kind, fingerprint, said)


def parse_state(
    content: bytes, kind: str, fingerprint: Mapping[str, Any], said: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """As `read_state`, from the bytes of a file that messages call `said`."""
    try:
        length = int.from_bytes(content[:8], "little")
        if length > MOST_HEADER:
            reason = f"its header has {length:,} bytes, as it says, and more than {MOST_HEADER:,}"
            raise UnreadableError(Path(said), reason)
        tensors = load(content)
        told = json.loads(content[8 : 8 + length]).get("__metadata__", {}).get("elbowroom", "{}")
        record = parse_json(Path(said), told.encode(), numbers_only=False)
        digest = _digest(tensors, {name: value for name, value in record.items() if name != "digest"})
    except (SafetensorError, UnreadableError, OSError, TypeError, KeyError) as error:  # a dtype that torch has not
        raise _unreadable(said, error) from error
    if record.get("format") == _format(kind, 1):
        raise StateError(
            f"{said} was written by an earlier version of elbowroom, which did not notice every change of such a file: "
            "remove it to begin anew"
        )
    if record.get("format") != _format(kind):
        raise StateError(f"{said} is not a state of this kind ({kind}): give another path")
    if record.pop("digest", None) != digest or not isinstance(record.get("fingerprint"), dict):
        raise StateError(f"{said} is damaged, its contents have changed: remove it to begin anew")
    for name, wanted in fingerprint.items():
        if record["fingerprint"].get(name) != wanted:
            raise StateError(
                f"{said} was written for other {name}: it holds {record['fingerprint'].get(name)!r}, this call has "
                f"{wanted!r}. Give another path, or remove it to begin anew"
            )
    return record, tensors


def _unreadable(said: str, error: Exception) -> StateError:
    reason = error.reason if isinstance(error, UnreadableError) else error
    return StateError(f"{said} is no readable state file ({reason}): remove it to begin anew")


def _format(kind: str, version: int = _VERSION) -> str:
    return f"elbowroom {kind} {version}"


def _digest(tensors: dict[str, Tensor], record: dict[str, Any]) -> str:
    """A hash of everything in a state file, dtypes and shapes among it: safetensors itself notices no change."""
    shapes = {name: [str(value.dtype), *value.shape] for name, value in tensors.items()}
    said = json.dumps([record, shapes], sort_keys=True)
    digest = hashlib.blake2b(said.encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
