"""`import elbowroom.report` costs nothing until a name is used, and every public name is there."""

import subprocess
import sys

import pytest

import elbowroom.report as report

DRAWN = "import torch; report.prior_samples_figure(torch.rand(4, 4), (2, 2)).canvas.draw()"


@pytest.mark.parametrize(
    ("program", "unused"),
    [
        ("", {"torch", "matplotlib", "arviz", "xarray", "rich"}),
        ("report.bounds_table, report.comparison_table", {"matplotlib", "arviz", "xarray"}),
        ("report.audit_table", {"matplotlib", "arviz", "xarray", "jinja2", "PIL"}),
        (DRAWN, {"matplotlib.pyplot"}),  # which would look for a window system
    ],
    ids=["nothing", "tables", "table of an audit", "a figure"],
)
def test_what_is_not_used_is_not_loaded(program: str, unused: set[str]) -> None:
    program = f"import sys, elbowroom.report as report\n{program}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "elbowroom.report" in loaded and not unused & loaded


def test_what_is_loaded_draws_no_random_number_of_the_users() -> None:
    """Python's generator: the library that draws tables takes one as it is imported."""
    program = (
        "import random, sys, elbowroom.report as report\n"
        "random.seed(1); report.audit_table; one = random.random()\n"
        "random.seed(1); print(one == random.random(), 'rich' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "True True\n"


@pytest.mark.parametrize("name", report.__all__)
def test_every_name_is_a_documented_function_even_after_its_file_was_imported(name: str) -> None:
    assert callable(getattr(report, name))
    assert callable(getattr(report, name))  # a submodule of that name would now be in its place
    assert getattr(report, name).__doc__
    assert name in dir(report)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'posterior_plot'"):
        report.posterior_plot  # noqa: B018
