"""What config.json says about a run, and how two runs differ."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from importlib.metadata import version
from typing import Any, NamedTuple

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
    compiled: bool,
    num_workers: int = 1,
) -> dict[str, Any]:
    """The resolved configuration of a run; all but "environment" must be the same for it to be resumed."""
    return {
        "arguments": asdict(settings),
        "programs": {"model": name_of(model), "guide": name_of(guide)},
        "parameters": parameters.shapes(),
        "data": {name: fingerprint(tensors) if tensors else None for name, tensors in data.items()},
        "record": record,
        "environment": environment(device)
        | ({"steps": "compiled"} if compiled else {})
        | ({"workers": num_workers} if num_workers > 1 else {}),
    }


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an older run with what its arguments were of which nobody could know then: their defaults."""
    younger = {field.name: field.default for field in fields(Settings) if field.default is not MISSING}
    return {**config, "arguments": younger | dict(config.get("arguments", {}))}


class Extension(NamedTuple):
    """An earlier configuration with more epochs, and what that means, in words; empty if nothing was extended."""

    config: dict[str, Any]
    note: str


def extension(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Extension:
    """What a run is continued as: with the epochs that are asked for now, if these are more than before.

    With a constant learning rate and KL weight the result is that of a run of so many epochs. Else schedules are spread
    over more epochs from here on, and the epochs before had those of the shorter run.
    """
    now, before = ours["arguments"], theirs.get("arguments", {})
    if not before.get("num_epochs", now["num_epochs"]) < now["num_epochs"]:
        return Extension(dict(theirs), "")
    longer = {**theirs, "arguments": {**before, "num_epochs": now["num_epochs"]}}
    note = f"extended from {before['num_epochs']} to {now['num_epochs']} epochs"
    spread = before.get("schedule") != "constant" or (
        before.get("kl_weight") == "cyclical" and not before.get("warmup_epochs")
    )
    if spread:
        note += ", with schedules of the longer run from here on: not what a run of so many epochs from the start gives"
    return Extension(longer, note)


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


def other_workers(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """What it means that a run is resumed by another number of workers, from both environments; empty if it is not."""
    now, before = ours.get("workers", 1), theirs.get("workers", 1)
    if now == before:
        return ""
    return (
        f"resumed by {now} {'worker' if now == 1 else 'workers'}, before by {before}: the same minibatches, summed in "
        "another order, so the result is the same up to rounding and not to the last bit"
    )


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
