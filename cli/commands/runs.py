"""A run directory: written by train, read by evidence, compare and generate."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.commands.options import Data, Programs, TrainOptions
from elbowroom.commands.programs import build
from elbowroom.datasets import Dataset, check_binary, load
from elbowroom.inference import Target, load_checkpoint

FORMAT = 1


@dataclass(frozen=True)
class Run:
    """A trained pair of programs with its data."""

    path: Path
    model: Any
    guide: Any
    data: Dataset
    programs: Programs
    device: torch.device

    def tensor(self, split: str, limit: int | None = None) -> Tensor:
        """The data of a split on the run's device, the first `limit` of them."""
        return data_of(self.data, split, limit).to(self.device)

    def target(self, split: str, limit: int | None = None) -> Target:
        """The programs pinned to the data of a split."""
        return Target(self.model, self.guide, self.tensor(split, limit), plate=self.programs.plate)


def data_of(data: Dataset, split: str, limit: int | None) -> Tensor:
    """The data of a split, the first `limit` of them."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    return data.split(split)[:limit]


def load_data(options: Data, likelihood: str, seed: int) -> Dataset:
    """The named data, refused if they are grey and the likelihood is Bernoulli."""
    data = load(options.name, data_dir=options.dir, binarize=options.binarize, threshold=options.threshold, seed=seed)
    if likelihood == "bernoulli":
        check_binary(data)
    return data


def run_record(options: TrainOptions, data: Dataset) -> dict[str, Any]:
    """What a run directory must hold to be opened again."""
    return {
        "format": FORMAT,
        "data": asdict(options.data),
        "programs": asdict(options.programs),
        "seed": options.seed,
        "dataset": data.record(),
    }


def open_run(path: str, which: str, device: str) -> Run:
    """Build a run's programs again, with its checkpoint's parameters and its data.

    Raises:
        FileNotFoundError: if there is no run there.
        ValueError: if it was not written by `elbowroom train`, its data have changed since, or there is no such device.
    """
    place, where = Path(path), torch_device(device)
    config = place / "config.json"
    if not config.is_file():
        raise FileNotFoundError(
            f"no run at {place} (it has no config.json): train one with elbowroom train --output {place}"
        )
    record = _record(config)
    if record is None or record.get("format") != FORMAT:
        raise ValueError(
            f"{config} was not written by elbowroom train of this version: rebuild its programs in Python and use "
            "load_checkpoint and Target instead"
        )
    try:
        programs, options = Programs(**record["programs"]), Data(**record["data"])
        seed, digests = record["seed"], record["dataset"]["sha256"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{config} is damaged or of another version: {type(error).__name__} {error}") from error
    data = load_data(options, programs.likelihood if programs.model is None else "", seed)
    if data.record()["sha256"] != digests:
        raise ValueError(f"the data '{data.name}' are not those that {place} was trained on: their sha256 differs")
    model, guide = build(programs, data.train.shape[1], seed)
    load_checkpoint(place, model, guide, data.train[:2], which=which)
    for program in (model, guide):
        if isinstance(program, torch.nn.Module):
            program.to(where).eval()
    return Run(place, model, guide, data, programs, where)


def torch_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: if it is cuda and this machine or this torch has none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: this torch sees no CUDA device; use --device cpu")
    return torch.device(name)


def _record(config: Path) -> dict[str, Any] | None:
    """What train wrote into a run's config.json; None if somebody else wrote that."""
    try:
        described = json.loads(config.read_text())
    except ValueError as error:
        raise ValueError(f"{config} is damaged: it is not JSON ({error})") from error
    record = described.get("record") if isinstance(described, dict) else None
    return record if isinstance(record, dict) else None
