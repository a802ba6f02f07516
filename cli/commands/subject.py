"""What a command is asked about: a run directory, one's own programs, or a plain PyTorch VAE; one way to all."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.adapters.sigma import waits_for_sigma
from elbowroom.commands.about import Record, about_networks, about_programs, about_run, data_in_words, data_record
from elbowroom.commands.options import Data, Networks, OfSubject
from elbowroom.commands.options.shared import OfOwnPrograms
from elbowroom.commands.options.subjects import OfRun
from elbowroom.commands.output import say
from elbowroom.commands.outputs import default_folder
from elbowroom.commands.plain_networks import Plain, as_images, datum_of, fit_sigma_of, plain_networks
from elbowroom.commands.programs import named_programs
from elbowroom.commands.runs import (
    OTHER_VALUES,
    arguments_of,
    load_data,
    needs_sizes,
    of_zeros_and_ones,
    open_run,
    picture_shape,
    torch_device,
)
from elbowroom.datasets import Dataset
from elbowroom.entrances.visible import one_line
from elbowroom.inference import Target
from elbowroom.inference.audit.about import about_target, merged


@dataclass(frozen=True)
class Subject:
    """A target, where its results belong, how to draw its data, and what to call it.

    Attributes:
        target: programs pinned to data.
        arguments: what the programs see of each datum, x first; without sizes that the model is pinned to.
        kind: what a datum is, a name in `KINDS`.
        dataset: where the data are from.
        shape: of a datum, if it is known to be an image.
        place: the run directory, or the directory where the command was called.
        is_run: whether that is a run.
        title: of a report.
        part: the split, or `all` of a file without splits.
        data: which data these are, in words.
        about: all of this and what was loaded, for the page and for JSON: part -> name -> what it is.
        announced: sentences on what nobody asked for.
    """

    target: Target
    arguments: tuple[Tensor, ...]
    kind: str
    dataset: Dataset
    shape: tuple[int, ...] | None
    place: Path
    is_run: bool
    title: str
    part: str
    data: str
    about: Mapping[str, Record] = field(default_factory=dict)
    announced: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """As what picture x is shown; `()` if it is none, None if that is not known."""
        return picture_shape(self.shape, self.arguments[0])

    @property
    def record(self) -> dict[str, Any]:
        """What the results of every command hold of it."""
        return {"about": self.about, "announced": list(self.announced), "notes": list(self.target.notes)}

    def folder(self, output: str | None, command: str) -> Path:
        """Where a command writes, as of `outputs.folder_of`."""
        return default_folder(command, self.place if self.is_run else None) if output is None else Path(output)

    def checked(self, indices: list[int]) -> list[int]:
        """Indices of the data.

        Raises:
            ValueError: naming the option, unless they are different data of these.
        """
        num_data = len(self.target)
        if not indices or not all(0 <= datum < num_data for datum in indices) or len(set(indices)) < len(indices):
            raise ValueError(
                f"indices must be different ones of the {num_data} data ({self.part}), 0 … {num_data - 1}, such as "
                f"[0,5]; got {indices}"
            )
        return indices

    def first(self, num_data: int) -> Target:
        """The programs pinned to so many of the data."""
        return self.target if num_data >= len(self.target) else self.target.select(range(num_data))


def state_name(options: OfSubject, part: str) -> str:
    """For what is kept between two calls: another for each choice of data, checkpoint and seed."""
    limit = "" if options.limit is None else f"-{options.limit}"
    return f"{options.which}-{part}{limit}-{options.seed}"


def say_subject(subject: Subject, quiet: bool) -> None:
    """Which data and weights these are, and what nobody asked for."""
    say(one_line(f"Data: {subject.data}."), quiet)
    for part, record in subject.about.items():
        if "tensors" in record:
            under = f", under {record['prefix']!r}" if record["prefix"] else ""
            told = f"{part.capitalize()}: {record['tensors']} tensors of {record['file']}{under}."
            say(one_line(told), quiet)
    for sentence in subject.announced:
        say(one_line(f"Note: {sentence}."), quiet)


def say_notes(subject: Subject, quiet: bool) -> None:
    """What the programs give reason to say, for commands that come to no verdict."""
    for note in subject.target.notes:
        say(one_line(f"Note: {note}."), quiet)


def is_run(options: OfSubject) -> bool:
    """Whether a run directory is asked about; what else was named is held against it.

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
    if given and options.run != OfRun.run:
        given.append(f"run ({options.run})")
    if len(given) > 1:
        raise ValueError(f"give one of {' and '.join(given)}, not both")
    if given and options.trust:
        raise ValueError(
            "trust: got programs or networks, which need none; it is of those that a --run names by itself"
        )
    if not given:
        _check_run(options)
    return not given


def _check_run(options: OfSubject) -> None:
    """Refuse what a run knows by itself: it would be asked about other data, or networks, than were named."""
    elsewhere = Data(dir=options.data.dir)  # the same data, that lie in another place now
    own = {
        "data": elsewhere, "networks": Networks(), "plate": OfOwnPrograms.plate, "datum": OfOwnPrograms.datum,
    }  # fmt: skip
    for option, default in own.items():
        if (value := getattr(options, option)) != default:
            raise ValueError(
                f"{option}: got {value!r}, but a run knows its own: these are for --model and --guide, or "
                "--networks.vae (or .decoder and .encoder), in the place of --run (of data only --data.dir is)"
            )


def subject_of(options: OfSubject) -> Subject:
    """Build what the options name.

    Raises:
        ValueError: if more than one subject is named, or only half of one; or as of what is named.
    """
    if is_run(options):
        return _of_run(options)
    networks = options.networks
    if options.model is not None and options.guide is not None:
        places = {"model": options.model, "guide": options.guide}
        programs = named_programs(places, options.seed)
        return _of_programs(options, programs, options.plate, ", ".join(places.values()))
    title = networks.vae or f"{networks.decoder}, {networks.encoder}"
    return _of_programs(options, plain_networks(networks, options.seed), "data", title)


def _of_run(options: OfSubject) -> Subject:
    opened = open_run(options.run, options.which, options.device, trust=options.trust, data_dir=options.data.dir)
    split = options.split or "test"
    arguments = opened.arguments(split, options.limit)
    target = opened.target(split, options.limit)
    about = about_run(opened, options.which)
    shape = opened.data.image_shape
    subject = _subject(target, arguments, opened.kind, opened.data, shape, options, Path(options.run), split, about)
    return replace(subject, announced=(*subject.announced, *opened.notes))


def _of_programs(options: OfSubject, programs: tuple[Any, ...] | Plain, plate: str, title: str) -> Subject:
    networks, chosen, plain = options.networks, options.data, isinstance(programs, Plain)
    other_values = options.datum in OTHER_VALUES or (plain and not of_zeros_and_ones(networks.likelihood))
    if chosen.binarize is None and other_values:
        chosen = replace(chosen, binarize="none")
    binary = plain and networks.likelihood == "bernoulli"
    data = load_data(chosen, options.seed, binary=binary, whole=options.split is None)
    device, split = torch_device(options.device), options.split or "test"
    datum = datum_of(networks, options.datum) if plain else options.datum
    arguments = [value.to(device) for value in arguments_of(data, datum, split, options.limit)]
    shape = data.image_shape
    if networks.image_shape is not None:
        arguments[0] = as_images(arguments[0], tuple(networks.image_shape), shape)
        shape = tuple(networks.image_shape) if len(networks.image_shape) > 1 else shape
    about = about_programs(options)
    if isinstance(programs, Plain):
        about = about_networks(options, programs.weights)
        programs = programs.programs(networks, *arguments)
    for program in programs:
        if isinstance(program, torch.nn.Module):
            program.to(device).eval()
    if waits_for_sigma(programs[0]):
        fit_sigma_of(programs, data, datum, arguments, networks)
    sizes = [arguments[0].flatten(1).sum(-1)] if plain and needs_sizes(programs[0]) else []
    target = Target(*programs, *arguments, *sizes, plate=plate)
    return _subject(target, tuple(arguments), datum, data, shape, options, Path("."), split, about, title)


def _subject(
    target: Target,
    arguments: tuple[Tensor, ...],
    kind: str,
    data: Dataset,
    shape: tuple[int, ...] | None,
    options: OfSubject,
    place: Path,
    split: str,
    about: Mapping[str, Record],
    title: str | None = None,
) -> Subject:
    """All of it, with its data in words."""
    part = split if len(data.train) else "all"
    chosen = options.data.binarize is not None or title is None  # of a run it stands in the record of its training
    record, announced = data_record(data, kind, split, part, len(target), chosen=chosen)
    return Subject(
        target=target,
        arguments=arguments,
        kind=kind,
        dataset=data,
        shape=shape,
        place=place,
        is_run=title is None,
        title=f"{title or options.run} ({data.name}, {part})",
        part=part,
        data=data_in_words(data, split, len(target)),
        about=merged({"data": record}, about, about_target(target)),
        announced=announced,
    )
