"""The page on training: its code runs from top to bottom, and leaves what it says."""

import re
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO

from elbowroom.inference.training import OBJECTIVES
from elbowroom.inference.training.kl_term import KLTerm
from house_imports import ROOT

PAGE = (ROOT / "docs" / "training.md").read_text()


@pytest.mark.slow
def test_the_code_of_the_page_runs() -> None:
    """With fewer epochs and samples, and no search. A plain SVI loop's parameters are those that Target sees."""
    torch.set_default_dtype(torch.float32)
    pyro.clear_param_store()
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    fewer = {r"num_epochs=\d+": "num_epochs=2", r"warmup_epochs=\d+": "warmup_epochs=1", r"(points\W+)\d+": r"\g<1>8"}
    for found, put in (fewer | {r"(num_samples=\d+)\)": r"\1, search=False)"}).items():
        code = re.sub(found, put, code)
    names: dict[str, Any] = {}
    exec(compile(code.replace("% 10 == 0", "% 1 == 0"), "docs/training.md", "exec"), names)
    assert [epoch for epoch, _, _ in names["curve"]] == [1, 2]
    target, arguments = names["target"], (names["data"].validation, names["everything"])
    elbo = -Trace_ELBO(num_particles=100, vectorize_particles=True, max_plate_nesting=1).loss(
        names["masked_model"], names["masked_guide"], *arguments
    ) / len(target)
    log_w = target.log_weights(100)
    error = (2 * log_w.double().var(0).sum() / 100).sqrt().item() / len(target)  # of both estimates together
    assert elbo == pytest.approx(log_w.mean().item(), abs=4 * error)


def test_every_argument_of_the_kl_term_is_on_the_page() -> None:
    assert [name for name in KLTerm.__dataclass_fields__ if f"`{name}" not in PAGE] == []


def test_every_objective_is_on_the_page_with_what_it_bounds() -> None:
    for name, objective in OBJECTIVES.items():
        options = ", ".join(f"`{option}={default!r}`" for option, default in objective.options().items())
        assert f"| `{name}` | {objective.what} | {objective.bound} | {options} |\n" in PAGE
