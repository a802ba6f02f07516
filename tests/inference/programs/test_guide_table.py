"""The table of guides in docs/compatibility.md, measured: what each can do, and that its numbers are right."""

import math
import warnings
from functools import cache
from pathlib import Path

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor

from elbowroom.inference import Target, importance
from elbowroom.inference.programs.structure import ProgramError
from toys.failure_budget import sigmas
from toys.guides import GUIDES, X, choices, exact_choices, exact_line, exact_points, line, points
from toys.selections import rest_slow

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"
WORLDS = {"one datum": (None, line, exact_line), "data plate": ("data", points, exact_points)}
DISCRETE = "AutoDiscreteParallel"
SIGMAS = sigmas(len(GUIDES) * 4)
REFUSED = {
    "AutoLaplaceApproximation": "point mass",
    "AutoGuideList with an AutoDelta": "point mass",
    "AutoDelta": "point mass",
}


def rows() -> dict[str, list[str]]:
    """The table of guides: name -> its cells."""
    lines = PAGE.read_text().split("## Guides")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0].replace("`", ""): row[1:] for row in cells[2:]}


@cache
def measured(name: str, world: str) -> tuple[str, str]:
    """What becomes of a guide, and why: `exact`, `own draws` or `refused`; the numbers are tried on the way."""
    plate, model, exact = WORLDS[world]
    if name == DISCRETE:
        model, exact = choices, exact_choices
    pyro.clear_param_store()
    pyro.set_rng_seed(1)
    x = torch.tensor(X)
    try:
        guide = GUIDES[name](model, x)
        guide(x)
        target = Target(model, guide, x, plate=plate)
    except (ProgramError, NotImplementedError, ValueError) as error:
        return "refused", str(error)
    check_numbers(target, guide, x, exact(x))
    return ("exact" if target.has_density else "own draws"), target.why_no_density()


def check_numbers(target: Target, guide: object, x: Tensor, truth: Tensor) -> None:
    """log p(x) is the known one, and the ELBO is Pyro's, both within what noise allows."""
    found = importance(target, num_samples=2000, search=False)
    assert bool(((found.value - truth).abs() <= SIGMAS * found.stderr + 1e-9).all())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(?s).*TraceEnum_ELBO")  # sites that are drawn here all the same
        elbos = torch.tensor([-Trace_ELBO().loss(target.model, guide, x) for _ in range(80)])
    error = math.hypot(float(elbos.std()) / len(elbos) ** 0.5, float(found.info["elbo_stderr"].square().sum()) ** 0.5)
    assert float((found.info["elbo"].sum() - elbos.mean()).abs()) <= SIGMAS * error + 1e-9


@pytest.mark.parametrize("name", rest_slow(sorted(GUIDES), 6))
def test_the_table_is_what_is_measured(name: str) -> None:
    for column, world in enumerate(WORLDS):
        status, why = measured(name, world)
        assert rows()[name][column] == status, why


def test_the_table_has_every_guide() -> None:
    assert list(rows()) == list(GUIDES)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals_say_why(name: str) -> None:
    assert REFUSED[name] in measured(name, "one datum")[1]
