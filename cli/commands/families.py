"""`elbowroom families`: the models and guides of the registries, their data, and what each can be told."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from elbowroom.commands.constructors import described
from elbowroom.commands.options import FamiliesOptions
from elbowroom.commands.output import print_json, say
from elbowroom.datasets import KINDS
from elbowroom.guides.registry import GUIDES, guide_class
from elbowroom.models.registry import MODELS, model_class


class Family(NamedTuple):
    """What the registry says of a model.

    Attributes:
        what: the first line of its docstring.
        data: what a datum is, a name in `elbowroom.datasets.KINDS`.
        guides: by name, the command line's choice first.
        exact: how log p(x) of a small instance is known.
        options: what its constructor takes, with defaults.
    """

    what: str
    data: str
    guides: tuple[str, ...]
    exact: str
    options: str


def run(options: FamiliesOptions) -> dict[str, Family]:
    """Print what the registries hold."""
    found = families()
    if options.json:
        guides = {name: dict(zip(("what", "options"), about, strict=True)) for name, about in guides_told().items()}
        print_json({"models": {name: family._asdict() for name, family in found.items()}, "guides": guides})
        return found
    say("Models, for --programs.model; in the brackets what --programs.options takes:\n", quiet=False)
    for name, family in found.items():
        say(f"{name} ({family.options})\n    {family.what}", quiet=False)
        say(f"    a datum: {family.data}, {KINDS[family.data].says}{_or_else(family)}", quiet=False)
        say(f"    guides: {', '.join(family.guides)}; log p(x) exactly by {family.exact}\n", quiet=False)
    say("Guides, for --programs.guide; in the brackets what --programs.guide_options takes:\n", quiet=False)
    for name, (what, taken) in guides_told().items():
        say(f"{name} ({taken})\n    {what}", quiet=False)
    return found


def families() -> dict[str, Family]:
    """Name -> what the registry says of the model."""
    return {
        name: Family(
            what=_first_line(model_class(name)) + _as_options(entry.options),
            data=entry.data,
            guides=entry.every_guide,
            exact=entry.exact,
            options=described(model_class(name), set(entry.options)),
        )
        for name, entry in MODELS.items()
    }


def guides_told() -> dict[str, tuple[str, str]]:
    """Name -> the first line of a guide's docstring, and what its constructor takes."""
    return {
        name: (_first_line(guide_class(name)), described(guide_class(name), {*entry.options, "model"}))
        for name, entry in GUIDES.items()
    }


def families_table() -> str:
    """The models as Markdown, for the README."""
    rows = [
        (f"`{name}`", ", ".join(family.guides), family.data + _or_else(family), family.exact, family.what)
        for name, family in families().items()
    ]
    return markdown(("`--programs.model`", "guides", "data", "log p(x) exactly by", "what it is"), rows)


def _or_else(family: Family) -> str:
    return "; values as its likelihood has them" * ("likelihood" in family.options)


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def _as_options(options: Mapping[str, Any]) -> str:
    return f" ({', '.join(f'{name}={value!r}' for name, value in options.items())})" if options else ""


def _first_line(of: Any) -> str:
    return inspect.cleandoc(of.__doc__ or "").splitlines()[0]
