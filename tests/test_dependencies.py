"""What the package imports is declared, what is declared is used, and `make test-lowest` takes what is the lowest."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement

from lowest import ROOT, choose, declared, lower_end

FOLDERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]

WITHOUT_IMPORT = {
    "h5netcdf": "xarray's engine, by name",
    "pyyaml": "jsonargparse's reader of --config",
}
"""Declared, and used by other packages on this one's behalf."""


def imported(sources: Iterable[str]) -> set[str]:
    """First names of all modules that sources import: anywhere, inside functions and for type checkers too."""
    names = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").split(".")[0])
    return names


def distributions(names: Iterable[str]) -> set[str]:
    """What has to be installed for these modules, by normalised names."""
    known = packages_distributions()
    foreign = set(names) - sys.stdlib_module_names - {"elbowroom"}
    return {re.sub(r"[-_.]+", "-", known.get(name, [name])[0]).lower() for name in foreign}


@pytest.fixture(scope="module")
def needed() -> set[str]:
    """Distributions that the package imports."""
    files = [file for folder in FOLDERS.values() for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    return distributions(imported(file.read_text() for file in files))


def names_declared() -> set[str]:
    return {re.sub(r"[-_.]+", "-", requirement.name).lower() for requirement in declared()}


def test_what_is_imported_is_declared(needed: set[str]) -> None:
    assert sorted(needed - names_declared()) == [], "imported, and installed by the grace of other packages only"


def test_what_is_declared_is_used(needed: set[str]) -> None:
    assert sorted(names_declared() - needed - set(WITHOUT_IMPORT)) == []
    assert set(WITHOUT_IMPORT) <= names_declared()


def test_imports_are_found_wherever_they_are() -> None:
    source = "import os, PIL.Image\nfrom . import x\nfrom elbowroom.a import b\ndef f():\n    from yaml.c import d\n"
    assert imported([source]) == {"os", "PIL", "elbowroom", "yaml"}
    assert distributions({"os", "PIL", "elbowroom", "yaml", "not_there"}) == {"pillow", "pyyaml", "not-there"}


def test_every_dependency_has_one_lower_end() -> None:
    assert all(lower_end(requirement) for requirement in declared())
    for text in ("scipy", "scipy<2", "scipy>=1,>=2"):
        with pytest.raises(ValueError, match=f"{text} has . lower ends"):
            lower_end(Requirement(text))


@pytest.mark.parametrize(
    ("text", "available", "taken"),
    [
        ("scipy>=1.11", ["1.10.1", "1.12.0", "1.11.0", "1.11.1"], "1.11.0"),
        ("scipy>=1.11", ["1.10.1", "1.12.0", "1.9"], "1.12.0"),
        ("scipy>=1.11,!=1.11.0", ["1.11.0", "1.11.2"], "1.11.2"),
        ("torch>=2.6", ["2.10.0", "2.9.0", "2.6.0rc1"], "2.9.0"),
    ],
)
def test_the_lowest_that_is_admitted(text: str, available: list[str], taken: str) -> None:
    choice = choose(Requirement(text), available)
    assert str(choice.taken) == taken


def test_what_is_not_there_is_said() -> None:
    assert "no wheel" not in str(choose(Requirement("scipy>=1.11"), ["1.11.0"]))
    assert "pip finds no wheel of 1.11 for Python" in str(choose(Requirement("scipy>=1.11"), ["1.12.0"]))
    with pytest.raises(ValueError, match=r"no wheel of scipy>=1\.11 here"):
        choose(Requirement("scipy>=1.11"), ["1.10.0"])
