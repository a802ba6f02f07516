"""The notebooks: percent files on public names, executed from first to last cell."""

import ast
import importlib
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.py"))
ROOMS = {f"elbowroom.{name}" for name in ("models", "guides", "inference", "datasets", "report", "densities", "rivals")}
OTHERS = {"torch", "pyro", "arviz", "numpy", "matplotlib", "itertools", "collections", "math", "resource", "time"}
OF_THEIR_OWN = {"claims", "figures"}  # beside them: the register of claims, how figures are shown


@pytest.fixture
def execute() -> ModuleType:
    spec = importlib.util.spec_from_file_location("execute_notebooks", FOLDER / "execute.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]


def test_there_are_notebooks() -> None:
    assert "01_elbo_and_the_truth" in [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_percent_file_is_a_notebook(path: Path) -> None:
    cells = jupytext.read(path).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    kinds = {cell.cell_type for cell in cells}
    assert kinds == {"markdown", "code"}
    for cell in cells:
        if cell.cell_type == "code":
            compile(cell.source, str(path), "exec")
        assert cell.source.count("$$") % 2 == 0
    nbformat.validate(jupytext.read(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_public_names_are_imported(path: Path) -> None:
    for node in ast.walk(ast.parse("\n".join(code_of(path)))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= OTHERS, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert node.level == 0 and (module in ROOMS or module.split(".")[0] in OTHERS | OF_THEIR_OWN), ast.unparse(
                node
            )
            if module in ROOMS:
                public = importlib.import_module(module).__all__
                assert {alias.name for alias in node.names} <= set(public), ast.unparse(node)
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_claims_something(path: Path) -> None:
    asserts = [n for n in ast.walk(ast.parse("\n".join(code_of(path)))) if isinstance(n, ast.Assert)]
    assert len(asserts) >= 5


def test_names_find_notebooks(execute: ModuleType) -> None:
    assert execute.find([]) == NOTEBOOKS
    assert execute.find(["01_elbo_and_the_truth.py"]) == execute.find(["01_elbo_and_the_truth"]) == NOTEBOOKS[:1]
    with pytest.raises(FileNotFoundError, match="no notebook 02_absent; there are: 01_elbo"):
        execute.find(["02_absent"])


def test_an_unknown_name_exits_with_2(execute: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute.main(["absent"]) == 2
    assert "no notebook absent" in capsys.readouterr().err


def test_a_changed_number_is_said(execute: ModuleType) -> None:
    entry = {"verdict": "true", "number": 1.0, "error": 0.1, "unit": "nats", "notebook": "06_is_one_sample_enough"}
    before, after = {"C5": entry, "C6": entry}, {"C5": entry, "C6": {**entry, "number": 2.0}, "C7": entry}
    first, second = execute.changes(before, after)
    assert first == "C6 (06_is_one_sample_enough) says now: true, 2.0 ± 0.1 nats; before: true, 1.0 ± 0.1 nats"
    assert second.startswith("C7") and second.endswith("before: nothing")
    assert execute.changes(before, before) == ["every claim as it was"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_is_shown_with_a_sentence(path: Path) -> None:
    tree = ast.parse("\n".join(code_of(path)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    shown = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "show"]
    assert shown and "plt.show(" not in path.read_text()
    for call in shown:
        alt = [*call.args[1:], *(keyword.value for keyword in call.keywords)][0]
        assert isinstance(alt, ast.Constant) and len(alt.value) > 60, ast.unparse(call)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_failing_cell_is_told(execute: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "# %%\nvalue = 3\n\n# %%\nassert value == 4, 'the claim'\n\n# %%\nprint('never')\n"
    (tmp_path / "99_wrong.py").write_text(text)
    assert not execute.execute(tmp_path / "99_wrong.py", tmp_path / "output")
    said = capsys.readouterr().err
    assert "99_wrong.py: failed" in said and "assert value == 4" in said and "AssertionError: the claim" in said
    assert "\x1b" not in said
    cells = nbformat.read(tmp_path / "output" / "99_wrong.ipynb", 4).cells
    assert cells[0].execution_count == 1 and cells[1].outputs and not cells[2].outputs


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(execute: ModuleType, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its asserts are its claims; nothing is written to stderr, and every figure is a picture."""
    register = tmp_path / "claims.yaml"
    shutil.copy(FOLDER / "claims.yaml", register)
    assert execute.execute(path, tmp_path, register), capsys.readouterr().err
    outputs = [o for cell in nbformat.read(tmp_path / f"{path.stem}.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"] == []
    drawing = ("plt.subplots(", "_figure(", "az.plot_")
    drawn = sum(source.count(call) for source in code_of(path) for call in drawing)
    assert sum("image/png" in o.get("data", {}) for o in outputs) == drawn >= 1
    assert len(list(tmp_path.glob("*.svg"))) == len(list(tmp_path.glob("*.png"))) == drawn
