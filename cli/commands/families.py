"""The registries' families as programs that options name, and as the README's table."""

import inspect
from typing import Any

from elbowroom.commands.options import Programs
from elbowroom.guides.registry import guide_class, make_guide
from elbowroom.models.registry import MODELS, model_class
from elbowroom.networks.checks import check_choice


def build_family(options: Programs, data_dim: int) -> tuple[Any, Any]:
    """A model of the family and the guide that comes with it, each with those of the options that it has.

    Raises:
        ValueError: if there is no such family, or its data are real numbers and the likelihood is not a Normal.
    """
    family = check_choice("programs.family", options.family, MODELS)
    entry = MODELS[family]
    if entry.data == "real" and not options.likelihood.startswith("normal"):
        raise ValueError(
            f"family {family} has a Normal likelihood, got likelihood {options.likelihood!r}: give "
            "--programs.likelihood normal-learned and grey data (--data.binarize none)"
        )
    of_model = {name: getattr(options, name) for name in ("latent_dim", "likelihood", "sigma", "activation")}
    of_model |= {"data_dim": data_dim, "hidden": tuple(options.hidden)}
    of_guide = {"activation": options.activation, "hidden": tuple(options.encoder_hidden)}
    constructor, guide = model_class(family), entry.guides[0]
    model = constructor(**_accepted(constructor, of_model))
    return model, make_guide(guide, model, data_dim, **_accepted(guide_class(guide), of_guide))


def families_table() -> str:
    """One row of Markdown for each family: its name, its guides (the first is the command line's), what it is."""
    rows = [("`--programs.family`", "guides", "what it is"), ("---",) * 3]
    for name, entry in MODELS.items():
        what = inspect.cleandoc(model_class(name).__doc__).splitlines()[0].replace("|", "\\|")
        rows.append((f"`{name}`", ", ".join(entry.guides), what))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _accepted(constructor: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that are given and have a meaning for the constructor."""
    names = inspect.signature(constructor).parameters
    return {name: value for name, value in options.items() if name in names and value is not None}
