"""`elbowroom versus`: which of two models is better on the same data, and whether the ELBO says so."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from elbowroom.commands.options import OfSubject, VersusOptions
from elbowroom.commands.options.subjects import Contestant
from elbowroom.commands.output import finish, named, say
from elbowroom.commands.subject import Subject, say_notes, say_subject, subject_of
from elbowroom.entrances.visible import one_line
from elbowroom.inference import Estimate, Target, Versus, read_shards, versus
from elbowroom.inference.evaluation.clock import budget_words
from elbowroom.inference.evidence.bits import unit_of
from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.showing.table import Table
from elbowroom.report import save_figure, versus_figure

RESULT, FIGURE = "versus.json", "versus.png"


def run(options: VersusOptions) -> Versus:
    """Compare, print what came out with the verdict last, and write JSON and a figure."""
    names = _names(options)
    if _is_run(options.a) and options.a == options.b:
        raise ValueError(f"run: got {options.a.run} twice, expected two models: --run A --run B")
    subjects = [subject_of(_of(contestant, options)) for contestant in (options.a, options.b)]
    for name, subject in zip(names, subjects, strict=True):
        say(one_line(f"{name}: {subject.title}"), options.json)
        say_subject(subject, options.json)
        say_notes(subject, options.json)
    one, other = (subject.target for subject in subjects)
    where = Path(options.output)
    found = versus(
        one,
        other,
        evidence=_evidence(options, one, other),
        names=names,
        budget=options.budget,
        about=options.about,
        level=options.level,
        seed=options.seed,
        tolerance=options.tolerance,
        state=where / f"state-{options.seed}",
        memory_bytes=options.memory_mib * 2**20,
        progress=not options.json,
    )
    table, sentences = found.as_table(), found.sentences
    say("\n".join(table.text().splitlines()[_height(table.head) :]), options.json)
    record = found.record() | {"about": {name: s.about for name, s in zip(names, subjects, strict=True)}}
    record |= _bits(found, subjects[0]) if options.units == "bits" else {}
    finish(record, where / RESULT, options.json)
    written = [where / RESULT, *_figure(found, where)]
    say(f"Written: {named(*written)}.", options.json)
    if len(found) < found.num_data or found.better is None:
        say(f"The same command again goes on, with {budget_words(options.budget)} more.", options.json)
    say("\n" + "\n".join([*sentences, *_in_bits(record)]), options.json)
    return found


def _is_run(contestant: Contestant) -> bool:
    networks = contestant.networks
    return contestant.model is None and networks.vae is None and networks.decoder is None


def _names(options: VersusOptions) -> tuple[str, str]:
    """As told; else the folders of two runs, if these differ; else a and b."""
    told = (options.a.name, options.b.name)
    if _is_run(options.a) and _is_run(options.b):
        folders = (Path(options.a.run).name, Path(options.b.run).name)
        plain_names = folders if folders[0] != folders[1] else (options.a.run, options.b.run)
    else:
        plain_names = ("a", "b")
    return told[0] or plain_names[0], told[1] or plain_names[1]


def _evidence(options: VersusOptions, a: Target, b: Target) -> tuple[Estimate, Estimate] | None:
    """What shards have of both models.

    Raises:
        ValueError: if it is there of one of them only.
    """
    files = options.a.evidence, options.b.evidence
    if files == (None, None):
        return None
    if files[0] is None or files[1] is None:
        raise ValueError("--a.evidence and --b.evidence go together: give the tables of both models, or neither")
    return read_shards(files[0]).of(a), read_shards(files[1]).of(b)


def _of(contestant: Contestant, options: VersusOptions) -> OfSubject:
    """One model as the other commands are asked about it."""
    own = {
        field.name: getattr(contestant, field.name)
        for field in fields(Contestant)
        if field.name not in ("name", "evidence")
    }
    return OfSubject(
        **own, split=options.split, limit=options.limit, seed=options.seed, device=options.device, json=options.json
    )


def _height(head: tuple[str, ...]) -> int:
    """Lines that a table's sentences take: they are said last."""
    return len(Table(head).text().splitlines())


def _figure(found: Versus, where: Path) -> list[Path]:
    return [save_figure(versus_figure(found), where / FIGURE)] if len(found.log_p) else []


def _bits(found: Versus, subject: Subject) -> dict[str, Any]:
    """The mean differences in bits per dimension, in which fewer are better."""
    data = subject.dataset
    unit = unit_of(subject.target, data.unit, data.dequantize != "none")
    means = {"log_p": found.log_p, "elbo": found.elbo} if len(found.log_p) else {}
    said = {}
    for name, paired in means.items():
        low, high = (float(-unit.difference(torch.tensor(end))) for end in paired.interval())
        said[name] = {"value": float(-unit.difference(torch.tensor(paired.value))), "interval": [high, low]}
    return {"bits_per_dimension": {"of": unit.says, "a less b": said}}


def _in_bits(record: dict[str, Any]) -> list[str]:
    found = record.get("bits_per_dimension", {}).get("a less b", {}).get("log_p")
    if found is None:
        return []
    low, high = found["interval"]
    return [
        f"In bits per dimension, of {record['bits_per_dimension']['of']}: {record['a']} less {record['b']} "
        f"{plain(found['value'], 4)} (95 %: {plain(low, 4)} … {plain(high, 4)}); fewer are better."
    ]
