"""A name on a page that looks like one of ours is one: `Target.propose`, `bracket(target)`, `num_samples`.

Of `elbowroom.…`, of a public class and of a package the attribute must be there; other names must be words of the code
(the package's or the page's own), of torch, Pyro, NumPy or Python, or be said to be somebody else's by a comment on the
page, `<!-- names of others: VanillaVAE -->`. Imports in blocks of Python must be right, and the
arguments that they hand to public functions.
"""

import ast
import builtins
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from building.public_names import PACKAGES, public_names, source_folders
from checks.pages import ROOT, Page

TOKEN = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(\(.*\))?")
FOREIGN = ("torch", "pyro", "numpy", "scipy", "xarray", "matplotlib.pyplot")
"""Libraries whose names pages may say."""

INSIDE = (
    "torch.nn",
    "torch.nn.functional",
    "torch.distributions",
    "pyro.distributions",
    "pyro.infer",
    "pyro.infer.autoguide",
)
"""And modules of theirs."""

OTHERS = re.compile(r"<!-- names of others: (.*?) -->", re.DOTALL)


def faults(pages: Sequence[Page]) -> list[str]:
    """Names that there are not."""
    return [fault for page in pages for fault in (*in_sentences(page), *in_blocks(page))]


def in_sentences(page: Page) -> Iterator[str]:
    """Of the code between backticks."""
    own = set(re.findall(r"\w+", "\n".join([*(block.code for block in page.blocks), *OTHERS.findall(page.text)])))
    for place, code in page.inline():
        found = TOKEN.fullmatch(code)
        if found and not exists(found[1], own):
            yield f"{place}: there is no {found[1]}"


def exists(name: str, own: set[str]) -> bool:
    """Whether a dotted name is one of the code, of the page or of a library."""
    first, _, rest = name.removeprefix("elbowroom.").partition(".")
    if name.startswith("elbowroom.") or (rest and first in PACKAGES):
        return _found(f"elbowroom.{first}", rest) or first in {"commands", "entrances"}
    if rest and first in classes():
        return has(classes()[first], rest.split(".")[0])
    last = name.rpartition(".")[2]
    return len(last) < 4 or last in own or last in words() or last in foreign_words()


def has(value: type, name: str) -> bool:
    """Whether a class has an attribute: a method, a field, or one that its instances are given."""
    if hasattr(value, name) or any(name in vars(owner).get("__annotations__", {}) for owner in value.__mro__):
        return True
    sources = [inspect.getsource(owner) for owner in value.__mro__ if owner.__module__.startswith("elbowroom")]
    return any(re.search(rf"self\.{name}\b", source) for source in sources)


def in_blocks(page: Page) -> Iterator[str]:
    """Of blocks of Python: what they import from here, and the names of arguments of what they import."""
    known: dict[str, Any] = {}
    for block in page.blocks:
        if block.language not in ("python", "{code-cell}"):
            continue
        tree = parsed(block.code)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "elbowroom":
                module = _module(node.module or "")
                known |= {alias.asname or alias.name: getattr(module, alias.name, None) for alias in node.names}
                yield from (
                    f"{block}: {node.module} has no {alias.name}"
                    for alias in node.names
                    if not hasattr(module, alias.name)
                )
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and known.get(node.func.id):
                given = {keyword.arg for keyword in node.keywords if keyword.arg}
                if wrong := sorted(given - arguments(known[node.func.id])):
                    yield f"{block}: {node.func.id} has no argument {', '.join(wrong)}"


def parsed(code: str) -> ast.Module:
    """A block without the lines of its options and of IPython; empty if it is no Python."""
    code = re.sub(r"\A---\n.*?^---$", "", code, flags=re.DOTALL | re.MULTILINE)
    lines = ["" if re.match(r"\s*[%!:]", line) else line for line in code.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return ast.parse("")


def arguments(function: Any) -> set[str]:
    """The names of a function's arguments; all that a call may say, if it takes any."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {*parameters, *words()}
    return set(parameters)


@cache
def classes() -> dict[str, type]:
    """The public classes."""
    return {name.name: name.value for name in public_names() if name.kind in ("class", "exception")}


@cache
def words() -> frozenset[str]:
    """All names of the code, words of its strings among them; not what is wrong on purpose."""
    folders = [*source_folders(), *(ROOT / name for name in ("benchmarks", "docs", "notebooks", "tests"))]
    files = [file for folder in folders for file in folder.rglob("*.py") if "checks" not in file.parts]
    return frozenset(re.findall(r"\w+", "\n".join(file.read_text(encoding="utf-8") for file in files)))


@cache
def foreign_words() -> frozenset[str]:
    """Names of Python and of the libraries that pages speak of."""
    modules = [builtins, *(importlib.import_module(name) for name in (*FOREIGN, *INSIDE))]
    return frozenset(name for module in modules for name in dir(module))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _found(path: str, rest: str) -> bool:
    value: Any = _module(path)
    for part in filter(None, rest.split(".")):
        value = getattr(value, part, None) or _module(f"{getattr(value, '__name__', '')}.{part}")
    return value is not None
