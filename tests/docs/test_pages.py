"""What the pages for readers say is there: paths, links, names in the code, make targets, commands, counts."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from elbowroom.__main__ import COMMANDS
from elbowroom.reference import PROBLEMS
from families_page import families_page
from house_imports import FOLDERS, ROOT

WRITTEN = sorted(
    f"docs/{folder}/{page.name}"
    for folder in ("start", "concepts", "how_to")
    for page in (ROOT / "docs" / folder).glob("*.md")
)
NAMES = (
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/house.md", "docs/training.md", "docs/other_ways_round_z.md",
    "docs/likelihoods.md", "docs/many_machines.md", "docs/which_number.md", "docs/what_is_printed.md", "docs/log_px.md",
    "docs/room.md", "docs/adapters.md", "docs/commands.md", "docs/data.md", "docs/folders.md",
    *WRITTEN,
)  # fmt: skip
PAGES = {name: (ROOT / name).read_text() for name in NAMES}
PATH = re.compile(r"[\w.<>]+(?:/[\w.<>]+)*(?:/|\.py|\.md|\.svg|\.toml)")
HOUSE, CONTRIBUTING, README = PAGES["docs/house.md"], PAGES["CONTRIBUTING.md"], PAGES["README.md"]

every_page = pytest.mark.parametrize("page", PAGES)


def place_of(path: str, row: str = "") -> Path:
    """Paths on a page are from the root, from inference/, or in the row of a table from the folder it begins with."""
    begun = re.match(r"\| `(\w+/)`", row)
    folders = [ROOT, ROOT / "inference", *([ROOT / begun[1]] if begun else [])]
    return next((found for folder in folders if (found := folder / path).exists()), ROOT / path)


def paths_of(page: str) -> list[tuple[str, str]]:
    """(path, its line) of all between backticks; of a path with a `<name>` to choose, the folder that it lies in."""
    found = []
    for line in page.splitlines():
        for token in filter(PATH.fullmatch, re.findall(r"`([^`]+)`", line)):
            found.append((token.partition("<")[0].rpartition("/")[0] if "<" in token else token, line))
    return found


def defined_in(file: Path) -> set[str]:
    """Names that a module defines, and `Class.attribute` for what its classes hold."""
    names: set[str] = set()

    def take(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names.add(prefix + node.name)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names.update(prefix + t.id for t in targets if isinstance(t, ast.Name))
            if isinstance(node, ast.ClassDef):
                take(node.body, f"{prefix}{node.name}.")

    take(ast.parse(file.read_text()).body, "")
    return names


@every_page
def test_every_path_on_a_page_exists(page: str) -> None:
    paths = paths_of(PAGES[page])
    assert len(paths) >= {"docs/house.md": 80, "CONTRIBUTING.md": 35, "docs/folders.md": 25}.get(page, 0)
    assert [path for path, line in paths if not place_of(path, line).exists()] == []


@every_page
def test_every_link_leads_somewhere(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", PAGES[page]) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_every_name_in_a_table_is_defined_where_the_page_says() -> None:
    pairs = re.findall(r"`([\w/]+\.py)`,? \(?`([\w.]+)`", HOUSE)
    assert len(pairs) >= 25
    assert [(path, name) for path, name in pairs if name not in defined_in(place_of(path))] == []


def test_every_name_of_a_recipe_stands_in_the_file_that_its_line_begins_with() -> None:
    """`- `models/registry.py`: an `Entry` in `MODELS``: both words are in that file."""
    said = []
    for entry in re.split(r"\n(?=- |\n)", CONTRIBUTING):
        begun = re.match(r"- `([\w/]+\.py)`: (.*)", entry, re.DOTALL)
        said += [(begun[1], name) for name in re.findall(r"`(\w+)`", begun[2])] if begun else []
    assert len(said) >= 12
    assert [(path, name) for path, name in said if not re.search(rf"\b{name}\b", place_of(path).read_text())] == []


@pytest.mark.parametrize("page", ["docs/house.md", "CONTRIBUTING.md"])
def test_every_other_name_on_a_page_is_one_of_the_code(page: str) -> None:
    tokens = {t for t in re.findall(r"`([A-Za-z_][\w.]+)`", PAGES[page]) if not PATH.fullmatch(t)}
    code = "\n".join(
        file.read_text() for folder in (*FOLDERS.values(), "tests") for file in (ROOT / folder).rglob("*.py")
    )
    assert tokens
    assert [t for t in sorted(tokens) if not re.search(rf"\b{t.rsplit('.', 1)[-1]}\b", code)] == []


def test_the_glossary_has_one_line_a_word() -> None:
    words = re.findall(r"(?m)^\| ([^|`]+) \|", HOUSE.split("## Glossary")[1])[1:]
    assert len(words) >= 25
    assert len(set(words)) == len(words)


def test_every_make_target_is_explained_to_contributors_and_no_other_is_named() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    targets = {line.split()[0] for line in shown.stdout.splitlines()}
    assert set(re.findall(r"(?m)^\| `make ([a-z-]+)` \|", CONTRIBUTING)) == targets - {"help"}
    named = {
        word for page in PAGES.values() for words in re.findall(r"`make ([a-z -]+)`", page) for word in words.split()
    }
    assert named <= targets


def test_the_page_of_commands_has_every_command() -> None:
    answered = re.findall(r"(?m)^\| `elbowroom (\w+)", PAGES["docs/commands.md"])
    assert set(answered) == set(COMMANDS)


def test_the_reference_problems_are_counted() -> None:
    assert f"`elbowroom.reference` holds {len(PROBLEMS)} small problems" in PAGES["docs/log_px.md"]


def test_the_readme_is_one_screen_of_two_commands() -> None:
    assert len(README.splitlines()) <= 60
    assert re.findall(r"(?m)^make (\w+)", README) == ["demo", "test"]


def test_every_page_can_be_reached_from_the_readme() -> None:
    """By links between files, as a code host shows them; the lists of the site's sidebar do not count."""
    seen, open_ = set(), ["README.md"]
    while open_:
        page = open_.pop()
        if page in seen or not page.endswith(".md") or not (ROOT / page).is_file():
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text())
        open_ += [os.path.normpath(Path(page).parent / link) for link in links if "://" not in link]
    assert set(NAMES) - seen == set()


def test_the_page_of_families_is_as_the_registries_make_it() -> None:
    assert families_page() == (ROOT / "docs" / "families.md").read_text()
