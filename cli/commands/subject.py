"""What is audited: a run directory, one's own programs, or a plain PyTorch VAE."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from elbowroom.commands.options import AuditOptions
from elbowroom.commands.plain_networks import Plain, plain_networks
from elbowroom.commands.programs import named_programs
from elbowroom.commands.runs import arguments_of, load_data, of_zeros_and_ones, open_run, picture_shape, torch_device
from elbowroom.datasets import Dataset
from elbowroom.inference import Target


@dataclass(frozen=True)
class Subject:
    """A target, where its results belong, how to draw its data, and what to call it.

    Attributes:
        target: programs pinned to data.
        place: where results belong.
        image_shape: as what a datum is drawn.
        title: of the report.
        part: the split, or `all` of a file without splits.
        data: which data these are, in words.
        record: the same and the weights that were loaded, for the JSON file.
    """

    target: Target
    place: Path
    image_shape: tuple[int, ...] | None
    title: str
    part: str
    data: str
    record: dict[str, Any] = field(default_factory=dict)


def subject_of(options: AuditOptions) -> Subject:
    """Build what the options name.

    Raises:
        ValueError: if more than one subject is named, or only half of one.
    """
    networks = options.networks
    pairs = {
        "model and guide": (options.model, options.guide),
        "networks.decoder and networks.encoder": (networks.decoder, networks.encoder),
        "networks.vae": (networks.vae, networks.vae),
    }
    for names, pair in pairs.items():
        if (pair[0] is None) != (pair[1] is None):
            raise ValueError(f"{names} go together: give both as module:name, or neither")
    given = [names for names, pair in pairs.items() if pair[0] is not None]
    if len(given) > 1:
        raise ValueError(f"give one of {' and '.join(given)}, not both")
    if options.model is not None and options.guide is not None:
        places = {"model": options.model, "guide": options.guide}
        programs = named_programs(places, options.seed)
        return _of_programs(options, programs, options.plate, f"{options.model}, {options.guide}", {})
    if networks.vae is not None or networks.decoder is not None:
        title = networks.vae or f"{networks.decoder}, {networks.encoder}"
        plain = plain_networks(networks, options.seed)
        return _of_programs(options, plain, "data", title, plain.weights)
    opened = open_run(options.run, options.which, options.device)
    split = options.split or "test"
    target = opened.target(split, options.limit)
    shape = picture_shape(opened.data, target.data[0])
    return _subject(target, Path(options.run), shape, options.run, opened.data, split, {})


def _of_programs(
    options: AuditOptions, programs: tuple[Any, ...] | Plain, plate: str, title: str, weights: dict[str, Any]
) -> Subject:
    networks, chosen, plain = options.networks, options.data, isinstance(programs, Plain)
    if plain and chosen.binarize is None and not of_zeros_and_ones(networks.likelihood):
        chosen = replace(chosen, binarize="none")
    binary = plain and networks.likelihood == "bernoulli"
    data = load_data(chosen, options.seed, binary=binary, whole=options.split is None)
    device, split = torch_device(options.device), options.split or "test"
    arguments = [value.to(device) for value in arguments_of(data, options.datum, split, options.limit)]
    if networks.image_shape is not None:
        arguments[0] = arguments[0].reshape(len(arguments[0]), *networks.image_shape)
    if isinstance(programs, Plain):
        programs = programs.programs(networks, *arguments)
    for program in programs:
        if isinstance(program, torch.nn.Module):
            program.to(device).eval()
    target = Target(*programs, *arguments, plate=plate)
    return _subject(target, Path("."), picture_shape(data, arguments[0]), title, data, split, weights)


def _subject(
    target: Target,
    place: Path,
    shape: tuple[int, ...] | None,
    title: str,
    data: Dataset,
    split: str,
    weights: dict[str, Any],
) -> Subject:
    """What is audited, with its data in words."""
    available = len(data.split(split))
    of_all = not len(data.train)
    part = "all" if of_all else split
    some = f"{available} data" if len(target) == available else f"first {len(target)} of {available} data"
    those = f"{'all' if of_all and len(target) == available else 'the'} {some} of {data.name}"
    cut = f" at {data.threshold:g}" if data.binarize == "threshold" else ""
    made = "" if data.binarize == "none" else f"; zeros and ones by --data.binarize {data.binarize}{cut}"
    said = f"{those}{'' if of_all else f', its {split} data'} ({'; '.join((data.split_rule, *data.notes))}{made})"
    record = {"data": data.record() | {"split": part, "audited": len(target)}, "weights": weights}
    return Subject(target, place, shape, f"{title} ({data.name}, {part})", part, said, record)
