"""The picture of the house, and the proofs that it is built as docs/house.md says.

`python docs/house.py` draws docs/house.svg from the imports. With `--check` it proves, prints one line for each proof
with the number of exceptions, and ends with exit code 1 unless all of them are 0.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

import grimp

from house_imports import (
    FOLDERS,
    INFERENCE,
    PACKAGE,
    PROJECT,
    ROOT,
    TOOLS,
    Layers,
    arrows,
    drawn,
    imports,
    layers,
    opening,
    sources,
)

PICTURE, PAGE = ROOT / "docs" / "house.svg", ROOT / "docs" / "house.md"
MOST_FILES = 6
"""Files that may lie beside the wings of inference/."""

HANDLERS = ("inference/programs/", "inference/training/")
"""The only folders that may use `pyro.poutine`."""


@dataclass(frozen=True)
class Proof:
    """What there must be none of, and where there is one all the same."""

    nothing: str
    exceptions: list[str]

    def __str__(self) -> str:
        return "\n    ".join([f"{len(self.exceptions)} {self.nothing}", *self.exceptions])


def proofs() -> Iterator[Proof]:
    """All of them."""
    graph, known = imports(), layers()
    yield no_circles(graph)
    yield nothing_upwards(graph, known)
    yield every_wing_has_a_floor(graph, known)
    yield few_files_in_inference()
    yield handlers_in_their_folders()
    yield tests_mirror_folders()
    yield folders_are_packages()
    yield openings_name_rooms(graph)
    yield page_is_true(graph, known[INFERENCE])
    yield picture_is_true()


def no_circles(graph: grimp.ImportGraph) -> Proof:
    """Between the children of any package."""
    packages = [module for module in sorted(graph.modules) if graph.find_children(module)]
    broken = [f"{a} -> {b}" for package in packages for a, b in sorted(graph.nominate_cycle_breakers(package))]
    return Proof(f"circles between siblings, in {len(packages)} packages", broken)


def nothing_upwards(graph: grimp.ImportGraph, known: Mapping[str, Layers]) -> Proof:
    """From a floor to one above it, or to a neighbour that is said to be independent."""
    wrong = []
    for package, house in known.items():
        level = {name: i for i, floor in enumerate(house.floors) for name in floor}
        for (a, b), found in arrows(graph, package).items():
            if a in level and b in level and level[a] >= level[b]:
                wrong += found
    return Proof(f"imports upwards or sideways, on {sum(len(house.floors) for house in known.values())} floors", wrong)


def every_wing_has_a_floor(graph: grimp.ImportGraph, known: Mapping[str, Layers]) -> Proof:
    """And every floor its wings: so a new one has to be put somewhere."""
    wrong = []
    for package in (PACKAGE, INFERENCE):
        named = {f"{package}.{name}" for floor in known[package].floors for name in floor}
        wrong += sorted(named ^ graph.find_children(package))
    return Proof("wings without a floor, or floors without their wing", wrong)


def few_files_in_inference() -> Proof:
    """Beside its wings."""
    files = sorted(file.name for file in (ROOT / "inference").glob("[!_]*.py"))
    return Proof(f"files directly in inference/ beyond {MOST_FILES} (there are {len(files)})", files[MOST_FILES:])


def handlers_in_their_folders() -> Proof:
    """Other files do not use `pyro.poutine`: import-linter sees of other packages their first name only."""
    kinds = (ast.Import, ast.ImportFrom, ast.Attribute)
    users = [
        path
        for path, tree in sources()
        if any(re.search(r"\bpoutine\b", ast.unparse(node)) for node in ast.walk(tree) if isinstance(node, kinds))
    ]
    elsewhere = [path for path in users if not path.startswith(HANDLERS)]
    return Proof(f"files with pyro.poutine outside {' and '.join(HANDLERS)}", elsewhere)


def tests_mirror_folders() -> Proof:
    """tests/ itself mirrors the root."""
    tests = [test.relative_to(ROOT / "tests") for test in sorted((ROOT / "tests").rglob("test_*.py"))]
    lost = [f"tests/{test}" for test in tests if not (ROOT / test.parent).is_dir()]
    return Proof(f"test files whose folder mirrors none, of {len(tests)}", lost)


def folders_are_packages() -> Proof:
    """`[tool.setuptools] packages` lists every folder of modules, and no other."""
    found = set()
    for package, folder in FOLDERS.items():
        for file in (ROOT / folder).rglob("*.py"):
            found.add(".".join([package, *file.parent.relative_to(ROOT / folder).parts]))
    return Proof(
        f"folders that pyproject's packages lack, of {len(found)}",
        sorted(found ^ set(PROJECT["setuptools"]["packages"])),
    )


def openings_name_rooms(graph: grimp.ImportGraph) -> Proof:
    """The docstring of a wing, or of any package that lists its rooms, names all of them, and the wings it imports."""
    wrong, packages = [], []
    for package in sorted(module for module in graph.modules if graph.find_children(module)):
        text, is_wing = opening(package), package.startswith(INFERENCE + ".")
        named = re.findall(r"[\w*]+(?:\.py|/)", text)  # `chart_*.py` names all charts
        if not is_wing and not re.search(r"(?m)^    \w+(\.py|/) ", text):
            continue
        packages.append(package)
        for room in sorted(graph.find_children(package)):
            name = room.rsplit(".", 1)[1] + ("/" if graph.find_children(room) else ".py")
            if not any(fnmatch(name, pattern) for pattern in named):
                wrong.append(f"{package} does not name {name}")
        said = re.search(r"(?s)Imports: (.*?)(never|$)", text)
        for wing in sorted(wings_used(graph, package)) if is_wing else ():
            if said is None or not re.search(rf"\b{wing}\b", said[1]):
                wrong.append(f"{package} does not say that it imports {wing}")
    return Proof(f"rooms or imports that an opening does not name, in {len(packages)} openings", wrong)


def wings_used(graph: grimp.ImportGraph, package: str) -> set[str]:
    """Wings of inference/ outside its own that a package imports, tools apart."""
    own = package.removeprefix(INFERENCE + ".").split(".")[0]
    used = set()
    for module in {package, *graph.find_descendants(package)}:
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.startswith(INFERENCE + "."):
                used.add(imported.split(".")[2])
    return used - {own, *TOOLS}


def page_is_true(graph: grimp.ImportGraph, house: Layers) -> Proof:
    """The page's table has the wings floor by floor, each with what it imports."""
    pairs = arrows(graph, INFERENCE)
    rank = [name for floor in house.floors for name in floor]
    wanted = [(name, [b for b in rank if (name, b) in pairs and b not in TOOLS]) for name in rank]
    found = table_of_wings(PAGE.read_text())
    wrong = [f"{name} imports {', '.join(used) or 'none'}" for name, used in wanted if (name, used) not in found]
    wrong += [f"no such row: {name}" for name, _ in found if name not in rank]
    if not wrong and wanted != found:
        wrong = ["the rows are in another order than the floors"]
    return Proof(f"rows that the table of docs/house.md lacks, of {len(wanted)}", wrong)


def table_of_wings(page: str) -> list[tuple[str, list[str]]]:
    """(wing, what it imports) of each row of the page's table of wings."""
    rows = re.findall(r"(?m)^\| `([a-z_]+)(?:/|\.py)` \|.*\| ([^|]*) \|$", page)
    return [(name, re.findall(r"[a-z_]+", used)) for name, used in rows]


def picture_is_true() -> Proof:
    """The picture in the repository is the one that the imports give."""
    same = PICTURE.exists() and PICTURE.read_text() == drawn()
    return Proof("pictures that the imports do not give", [] if same else ["docs/house.svg: run `make house`"])


def main(arguments: list[str]) -> int:
    """Draw, or prove."""
    if arguments != ["--check"]:
        PICTURE.write_text(drawn())
        return 0
    found = list(proofs())
    print(*found, sep="\n")
    return int(any(proof.exceptions for proof in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
