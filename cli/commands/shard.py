"""`elbowroom shard`: this worker's share of log p(x) of very many data."""

import os
from typing import Any

import torch

from elbowroom.commands.options import ShardOptions
from elbowroom.commands.output import ChunksLeftOut, named, print_json, say
from elbowroom.commands.runs import needs_sizes
from elbowroom.commands.subject import Subject, say_notes, say_subject, subject_of
from elbowroom.datasets import Mapped, mapped
from elbowroom.inference import Standing, Target, shard, shard_cost, shards_standing
from elbowroom.inference.saving.json_values import json_able
from elbowroom.inference.training.workers import is_first

_LIKE_THEM = 64  # data of the subject that the programs are read with, where others are evaluated


class Totals:
    """The sum over each row of other data, for programs that are given it."""

    def __init__(self, rows: Mapped) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice) -> Any:
        return self.rows[rows].sum(-1)


def run(options: ShardOptions) -> None:
    """Do this worker's chunks, or say what they would take, or how far all workers are."""
    if options.status is not None:
        _tell(shards_standing(options.status), options)
        return
    _own_card(options.device)
    quiet = options.json or not is_first()
    subject = subject_of(options)
    say_subject(subject, quiet)
    say_notes(subject, quiet)
    target, data = _of(subject, options, quiet)
    given: dict[str, Any] = {
        "chunk": options.chunk, "batch": options.batch, "estimator": options.estimator, "options": options.options,
        "seed": options.seed,
    }  # fmt: skip
    if options.dry_run:
        cost = shard_cost(target, data, **given)
        say(str(cost), options.json)
        if options.json:
            print_json(json_able(cost.record()))
        return
    standing = shard(
        target, data, output=options.output, engine=options.engine, retry=options.retry, progress=not options.json,
        **given,
    )  # fmt: skip
    _tell(standing, options)


def _own_card(device: str) -> None:
    """Of a machine with several cards each of torchrun's workers takes its own."""
    if device == "cuda" and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


def _of(subject: Subject, options: ShardOptions, quiet: bool) -> tuple[Target, Any]:
    """The programs with their data; or with a few of them, and the others."""
    if options.array is None:
        return subject.target, None
    known, target = subject.dataset, subject.target
    if known.binarize not in ("none", "threshold") or known.dequantize != "none":
        how = f"binarize={known.binarize}" if known.dequantize == "none" else f"dequantize={known.dequantize}"
        raise ValueError(
            f"--array {options.array}: these programs take data that were drawn ({how}), which cannot be drawn anew "
            "row by row. Save the array as the programs are to see it, and name programs or a run without such draws"
        )
    rows = mapped(
        options.array, binarize="none" if known.binarize == "none" else "threshold", threshold=known.threshold
    )
    sizes = [Totals(rows)] if needs_sizes(target.model) else []
    if len(target.per_datum) != 1 + len(sizes):
        raise ValueError(
            f"--array {options.array}: the programs take {len(target.per_datum)} things of each datum (as "
            f"{subject.kind}), and an array holds one; evaluate them from Python: elbowroom.inference.shard(target, "
            "[x, mask, …])"
        )
    few = target.select(range(min(_LIKE_THEM, len(target))))
    say(f"Data: {len(rows):,} rows of {named(options.array)} in their place.", quiet)
    return few, [rows, *sizes]


def _tell(standing: Standing, options: ShardOptions) -> None:
    say(str(standing), options.json or not is_first())
    if options.json and is_first():
        print_json(json_able(standing.record()))
    if standing.failed:
        chunks = ", ".join(map(str, standing.failed))
        raise ChunksLeftOut(
            f"chunks {chunks} were left out after three attempts each; mend the cause and run this again with --retry"
        )
