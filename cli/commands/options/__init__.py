"""What can a command be told? Its options: typed dataclasses, free of torch so that --help is quick.

    shared.py           what several commands are told: seed and device, the data, how they are observed
    training.py         train: which model and guide, or which density, and how it is fitted
    subjects.py         what evidence, audit, compare and generate are asked about: a run, programs, plain networks
    questions.py        evidence, versus, compare, audit, explore and generate
    many_machines.py    shard and merge
    other_commands.py   demo, rivals and families

Options of several commands are written once, in the classes that they inherit; `--help` and the files of `--config`
show one list, in this order: inherited options, the command's own, and last those of `EveryCommand`. What `--help` says
of an option is the line of its class's docstring. Imports: the registries' names, nothing else.
"""

from elbowroom.commands.options.many_machines import MergeOptions, ShardOptions
from elbowroom.commands.options.other_commands import DemoOptions, FamiliesOptions, RivalsOptions
from elbowroom.commands.options.questions import (
    AuditOptions,
    CompareOptions,
    EvidenceOptions,
    ExploreOptions,
    GenerateOptions,
    VersusOptions,
)
from elbowroom.commands.options.shared import Binarize, Data, EveryCommand, Split
from elbowroom.commands.options.subjects import Networks, OfSubject
from elbowroom.commands.options.training import Programs, Training, TrainOptions

__all__ = [
    "AuditOptions",
    "Binarize",
    "CompareOptions",
    "Data",
    "DemoOptions",
    "EveryCommand",
    "EvidenceOptions",
    "ExploreOptions",
    "FamiliesOptions",
    "GenerateOptions",
    "MergeOptions",
    "Networks",
    "OfSubject",
    "Programs",
    "RivalsOptions",
    "ShardOptions",
    "Split",
    "TrainOptions",
    "Training",
    "VersusOptions",
]
