"""What the house is like: its folders, its imports, its floors by pyproject.toml, and what its wings say."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grimp

from house_picture import Arrow, Box, Floors, picture

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, INFERENCE = "elbowroom", "elbowroom.inference"

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
FOLDERS: dict[str, str] = PROJECT["setuptools"]["package-dir"]
"""Import name -> folder."""


TOOLS = ("entry_points", "progress", "showing")
"""What any wing of inference/ may use without saying so."""


@dataclass(frozen=True)
class Layers:
    """A contract of import-linter: the children of a package, floor by floor from the top."""

    package: str
    floors: list[list[str]]


@cache
def imports() -> grimp.ImportGraph:
    """The imports between the modules of the package, read where it has real folders."""
    sys.path.insert(0, str(ROOT / "typings"))
    return grimp.build_graph(PACKAGE, cache_dir=None)


def layers() -> dict[str, Layers]:
    """The layers of pyproject.toml by package; those of the whole house are `elbowroom`'s."""
    found = {}
    for contract in PROJECT["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            floors = [[_name(name) for name in floor.split("|")] for floor in contract["layers"]]
            found |= {package: Layers(package, floors) for package in contract.get("containers", [PACKAGE])}
    return found


def _name(layer: str) -> str:
    return layer.strip("() ").removeprefix(PACKAGE + ".")


def wing_of(module: str, package: str) -> str:
    """The child of a package that a module lies in; empty for modules elsewhere and for the package itself."""
    return module.removeprefix(package + ".").split(".")[0] if module.startswith(package + ".") else ""


def arrows(graph: grimp.ImportGraph, package: str) -> dict[Arrow, list[str]]:
    """(importing, imported) children of a package -> the imports, as `importer -> imported`."""
    found: dict[Arrow, list[str]] = {}
    for module in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            pair = wing_of(module, package), wing_of(imported, package)
            if all(pair) and pair[0] != pair[1]:
                found.setdefault(pair, []).append(f"{module} -> {imported}")
    return found


def file_of(module: str) -> Path:
    """The source file of a module, or of a package its `__init__`."""
    owner = max((name for name in FOLDERS if module == name or module.startswith(name + ".")), key=len)
    place = ROOT / FOLDERS[owner] / Path(*module[len(owner) :].strip(".").split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def opening(module: str) -> str:
    """The docstring of a module."""
    return ast.get_docstring(ast.parse(file_of(module).read_text())) or ""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """(path in the repository, syntax tree) of every module."""
    for folder in FOLDERS.values():
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text())


# The picture ------------------------------------------------------------------------------------------------------


def drawn() -> str:
    """The house as SVG."""
    graph, known = imports(), layers()
    inside = _floors(graph, known[INFERENCE])
    return picture(_floors(graph, known[PACKAGE], {"inference": inside}))


def _floors(graph: grimp.ImportGraph, house: Layers, frames: dict[str, Floors] | None = None) -> Floors:
    frames = frames or {}
    boxes = [[_box(graph, f"{house.package}.{name}", frames.get(name)) for name in floor] for floor in house.floors]
    level = {name: i for i, floor in enumerate(house.floors) for name in floor}
    # An arrow that points up has no place in the picture: house.py names it. Those to tools would say nothing.
    down = [(a, b) for a, b in arrows(graph, house.package) if level.get(a, 0) < level.get(b, 0) and b not in TOOLS]
    return Floors(boxes, [(f"{house.package}.{a}", f"{house.package}.{b}") for a, b in _least(down)])


def _box(graph: grimp.ImportGraph, module: str, inside: Floors | None) -> Box:
    """A wing with its question, the number of its files, and of its lines to two digits."""
    files = [file_of(module), *(file_of(inner) for inner in graph.find_descendants(module))]
    lines = sum(len(file.read_text().splitlines()) for file in files)
    count = f"{len(files)} files, " if len(files) > 1 else ""
    folder = file_of(module).relative_to(ROOT).as_posix().removesuffix("__init__.py").removeprefix("inference/")
    return Box(module, folder or "inference/", _question(module), f"{count}{float(f'{lines:.2g}'):,.0f} lines", inside)


def _question(module: str) -> str:
    """The first sentence of an opening."""
    text = " ".join(opening(module).split("\n\n")[0].replace("`", "").split())
    ends = [text.find(end) + 1 for end in ("? ", ". ") if end in text]
    return text[: min(ends)] if ends else text


def _least(pairs: list[Arrow]) -> list[Arrow]:
    """The arrows that no way over other arrows stands for."""
    below: dict[str, set[str]] = {}
    for a, b in pairs:
        below.setdefault(a, set()).add(b)

    def reached(name: str) -> set[str]:
        return below.get(name, set()).union(*(reached(b) for b in below.get(name, set())))

    return [(a, b) for a, b in sorted(pairs) if not any(b in reached(c) for c in below[a])]
