"""The reference: a page for each public name, one for each package, and the classes that their signatures name."""

import inspect
import typing
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from building.docstrings import as_rest, inline
from building.public_names import PACKAGES, PublicName, public_names, source_of
from building.written import write_folder

INDEX = """\
# Reference

Every public name, as its docstring says it: the formula, shapes, units, what is refused, and where it is from. S
samples, B data, C chains, T draws, D unconstrained coordinates, P values of a datum; the [glossary](../glossary.md) has
the words. Names are imported from their package: `from elbowroom.inference import audit`.

{rows}

The [command line](command_line/index.rst) has the same behind `elbowroom`.

```{{toctree}}
:hidden:

{pages}
command_line/index
```
"""


def write(folder: Path) -> None:
    """All pages of the reference, in docs/reference/."""
    write_folder(folder, pages(), keep="command_line")


def pages() -> dict[str, str]:
    """Path in the folder -> text."""
    found, rows, names = {}, [], []
    for package in PACKAGES:
        members = [name for name in public_names() if name.package == f"elbowroom.{package}"]
        further = [named for named in types_named() if named.__module__.split(".")[1] == package]
        found[f"{package}/index.rst"] = package_page(package, members, further)
        found |= {f"{package}/{name.page}.rst": name_page(name) for name in members}
        if further:
            found[f"{package}/types.rst"] = types_page(package, further)
        question = source_of(f"elbowroom.{package}").split('"""')[1].strip().split("\n")[0]
        rows.append(f"- [`elbowroom.{package}`]({package}/index.rst): {question} {len(members)} names.")
        names.append(f"{package}/index")
    return {"index.md": INDEX.format(rows="\n".join(rows), pages="\n".join(names))} | found


def package_page(package: str, members: list[PublicName], further: list[type]) -> str:
    """What the package says of itself, and its names in a table."""
    opening = inspect.cleandoc(source_of(f"elbowroom.{package}").split('"""')[1])
    toc = [name.page for name in members] + (["types"] if further else [])
    rows = "\n".join(f"   * - :py:obj:`~{name.path}`\n     - {inline(name.summary)}" for name in members)
    return "\n".join([
        *titled(f"elbowroom.{package}"), *as_rest(opening.split("\n\n")[0]), "",
        ".. list-table::", "   :widths: 30 70", "", rows, "",
        ".. toctree::", "   :hidden:", "", *(f"   {name}" for name in toc), "",
    ])  # fmt: skip


def name_page(name: PublicName) -> str:
    """One name, as autodoc reads it; constants as their module says them."""
    place = f"``from {name.package} import {name.name}``; it is defined in ``{file_of(name.origin)}``."
    return "\n".join([*titled(name.name), *directive(name), "", place, ""])


def directive(name: PublicName) -> list[str]:
    """Autodoc's for functions and classes."""
    if name.kind == "data":
        told = [*as_rest(name.docstring), "", held(name.value)]
        return [f".. py:data:: {name.path}", "", *(f"   {line}" if line else "" for line in told)]
    return auto(name.value, name.path, name.kind)


def held(value: Any) -> str:
    """What a constant is, or what is in it."""
    if isinstance(value, Collection) and not isinstance(value, str):
        return f"It holds {', '.join(f'``{key}``' for key in value)}."
    words = typing.get_args(value)
    return f"One of {', '.join(f'``{word}``' for word in words)}." if words else f"It is ``{value!r}``."


def auto(value: Any, path: str, kind: str) -> list[str]:
    """The directive, with the members that are no other public name's."""
    lines = [f".. auto{kind}:: {path}"]
    members = own_members(value) if kind != "function" else []
    return lines + ([f"   :members: {', '.join(members)}"] if members else [])


def own_members(value: type) -> list[str]:
    """Public methods and properties with a docstring that a class defines, or takes from one that is not public."""
    public = {id(name.value) for name in public_names()}
    found: dict[str, None] = {}
    for owner in value.__mro__:
        if owner is not value and (id(owner) in public or not owner.__module__.startswith("elbowroom")):
            continue
        for name, member in vars(owner).items():
            told = (
                member if inspect.isroutine(member) or isinstance(member, property) else getattr(member, "func", None)
            )
            if not name.startswith("_") and inspect.getdoc(told) and told is not None:
                found.setdefault(name)
    return list(found)


def types_page(package: str, further: list[type]) -> str:
    """Classes that are not imported by hand: what functions return or take beside the public ones."""
    lines = [
        *titled(f"Other types of elbowroom.{package}"),
        f"What the names of ``elbowroom.{package}`` take and return beside them.",
        "",
    ]
    for value in further:
        lines += [*auto(value, f"{value.__module__}.{value.__qualname__}", "class"), ""]
    return "\n".join(lines)


@cache
def types_named() -> list[type]:
    """Classes in the signatures of public names, and of each other, that are no public names themselves."""
    public = {name.value for name in public_names() if name.kind != "data"}
    found: dict[type, None] = {}
    waiting = [name.value for name in public_names()]
    while waiting:
        for hint in (hint for function in _functions(waiting.pop()) for hint in _hints(function)):
            new = {named for named in _classes(hint) if named.__module__.startswith("elbowroom.")} - public - set(found)
            found |= dict.fromkeys(new)
            waiting += new
    return sorted(found, key=lambda named: (named.__name__, named.__module__))


def _functions(value: Any) -> list[Any]:
    if not inspect.isclass(value):
        return [value]
    methods = [getattr(value, name) for name in own_members(value)]
    return [value, value.__init__, *(method.fget if isinstance(method, property) else method for method in methods)]


def _hints(function: Any) -> list[Any]:
    try:
        return list(typing.get_type_hints(function).values())
    except (NameError, TypeError):  # a constant, or a name that only type checkers import
        return []


def _classes(hint: Any) -> Iterator[type]:
    if isinstance(hint, list | tuple):
        for part in hint:
            yield from _classes(part)
    elif inspect.isclass(hint):
        yield typing.get_origin(hint) or hint
    yield from (named for part in typing.get_args(hint) for named in _classes(part))


def file_of(module: str) -> str:
    """The path of a module in the repository."""
    return module.removeprefix("elbowroom.").replace(".", "/") + ".py"


def titled(text: str) -> list[str]:
    """A title of reStructuredText."""
    return [text, "=" * len(text), ""]
