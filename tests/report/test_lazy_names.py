"""`import elbowroom.report` costs nothing until a name is used, and every public name is there."""

import subprocess
import sys

import pytest

import elbowroom.report as report


def test_importing_the_package_loads_no_library() -> None:
    program = (
        "import sys, elbowroom.report; "
        "heavy = {'torch', 'matplotlib', 'arviz', 'xarray', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tables_load_no_figures_and_no_archive() -> None:
    program = (
        "import sys; from elbowroom.report import bounds_table, comparison_table; "
        "heavy = {'matplotlib', 'arviz', 'xarray'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_table_of_an_audit_draws_no_page() -> None:
    program = (
        "import sys; from elbowroom.report import audit_table; "
        "heavy = {'matplotlib', 'arviz', 'xarray', 'jinja2', 'PIL'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", report.__all__)
def test_every_name_is_a_documented_function_even_after_its_file_was_imported(name: str) -> None:
    assert callable(getattr(report, name))
    assert callable(getattr(report, name))  # a submodule of that name would now be in its place
    assert getattr(report, name).__doc__
    assert name in dir(report)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'posterior_plot'"):
        report.posterior_plot  # noqa: B018
