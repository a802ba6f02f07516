"""What the benchmarks take from the package is there: they are run by hand, and nothing else would notice a move."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


def taken(tree: ast.AST) -> list[tuple[str, str]]:
    """(module, name) of each `from elbowroom... import name`, inside functions too."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named = [(node.module or "", alias.name) for node in statements for alias in node.names]
    return [(module, name) for module, name in named if module.split(".")[0] == "elbowroom"]


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.py")))
def test_every_name_is_there(file: str) -> None:
    for module, name in taken(ast.parse((FOLDER / file).read_text())):
        assert hasattr(import_module(module), name) or import_module(f"{module}.{name}"), f"{module}.{name}"


def test_a_name_that_is_not_there_is_noticed() -> None:
    ((module, name),) = taken(ast.parse("from elbowroom.inference import nothing_of_this_name"))
    with pytest.raises(ModuleNotFoundError):
        import_module(f"{module}.{name}")
    assert not hasattr(import_module(module), name)
