"""An option of a command and the library's argument of that name have one default; those that differ are listed."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from typing import Any

from elbowroom.commands.options import AuditOptions, CompareOptions, Data, EvidenceOptions, Programs, Training
from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal, from_encoder
from elbowroom.inference import bracket, compare, fit, importance
from elbowroom.inference.audit import audit_target
from elbowroom.inference.evaluation.budget import MEMORY_BYTES
from elbowroom.models import PPCA, VAE, from_decoder

USES: dict[type, tuple[Callable[..., Any], ...]] = {
    Data: (load,),
    Programs: (VAE, PPCA, AmortizedNormal),
    Training: (fit,),
    EvidenceOptions: (importance, bracket),
    CompareOptions: (compare,),
    AuditOptions: (audit_target, from_decoder, from_encoder),
}

DIFFERENT: set[tuple[type, str, Any, Any]] = {
    (Data, "binarize", None, "none"),  # what the model's data are: the digits are grey, and the first one's are not
    (Programs, "activation", "softplus", "silu"),  # what the command's published figures were measured with
    (Programs, "hidden", (64, 64), None),  # the same widths, where a network has them for its own
    (Programs, "sigma", None, 1.0),  # not given: where each model's own constructor starts
    (Training, "batch_size", 128, None),  # for the digits, as are the next two
    (Training, "learning_rate", 3e-3, 1e-3),
    (Training, "schedule", "cosine", "constant"),
    (Training, "loss", None, "Trace_ELBO"),  # null is what the family is trained by, which is this of nearly all
    (EvidenceOptions, "num_samples", 5000, 1000),  # a few seconds for the digits
    (EvidenceOptions, "num_particles", (5, 50, 500), ()),
    (CompareOptions, "data", Data(), None),  # two things of one name: the option is which data set
    (CompareOptions, "budget", 120.0, None),  # who waits at a terminal is told in two minutes what it would take
}


def pairs() -> Iterator[tuple[type, str, Any, Any]]:
    """Options class, name, the option's default, the library's."""
    for options, functions in USES.items():
        for option in fields(options):
            ours = option.default if option.default_factory is MISSING else option.default_factory()
            for function in functions:
                argument = inspect.signature(function).parameters.get(option.name)
                if argument is not None and argument.default is not argument.empty:
                    yield options, option.name, tuple(ours) if isinstance(ours, list) else ours, argument.default


def test_defaults_differ_only_where_it_is_said() -> None:
    assert len(list(pairs())) > 30
    assert {pair for pair in pairs() if pair[2] != pair[3]} == DIFFERENT


def test_the_byte_budget_is_the_librarys() -> None:
    assert EvidenceOptions.memory_mib * 2**20 == MEMORY_BYTES
