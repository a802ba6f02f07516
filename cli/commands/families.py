"""`elbowroom families`: models, guides and densities of the registries, their data, and what each can be told."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from elbowroom.commands.constructors import described
from elbowroom.commands.options import FamiliesOptions
from elbowroom.commands.output import print_json, say
from elbowroom.datasets import KINDS
from elbowroom.densities import DENSITIES, density_class
from elbowroom.guides.registry import GUIDES, guide_class
from elbowroom.models.registry import MODELS, model_class

_DENSITY_DATA = {
    "binary": "zeros and ones",
    "levels": "whole numbers 0 … K − 1",
    "any": "zeros and ones, or whole numbers 0 … K − 1",
}


class DensityFamily(NamedTuple):
    """What the registry says of a density.

    Attributes:
        what: the first line of its docstring.
        data: `"binary"`, `"levels"` or `"any"`.
        avoids: what it does about its normalising constant.
        bound: what its log p(x) bounds.
        cannot: what it cannot do.
        options: what its constructor takes, with defaults.
    """

    what: str
    data: str
    avoids: str
    bound: str
    cannot: str
    options: str


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
        print_json(
            {
                "models": {name: family._asdict() for name, family in found.items()},
                "guides": guides,
                "densities": {name: density._asdict() for name, density in densities().items()},
            }
        )
        return found
    say("Models, for --programs.model; in the brackets what --programs.options takes:\n", quiet=False)
    for name, family in found.items():
        say(f"{name} ({family.options})\n    {family.what}", quiet=False)
        say(f"    a datum: {family.data}, {KINDS[family.data].says}{_or_else(family)}", quiet=False)
        say(f"    guides: {', '.join(family.guides)}; log p(x) exactly by {family.exact}\n", quiet=False)
    say("Guides, for --programs.guide; in the brackets what --programs.guide_options takes:\n", quiet=False)
    for name, (what, taken) in guides_told().items():
        say(f"{name} ({taken})\n    {what}", quiet=False)
    say("\nDensities, for --density; in the brackets what --density_options takes:\n", quiet=False)
    for name, density in densities().items():
        say(f"{name} ({density.options})\n    {density.what}", quiet=False)
        say(f"    a datum: {_DENSITY_DATA[density.data]}; Z: {density.avoids}; log p(x): {density.bound}", quiet=False)
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


def densities() -> dict[str, DensityFamily]:
    """Name -> what the registry says of the density."""
    return {
        name: DensityFamily(
            what=_first_line(density_class(name)) + _as_options(entry.options),
            data=entry.data,
            avoids=density_class(name).avoids,
            bound=density_class(name).bound,
            cannot=density_class(name).cannot,
            options=described(density_class(name), {"data_dim", *entry.options}),
        )
        for name, entry in DENSITIES.items()
    }


def densities_table() -> str:
    """The densities as Markdown."""
    rows = [
        (f"`{name}`", _DENSITY_DATA[d.data], d.avoids, d.bound, d.cannot, d.what) for name, d in densities().items()
    ]
    return markdown(
        ("`--density`", "data", "what it does about Z", "log p(x)", "what it cannot do", "what it is"), rows
    )


def families_table() -> str:
    """The models as Markdown, for docs/commands.md."""
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
