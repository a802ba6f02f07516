"""The code in docstrings of public names runs. That of families and their guides, in which they are trained, does so in
tests/models/test_scripts.py and tests/guides/.
"""

import contextlib
import inspect
from textwrap import dedent
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from torch.distributions import Independent, Normal

from building.docstrings import as_rest
from building.public_names import public_names
from building.reference_pages import own_members
from elbowroom.inference import compare, hmc
from toys import arviz_oracle
from toys.page_names import fewer, given
from toys.selections import all_but_slow

TRAINED = ("elbowroom.models.", "elbowroom.guides.")
"""Where a block that trains is run by tests of its family."""

UNTRIED = {"elbowroom.adapters.from_scvi": "scvi-tools is an extra; tests/adapters/test_from_scvi.py makes the call"}
"""What cannot be run here, and why."""


def blocks() -> dict[str, str]:
    """Name -> its code, where it has some and nothing else runs it."""
    told = {name.path: name.docstring for name in public_names()}
    for name in public_names():
        if name.kind in ("class", "exception"):
            told |= {f"{name.path}.{m}": inspect.getdoc(getattr(name.value, m)) or "" for m in own_members(name.value)}
    found = {path: python_of(docstring) for path, docstring in told.items()}
    return {path: code for path, code in found.items() if code and not (path.startswith(TRAINED) and "fit" in code)}


def python_of(docstring: str) -> str:
    """Its blocks of Python, one after the other."""
    lines, code, inside = as_rest(docstring), [], False
    for line in lines:
        if line.startswith(".. code-block::") or (line and not line.startswith(" ")):
            inside = line == ".. code-block:: python"
        elif inside:
            code.append(line)
    return dedent("\n".join(code)).strip("\n")


def meant(path: str, names: dict[str, Any]) -> dict[str, Any]:
    """What a docstring takes for granted beside what all pages do."""
    target, x = names["target"], names["x"]
    if path.endswith("to_arviz"):
        import arviz

        draws = hmc(target, num_warmup=100, num_draws=50, num_chains=4)
        return {
            "arviz": arviz,
            "draws": draws,
            "comparison": compare(target, [1, 3], num_samples=50, mcmc="hmc", num_warmup=100, num_draws=50),
        }
    prior = Normal(torch.zeros(2), 1.0)
    functions = {
        "sample": lambda num, x: prior.sample((num, len(x))),
        "log_q": lambda z, x: prior.log_prob(z).sum(-1),
        "log_joint": lambda z, x: (prior.log_prob(z).sum(-1), Normal(z.sum(-1), 1.0).log_prob(x.sum(-1))),
        "flow": lambda x: Independent(Normal(torch.zeros(len(x), 2), 1.0), 1),
        "log_prior": lambda z: prior.log_prob(z).sum(-1),
        "log_likelihood": lambda z, x: Normal(z.sum(-1), 1.0).log_prob(x.sum(-1)),
    }
    return functions | {"axis": plt.figure().add_subplot(), "seconds": [1.0], "error": [2.0], "batches": [x]}


BLOCKS = blocks()
SLOW = ("elbowroom.adapters.Monitor", "elbowroom.inference.Comparison.to_arviz", "elbowroom.inference.Draws.to_arviz")


@pytest.mark.parametrize("path", all_but_slow(sorted(set(BLOCKS) - set(UNTRIED)), SLOW))
def test_the_code_of_a_docstring_runs(path: str) -> None:
    names = given()
    names |= meant(path, names)
    names |= {name.name: name.value for name in public_names() if name.package in path}
    with arviz_oracle.quietly() if "arviz" in names else contextlib.nullcontext():
        exec(compile(fewer(BLOCKS[path]), path, "exec"), names)
    plt.close("all")


def test_what_is_not_tried_is_there() -> None:
    assert set(UNTRIED) <= set(BLOCKS)
    assert {"elbowroom.adapters.Monitor", "elbowroom.inference.Target.from_functions"} <= set(BLOCKS)
