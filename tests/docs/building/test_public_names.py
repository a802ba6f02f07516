"""Every public name is known with its place, and says what it is."""

import tomllib

import pytest

from building.public_names import PACKAGES, ROOT, origin_of, public_names

NAMES = {name.path: name for name in public_names()}


def test_every_package_with_public_names_is_among_them() -> None:
    """But for what is under all others, and the command line."""
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
    with_names = {
        package.rpartition(".")[2]
        for package, folder in folders.items()
        if "\n__all__ = " in (ROOT / folder / "__init__.py").read_text()
    }
    assert with_names - {"entrances"} == set(PACKAGES)


def test_every_name_says_what_it_is() -> None:
    assert len(NAMES) > 200
    assert [path for path, name in NAMES.items() if not name.summary] == []


@pytest.mark.parametrize(
    ("path", "kind", "origin"),
    [
        ("elbowroom.inference.bracket", "function", "elbowroom.inference.evidence.bracket.bracket"),
        ("elbowroom.inference.ProgramError", "exception", "elbowroom.inference.programs.requirements"),
        ("elbowroom.models.VAE", "class", "elbowroom.models.vae"),
        ("elbowroom.datasets.KINDS", "data", "elbowroom.datasets.kinds"),
    ],
)
def test_kind_and_origin(path: str, kind: str, origin: str) -> None:
    assert (NAMES[path].kind, NAMES[path].origin) == (kind, origin)


def test_pages_differ_in_more_than_the_size_of_letters() -> None:
    """To some file systems Bracket and bracket are one name."""
    pages = [f"{name.package}/{name.page}".lower() for name in NAMES.values()]
    assert len(set(pages)) == len(pages)
    assert NAMES["elbowroom.inference.Bracket"].page == "Bracket-class"


def test_what_is_defined_in_its_package_is_found_there() -> None:
    assert origin_of("elbowroom.models.vae", "VAE") == "elbowroom.models.vae"
