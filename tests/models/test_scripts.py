"""Every family's docstring has a script of fifteen lines that trains it: it runs, on few data and for one epoch."""

import re
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from textwrap import dedent
from typing import Any

import pytest
import torch

from elbowroom import datasets, inference
from elbowroom.models import LatentModel
from elbowroom.models.registry import MODELS, class_at
from toys.selections import all_but_slow

LIMITS = {"train": 200, "validation": 2, "test": 2}
"""Data of each split, enough to see that all fits together."""


def scripts_of(constructor: Any, kind: str) -> list[str]:
    """The blocks of a docstring that train the family on its kind of data."""
    blocks = re.findall(r"\n\n((?: {8}.*\n+)+)", constructor.__doc__ or "")
    scripts = [dedent(block).strip() for block in blocks if f"{constructor.__name__}" in block and "fit(" in block]
    return [script for script in scripts if f'KINDS["{kind}"]' in script or "KINDS" not in script]


def few(load: Any, *args: Any, **options: Any) -> datasets.Dataset:
    """The first data of each split."""
    data = load(*args, **options)
    shorter = {name: data.split(name)[:limit] for name, limit in LIMITS.items()}
    labels, masks = ({n: v[: LIMITS[n]] for n, v in of.items()} for of in (data.labels, data.masks))
    return replace(data, **shorter, labels=labels, masks=masks)


def one_epoch(fit: Any, *args: Any, **options: Any) -> Any:
    """Of training, without a bar."""
    return fit(*args, **options | {"num_epochs": 1, "warmup_epochs": 0, "progress": False})


def few_samples(importance: Any, target: inference.Target, **options: Any) -> inference.Estimate:
    """log p(x) in a moment."""
    return importance(target, num_samples=50, search=False)


@pytest.mark.parametrize(
    "family", all_but_slow(MODELS, ("deep-markov", "linear-dynamical-system", "semi-supervised-vae"))
)
def test_the_script_of_the_docstring_runs(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float32)
    constructor = class_at(MODELS[family].where)
    scripts = scripts_of(constructor, MODELS[family].data)
    assert scripts, f"{constructor.__name__}: its docstring has no script that trains {family}"
    monkeypatch.setattr(datasets, "load", partial(few, datasets.load))
    monkeypatch.setattr(inference, "fit", partial(one_epoch, inference.fit))
    for name in ("importance", "quadrature"):  # a second each, ten of them for model M2
        monkeypatch.setattr(inference, name, partial(few_samples, inference.importance))
    for script in scripts:
        assert len(script.splitlines()) <= 15
        with redirect_stdout(StringIO()) as printed:
            exec(compile(script, family, "exec"), {})
        assert re.search(r"-?\d+\.\d+", printed.getvalue()) and "nan" not in printed.getvalue()


def test_a_family_without_a_script_is_found() -> None:
    assert scripts_of(LatentModel, "binary") == []
    assert len(scripts_of(class_at(MODELS["completion-vae"].where), "completion")) == 1
