"""What config.json says about a run, and how two runs differ."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.batches import fingerprint
from elbowroom.inference.training.parameters import Parameters, name_of
from elbowroom.inference.training.settings import Settings

_LIBRARIES = ("elbowroom", "torch", "pyro-ppl", "numpy", "safetensors")


def describe_run(
    settings: Settings,
    model: Program,
    guide: Program,
    parameters: Parameters,
    data: Mapping[str, tuple[Tensor, ...]],
    record: Any,
    device: torch.device,
) -> dict[str, Any]:
    """The resolved configuration of a run; all but "environment" must be the same for it to be resumed."""
    return {
        "arguments": asdict(settings),
        "programs": {"model": name_of(model), "guide": name_of(guide)},
        "parameters": parameters.shapes(),
        "data": {name: fingerprint(tensors) if tensors else None for name, tensors in data.items()},
        "record": record,
        "environment": environment(device),
    }


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an older run with what its arguments were of which nobody could know then: their defaults."""
    younger = {field.name: field.default for field in fields(Settings) if field.default is not MISSING}
    return {**config, "arguments": younger | dict(config.get("arguments", {}))}


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, threads and platform: what may change the last bits of a result."""
    hardware = {"device": device.type}
    if device.type == "cuda":
        hardware["device_name"] = torch.cuda.get_device_name(device)
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        **hardware,
    }


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """`key: theirs, now ours` for each leaf in which two records differ."""
    flat_ours, flat_theirs = dict(_leaves("", ours)), dict(_leaves("", theirs))
    changes = []
    for key in sorted(flat_ours.keys() | flat_theirs.keys()):
        now, before = flat_ours.get(key, "(absent)"), flat_theirs.get(key, "(absent)")
        if now != before:
            changes.append(f"{key}: {before!r} in the run directory, now {now!r}")
    return changes


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value
