"""Every public name of the package: where it is defined, what it is, the first sentence of what it says."""

import ast
import importlib
import inspect
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

PACKAGES = (
    "inference", "models", "guides", "networks", "datasets", "densities", "adapters", "rivals", "reference", "report",
)  # fmt: skip
"""Those of which `__all__` is public, in the order in which a reader meets them."""

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class PublicName:
    """A name of a package's `__all__`.

    Attributes:
        package: the import name, such as `elbowroom.inference`.
        name: in `__all__`.
        origin: the module in which it is defined.
    """

    package: str
    name: str
    origin: str

    @property
    def path(self) -> str:
        """The way in which it is imported."""
        return f"{self.package}.{self.name}"

    @property
    def page(self) -> str:
        """The name of its page in the folder of its package; `Bracket` and `bracket` are one file to some systems."""
        return (
            f"{self.name}-class"
            if self.name[:1].isupper() and self.name.lower() in small_names(self.package)
            else self.name
        )

    @cached_property
    def value(self) -> Any:
        """The object itself."""
        return getattr(importlib.import_module(self.package), self.name)

    @cached_property
    def kind(self) -> str:
        """`class`, `exception`, `function` or `data`, as the Python domain calls it."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if inspect.isroutine(self.value) else "data"

    @cached_property
    def docstring(self) -> str:
        """What is written about it: of a constant the text that follows it."""
        if self.kind == "data":
            return constants_told(self.origin).get(self.name, "")
        return inspect.getdoc(self.value) or ""

    @property
    def summary(self) -> str:
        """Its first paragraph, in a line."""
        return " ".join(self.docstring.strip().split("\n\n")[0].split())


@cache
def public_names() -> tuple[PublicName, ...]:
    """All of them, package by package, each in the order of its `__all__`."""
    return tuple(
        PublicName(package, name, origin_of(package, name))
        for package in (f"elbowroom.{name}" for name in PACKAGES)
        for name in importlib.import_module(package).__all__
    )


@cache
def small_names(package: str) -> frozenset[str]:
    """The names of a package that are written small."""
    return frozenset(name for name in importlib.import_module(package).__all__ if name.islower())


def origin_of(module: str, name: str) -> str:
    """The module that defines a name which another imports."""
    while imported := imports_of(module).get(name):
        module = imported
    return module


@cache
def imports_of(module: str) -> dict[str, str]:
    """Name -> where it is imported from, of what a module imports from others of this package."""
    return {
        alias.name: node.module or ""
        for node in ast.walk(ast.parse(source_of(module)))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("elbowroom")
        for alias in node.names
    }


@cache
def constants_told(module: str) -> dict[str, str]:
    """Name -> the text that follows its assignment, in a module."""
    body, told = ast.parse(source_of(module)).body, {}
    for node, after in pairwise(body):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            told.update({t.id: inspect.cleandoc(after.value.value) for t in targets if isinstance(t, ast.Name)})
    return told


def source_of(module: str) -> str:
    """The text of a module."""
    return Path(importlib.import_module(module).__file__ or "").read_text(encoding="utf-8")


def source_folders() -> list[Path]:
    """The folders of the package in the repository."""
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
    return [ROOT / folder for folder in folders.values()]
