"""A run directory: written by train, read by evidence, audit, compare and generate."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.commands.constructors import known
from elbowroom.commands.options import Data, Programs, TrainOptions
from elbowroom.commands.programs import build
from elbowroom.commands.recorded import recorded
from elbowroom.commands.registered import is_own, kind_of, likelihood_of, model_name
from elbowroom.commands.trust import check_trusted
from elbowroom.datasets import KINDS, Binarize, Dataset, check_binary, keep_labels, load
from elbowroom.datasets.kinds import Sizes
from elbowroom.inference import CheckpointError, Target, load_checkpoint
from elbowroom.inference.saving.allowance import TooMuchError, allowance_for
from elbowroom.inference.saving.reading import UnreadableError, read_json
from elbowroom.inference.training.checkpoint import Checkpoint
from elbowroom.inference.training.checkpoint_reading import outline_checkpoint
from elbowroom.inference.training.load import Loaded
from elbowroom.inference.training.run_seal import check_config, check_tensors, read_config
from elbowroom.models.likelihoods import LIKELIHOODS, Likelihood

FORMAT = 1
OTHER_VALUES = ("real", "unit", "counts", "levels", "bag")
"""Kinds of data that are no zeros and ones."""


@dataclass(frozen=True)
class Run:
    """A trained pair of programs with its data."""

    path: Path
    model: Any
    guide: Any
    data: Dataset
    programs: Programs
    device: torch.device
    loaded: Loaded
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What a datum is, a name in `KINDS`."""
        return kind_of(self.programs)

    def arguments(self, split: str, limit: int | None = None) -> tuple[Tensor, ...]:
        """What the programs are called with, x first, on the run's device: the first `limit` data of a split."""
        return tuple(value.to(self.device) for value in arguments_of(self.data, self.kind, split, limit))

    def target(self, split: str, limit: int | None = None) -> Target:
        """The programs pinned to the data of a split, and to their sizes where the likelihood needs them.

        Without the argument the model takes the totals of x, and what it draws would change them.
        """
        x, *others = self.arguments(split, limit)
        sizes = [x.flatten(1).sum(-1)] if needs_sizes(self.model) else []
        return Target(self.model, self.guide, x, *others, *sizes, plate=self.programs.plate)


def arguments_of(data: Dataset, kind: str, split: str, limit: int | None = None) -> tuple[Tensor, ...]:
    """What programs for this kind of data are called with, x first: the first `limit` data of a split."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    return tuple(value[:limit] for value in KINDS[known("datum", kind, KINDS)].arguments(data, split))


def sizes_of(data: Dataset, kind: str) -> Sizes:
    """What constructors may ask for by name: the sizes of the training data."""
    return KINDS[kind].sizes(arguments_of(data, kind, "train"))


def binarize_of(data: Data, programs: Programs) -> Binarize:
    """How grey values become zeros and ones: as asked for, by default by a threshold, and not for other values' models.

    Of programs of one's own nothing is known but the kind of data that is named: if that says nothing of other values,
    they get zeros and ones, too.
    """
    if data.binarize is not None:
        return data.binarize
    if data.dequantize != "none":
        return "none"
    if model_name(programs) is None:
        return "none" if programs.datum in OTHER_VALUES else "threshold"
    return "threshold" if is_binary(programs) else "none"


def load_data(options: Data, seed: int, *, binary: bool, whole: bool = False) -> Dataset:
    """The named data; grey ones are refused where they must be zeros and ones. `whole` as of `load`."""
    binarize = options.binarize or ("threshold" if options.dequantize == "none" else "none")
    how: dict[str, Any] = {"binarize": binarize, "threshold": options.threshold, "dequantize": options.dequantize}
    data = load(options.name, data_dir=options.dir, seed=seed, whole=whole, limit=options.limit, **how)
    if binary:
        check_binary(data)
    return data if options.labels_per_class is None else keep_labels(data, options.labels_per_class, seed=seed)


def picture_shape(shape: tuple[int, ...] | None, x: Tensor) -> tuple[int, ...] | None:
    """As what picture x is shown: a datum's shape, or as many of its rows as x has; `()` if it cannot be one."""
    if shape is None:
        return None
    if len(shape) == 3 and shape[2] not in (1, 3):  # channels first, or no colours
        return shape if shape[0] in (1, 3) and x[0].numel() == math.prod(shape) else ()
    if len(shape) not in (2, 3):
        return ()
    rows, rest = divmod(x[0].numel(), math.prod(shape[1:]))
    return () if rest else (rows, *shape[1:])


def is_binary(programs: Programs) -> bool:
    """Whether the model of the registry takes zeros and ones only; of one's own nothing is known."""
    return model_name(programs) is not None and (
        kind_of(programs) == "binary" or of_zeros_and_ones(likelihood_of(programs))
    )


def of_zeros_and_ones(likelihood: str | None) -> bool:
    """Whether a likelihood, by its name, is one of zeros and ones."""
    return getattr(LIKELIHOODS.get(likelihood or ""), "data", None) == "binary"


def run_record(options: TrainOptions, data: Dataset) -> dict[str, Any]:
    """What a run directory must hold to be opened again."""
    return {
        "format": FORMAT,
        "data": _recorded(options.data, newer=("labels_per_class", "limit", "dequantize")),
        "programs": _recorded(options.programs, newer=("options", "guide_options", "datum")),
        "seed": options.seed,
        "dataset": data.record(),
    }


def _recorded(options: Any, newer: tuple[str, ...]) -> dict[str, Any]:
    """The options; newer ones only where they were given, so that the record of other runs is what it always was."""
    values, defaults = asdict(options), asdict(type(options)())
    return {name: value for name, value in values.items() if name not in newer or value != defaults[name]}


def open_run(path: str, which: str, device: str, *, trust: Sequence[str] = (), data_dir: str | None = None) -> Run:
    """Build a run's programs again, with its checkpoint's parameters and its data.

    What the directory says is held against its digests, and against the shapes of the stored tensors, before anything
    is built; code that it names is imported only where it is trusted.

    Args:
        path: of the directory.
        which: checkpoint, the last or the best.
        device: where to.
        trust: modules, or `module:name`, that config.json may name.
        data_dir: where the data lie now, if not where they lay.

    Raises:
        FileNotFoundError: if there is no run there.
        ValueError: if it was not written by `elbowroom train`, names code that is not trusted or more than is stored,
            its data have changed since, or there is no such device.
        CheckpointError: if it is damaged.
    """
    place, where = Path(path), torch_device(device)
    record, config = read_record(place), place / "config.json"
    if "density" in record:
        raise ValueError(
            f"{place} is a run of the density {record['density']}, which has neither latents nor a guide: evidence and "
            "generate take it, other commands are of a model and a guide"
        )
    programs = recorded(Programs, record.get("programs"), config, "programs")
    check_trusted(config, programs, trust)
    options, seed, digests = data_of(record, config, data_dir)
    stored, notes = _checked(place)
    data = data_again(place, options, seed, digests, binary=is_binary(programs))
    kind = kind_of(programs)
    model, guide = _built(programs, sizes_of(data, kind), seed, place, stored)
    loaded = load_checkpoint(place, model, guide, *arguments_of(data, kind, "train", 2), which=which)
    for program in (model, guide):
        if isinstance(program, torch.nn.Module):
            program.to(where).eval()
    return Run(place, model, guide, data, programs, where, loaded, tuple(notes))


def data_of(record: dict[str, Any], config: Path, data_dir: str | None) -> tuple[Data, int, Any]:
    """Which data a record names, where they lie now, the seed and the digests of the data.

    Raises:
        ValueError: if it does not say so.
    """
    options = recorded(Data, record.get("data"), config, "data")
    seed, dataset = record.get("seed"), record.get("dataset")
    if not isinstance(seed, int) or not isinstance(dataset, dict) or "sha256" not in dataset:
        raise ValueError(f"{config} is damaged or of another version: it lacks the seed, or the digests of the data")
    return options if data_dir is None else replace(options, dir=data_dir), seed, dataset["sha256"]


def _checked(place: Path) -> tuple[Checkpoint, list[str]]:
    """The checkpoint without its numbers, which goes with config.json; and what there is to say of it."""
    stored = outline_checkpoint(place)
    if stored is None:
        raise CheckpointError(f"{place} holds no checkpoint: train it with elbowroom train --output {place} --resume")
    config = read_config(place)
    notes = check_config(place, config, stored.progress)
    check_tensors(stored, config.get("parameters"))
    return stored, notes


def _built(programs: Programs, sizes: Sizes, seed: int, place: Path, stored: Checkpoint) -> tuple[Any, Any]:
    """Model and guide, of no more than is stored; the user's own may take what they like."""
    if is_own(programs.model) or is_own(programs.guide):
        return build(programs, sizes, seed, run=place)
    num_bytes = sum(value.nbytes for value in stored.tensors.get("parameters", {}).values())
    try:
        with allowance_for(num_bytes):
            return build(programs, sizes, seed, run=place)
    except TooMuchError as error:
        raise ValueError(
            f"{place / 'config.json'} names programs that are larger than the {num_bytes:,} bytes of parameters stored "
            f"in {stored.path}: it was altered, or belongs to another run. Restore this run directory from a copy"
        ) from error


def read_record(place: Path) -> dict[str, Any]:
    """What train wrote into a run's config.json.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if somebody else wrote it, or another version.
    """
    config = place / "config.json"
    if not config.is_file():
        raise FileNotFoundError(
            f"no run at {place} (it has no config.json): train one with elbowroom train --output {place}"
        )
    try:
        record = read_json(config).get("record")
    except UnreadableError as error:
        raise ValueError(f"{config} is damaged: {error.reason}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(
            f"{config} was not written by elbowroom train of this version: rebuild its programs in Python and use "
            "load_checkpoint and Target instead"
        )
    return record


def data_again(place: Path, options: Data, seed: int, digests: Any, *, binary: bool) -> Dataset:
    """The data that a run was trained on.

    Raises:
        ValueError: if they have changed since.
    """
    data = load_data(options, seed, binary=binary)
    if data.record()["sha256"] != digests:
        raise ValueError(f"the data '{data.name}' are not those that {place} was trained on: their sha256 differs")
    return data


def needs_sizes(model: Any) -> bool:
    """Whether a model's p(x|z) is given each datum's size, which is an argument of the program of its own."""
    likelihood = getattr(model, "likelihood", None)
    return isinstance(likelihood, Likelihood) and likelihood.needs_exposure


def torch_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: if it is cuda and this machine or this torch has none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: this torch sees no CUDA device; use --device cpu")
    return torch.device(name)
