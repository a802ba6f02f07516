"""A name for the code of the package: it changes with what the code does, not with what is written about it.

Pages and notebooks that were executed are kept under it (`executed.py`): a figure of the site is one of the code that
the site describes.
"""

import ast
import hashlib
from functools import cache

from building.public_names import ROOT, source_folders


@cache
def code_hash() -> str:
    """Sixteen hexadecimal digits of all modules, docstrings and comments apart, and of the data among them."""
    found = hashlib.sha256()
    for folder in source_folders():
        for file in sorted(
            path for path in folder.rglob("*") if path.suffix in {".py", ".npz", ".jinja", ".css", ".js"}
        ):
            found.update(file.relative_to(ROOT).as_posix().encode())
            found.update(
                code_of(file.read_text(encoding="utf-8")).encode() if file.suffix == ".py" else file.read_bytes()
            )
    return found.hexdigest()[:16]


def code_of(source: str) -> str:
    """A module as a text that is the same whatever its docstrings and comments are."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                setattr(node, name, [part for part in value if not _is_text(part)])
    return ast.dump(tree)


def _is_text(node: object) -> bool:
    """A string that stands alone: a docstring, or the words after a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def text_hash(*texts: str) -> str:
    """Sixteen hexadecimal digits of the package's code and some texts."""
    return hashlib.sha256("\0".join([code_hash(), *texts]).encode()).hexdigest()[:16]
