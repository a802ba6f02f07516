"""The page's script: the modules of `script/` as one, which a file opened from disk may run.

A browser loads no module beside a page that it opened from a file. So the modules are put one after the other, each
after those it imports, and lines of import and export go; they share one scope, which is why no two of them may define
the same name.
"""

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "script"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)
_DEFINED = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) ([\w$]+|[\[{].*)", re.MULTILINE)


@cache
def script(first: str = "main", folder: Path = _FOLDER) -> str:
    """The module of that name with all that it imports, directly or not.

    Raises:
        ValueError: if two modules define one name at their top, or if a line of import or export is none that can be
            taken away.
    """
    parts, owners = [], dict[str, str]()
    for name in _order(first, folder, []):
        text = _text(name, folder)
        for defined in _DEFINED.findall(text):
            if owners.setdefault(defined, name) != name:
                raise ValueError(f"{defined} is defined by {owners[defined]}.js and by {name}.js: rename one of them")
        plain = _EXPORT.sub("", _IMPORT.sub("", text))
        if left := re.search(r"^(import|export)\b.*", plain, re.MULTILINE):
            raise ValueError(
                f'{name}.js: {left[0]!r} is not import {{ … }} from "./….js"; nor the export of a definition'
            )
        parts.append(f"// {name}.js\n{plain.strip()}\n")
    return "\n".join(parts)


def _order(name: str, folder: Path, done: list[str]) -> list[str]:
    """Depth first: what is imported, then the module. Circles end where they began."""
    seen = [*done, name]
    order: list[str] = []
    for imported in _IMPORT.findall(_text(name, folder)):
        if imported not in seen and imported not in order:
            order += [each for each in _order(imported, folder, [*seen, *order]) if each not in order]
    return [*order, name]


def _text(name: str, folder: Path) -> str:
    return (folder / f"{name}.js").read_text(encoding="utf-8")
