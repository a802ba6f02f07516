"""A run directory of a density, which has no latents: fitted by train, opened by evidence and generate."""

import hashlib
import inspect
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.commands.constructors import arguments_of as named_arguments
from elbowroom.commands.constructors import checked, did_you_mean
from elbowroom.commands.options import Binarize, Data, Programs, Training, TrainOptions
from elbowroom.commands.output import write_json
from elbowroom.commands.runs import FORMAT, arguments_of, data_again, data_of, load_data, read_record, torch_device
from elbowroom.datasets import Dataset
from elbowroom.datasets.splits import SPLITS
from elbowroom.densities import DENSITIES, Density, density_class, load_density, make_density
from elbowroom.densities.saving import DESCRIPTION, write_density
from elbowroom.densities.training import minimise
from elbowroom.inference.saving.json_values import json_able
from elbowroom.inference.saving.one_writer import LOCK, only_writer
from elbowroom.inference.saving.reading import UnreadableError, read_bytes, read_json
from elbowroom.inference.saving.seal import has_seal, sealed

_OWN = ("module", "loss", "x", "validation", "validation_loss", "after_step", "seed", "progress", "self", "options")
"""Arguments of `fit` and `minimise` that are not the user's to choose here."""


@dataclass(frozen=True)
class DensityRun:
    """A fitted density with its data."""

    path: Path
    name: str
    density: Density
    data: Dataset
    kind: str
    device: torch.device

    def x(self, split: str, limit: int | None = None) -> Tensor:
        """The first `limit` data of a split, `[B, P]`."""
        return arguments_of(self.data, self.kind, split, limit)[0].to(self.device)


def fit_density(options: TrainOptions) -> DensityRun:
    """Make the density that options name, fit it, and write it into the run directory with what it is opened by.

    Raises:
        ValueError: if an option is none of the density's, or one of another kind of model was given.
        FileExistsError: if the run directory is not empty.
        InUseError: if another process fits one there.
    """
    name, device, place = str(options.density), torch_device(options.device), Path(options.output)
    _check_alone(options)
    _check_new(place)
    of = density_class(name)
    given = checked("density_options", of, options.density_options, fixed=("data_dim", *DENSITIES[name].options))
    told = checked_fit_options(name, options.fit_options)
    kind, binarize = _kind_of(name, options.data)
    chosen = replace(options.data, binarize=binarize)  # recorded, whatever the default was
    data = load_data(chosen, options.seed, binary=kind == "binary")
    if "levels" in named_arguments(of) and "levels" not in given:
        given["levels"] = 2 if kind == "binary" else _num_levels(data)
    x, validation = (arguments_of(data, kind, split)[0].to(device) for split in ("train", "validation"))
    density = make_density(name, x.shape[1], seed=options.seed, **given).to(device)
    record = {
        "format": FORMAT,
        "density": name,
        "kind": kind,
        "data": asdict(chosen),
        "seed": options.seed,
        "dataset": data.record(),
    }
    with only_writer(place, "output", folder=True):
        _check_new(place)
        density.fit(x, validation, seed=options.seed, progress=not options.json, **told)
        write_density(density, place, name, given)
        described = {
            "arguments": {"density_options": given, "fit_options": told},
            "record": record,
            "density_sha256": _sha256(place / DESCRIPTION),
        }
        write_json(place / "config.json", sealed(json_able(described)))
    return DensityRun(place, name, density, data, kind, device)


def open_density(path: str, device: str, data_dir: str | None = None) -> DensityRun | None:
    """The density of a run directory, with its data; None if the run is of a model and a guide.

    Raises:
        FileNotFoundError, ValueError: as of `open_run`, and of `load_density`.
    """
    place, where = Path(path), torch_device(device)
    record, config = read_record(place), place / "config.json"
    if "density" not in record:
        return None
    _check_seal(place, config)
    name, kind = record["density"], record.get("kind")
    if name not in DENSITIES or kind not in ("binary", "levels"):
        raise ValueError(f"{config} is damaged or of another version: it names no density, or no kind of data")
    options, seed, digests = data_of(record, config, data_dir)
    data = data_again(place, options, seed, digests, binary=kind == "binary")
    return DensityRun(place, name, load_density(place).to(where), data, kind, where)


def _check_seal(place: Path, config: Path) -> None:
    """Refuse a config.json that was altered, or is of another density; one without digest has none of its density.

    Raises:
        ValueError: naming the file.
    """
    try:
        described, density = read_json(config), place / DESCRIPTION
        if not has_seal(config, described):
            if has_seal(density, read_json(density)):
                raise UnreadableError(config, "it was altered: it lacks its digest")
        elif described.get("density_sha256") != _sha256(density):
            raise UnreadableError(config, f"it is not of the same run as {density}, whose sha256 is another")
    except (UnreadableError, OSError) as error:
        raise ValueError(f"{error}. Restore this run directory from a copy, or fit the density again") from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


def checked_fit_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options as `fit` of a density takes them.

    Raises:
        ValueError: if one of them is none of its own, nor of the training that all densities share.
    """
    of = density_class(name)
    own = {n: p for n, p in named_arguments(of.fit).items() if n not in _OWN}
    shared: Collection[str] = ()
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(of.fit).parameters.values()):
        shared = [n for n in named_arguments(minimise) if n not in (*_OWN, *own)]
    for option in given:
        if option not in own and option not in shared:
            takes = [n if p.default is p.empty else f"{n}={p.default!r}" for n, p in own.items()]
            raise ValueError(
                f"fit_options: {of.__name__}.fit has no option {option!r}{did_you_mean(option, (*own, *shared))}; "
                f"it takes {', '.join((*takes, *shared))}"
            )
    return dict(given)


def _check_new(place: Path) -> None:
    """Refuse a run directory that holds anything but the lock of its writer, who may be dead."""
    if place.exists() and (not place.is_dir() or any(file.name != LOCK for file in place.iterdir())):
        raise FileExistsError(f"output={place} is not empty: a density is fitted in one go; give a new directory")


def _check_alone(options: TrainOptions) -> None:
    """Refuse what is of a model and a guide."""
    for name, chosen, default in (
        ("programs", options.programs, Programs()),
        ("training", options.training, Training()),
        ("resume", options.resume, False),
    ):
        if chosen != default:
            raise ValueError(
                f"{name}: it is of a model and a guide, and --density {options.density} has neither: what it is made "
                "of goes to --density_options, how it is fitted to --fit_options"
            )


def _kind_of(name: str, data: Data) -> tuple[str, Binarize]:
    """Zeros and ones or levels, and how they are made: what the density takes, then what was asked for."""
    takes, asked = DENSITIES[name].data, data.binarize
    if asked == "dynamic":
        raise ValueError("data.binarize: a density is fitted to data that stay as they are; take threshold or static")
    if takes == "levels" and asked not in (None, "none"):
        raise ValueError(f"data.binarize: {name} is of grey levels, and {asked} leaves zeros and ones; take none")
    if takes == "levels" or (takes == "any" and asked == "none"):
        return "levels", "none"
    return "binary", asked or "threshold"


def _num_levels(data: Dataset) -> int:
    """One more than the largest number of all splits."""
    return 1 + max(int(arguments_of(data, "levels", split)[0].max()) for split in SPLITS)
