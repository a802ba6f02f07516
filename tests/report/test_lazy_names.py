"""`import elbowroom.report` costs nothing until a name is used, and every public name is there."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping

import matplotlib
import pytest

import elbowroom.report as report

STEPS = {
    "nothing": ("import elbowroom.report as report", {"torch", "matplotlib", "arviz", "xarray", "rich"}),
    "draws": (
        "import torch; from elbowroom.inference import Draws\n"
        "info = {'method': 'hmc', 'seed': 0, 'num_warmup': 1, 'seconds': 1.0, 'num_evaluations': torch.ones(2)}\n"
        "still = {'diverging': torch.zeros(2, 8, 2, dtype=torch.bool)}\n"
        "draws = Draws({'w': torch.randn(2, 8, 2)}, ['w'], still, info)",
        {"matplotlib", "arviz", "xarray"},
    ),
    "tables": ("report.bounds_table, report.comparison_table", {"matplotlib", "arviz", "xarray"}),
    "table of an audit": ("report.audit_table", {"matplotlib", "arviz", "xarray", "jinja2", "PIL"}),
    "a figure": (
        "report.prior_samples_figure(torch.rand(4, 4), (2, 2)).canvas.draw()",
        {"matplotlib.pyplot"},  # which would look for a window system
    ),
    "ArviZ's object": ("draws.to_arviz()", set[str]()),
}
"""What a process does one after another, and what must not be loaded by then."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, set[str]]]:
    """After each step, what Python's generator gave and the modules there were, in a process that takes them all.

    Its home is new, and every warning is an error: ArviZ 0.23 would warn at its first import in a home. Python itself
    shows deprecations of libraries to nobody.
    """
    program = "import random, sys\n" + "".join(
        f"random.seed(1)\n{step}\nprint({name!r}, random.random(), *sys.modules, sep='|')\n"
        for name, (step, _) in STEPS.items()
    )
    home = tmp_path_factory.mktemp("home")
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "MPLCONFIGDIR": matplotlib.get_configdir()}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program],
        env=os.environ | places, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return {name: (drawn, set(loaded)) for name, drawn, *loaded in (s.split("|") for s in done.stdout.splitlines())}


@pytest.mark.parametrize("step", STEPS)
def test_what_is_not_used_is_not_loaded(step: str, seen: dict[str, tuple[str, set[str]]]) -> None:
    loaded = seen[step][1]
    assert "elbowroom.report" in loaded and not STEPS[step][1] & loaded


def test_what_is_used_is_loaded_in_the_end(seen: dict[str, tuple[str, set[str]]]) -> None:
    *_, (_, loaded) = seen.values()
    assert {"torch", "matplotlib", "arviz", "xarray", "rich"} <= loaded


@pytest.mark.parametrize("step", STEPS)
def test_what_is_loaded_draws_no_random_number_of_the_users(step: str, seen: dict[str, tuple[str, set[str]]]) -> None:
    """Python's generator: the library that draws tables takes one as it is imported."""
    assert float(seen[step][0]) == random.Random(1).random()


@pytest.mark.parametrize("name", report.__all__)
def test_every_name_is_a_documented_function_or_a_table_even_after_its_file_was_imported(name: str) -> None:
    for _ in range(2):  # a submodule of that name would now be in its place
        found = getattr(report, name)
        assert isinstance(found, Mapping) or (callable(found) and found.__doc__)
    assert name in dir(report)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'posterior_plot'"):
        report.posterior_plot  # noqa: B018
