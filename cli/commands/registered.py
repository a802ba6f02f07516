"""Models and guides of the registries from options: shorthands, explicit options, and the sizes of the data."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from elbowroom.commands.constructors import arguments_of, check_complete, checked, known
from elbowroom.commands.options import Programs
from elbowroom.datasets.kinds import KINDS, Sizes
from elbowroom.guides.registry import GUIDES, guide_class, make_guide
from elbowroom.models.likelihoods import LIKELIHOODS
from elbowroom.models.registry import MODELS, Entry, model_class

OWN = ", or your own as module:name"

_OF_MODEL = {name: name for name in ("latent_dim", "likelihood", "sigma", "activation", "hidden")}
_OF_GUIDE = {"activation": "activation", "hidden": "encoder_hidden"}
"""Argument of a constructor -> the shorthand for it; one that is null is not handed on."""


def is_own(place: str | None) -> bool:
    """Whether a name is module:name, the user's own, and none of a registry."""
    return place is not None and ":" in place


def model_name(options: Programs) -> str | None:
    """The registered model that options name; None if the model is the user's own.

    Raises:
        ValueError: if there is none of that name.
    """
    if is_own(options.model):
        return None
    if options.model is not None:
        return known("programs.model", options.model, MODELS, or_else=OWN)
    return known("programs.family", options.family, MODELS)


def guide_name(options: Programs) -> str | None:
    """The registered guide that options name, by default the first of the model's; None if it is the user's own.

    Raises:
        ValueError: if there is none of that name, or it does not go with the model.
    """
    if is_own(options.guide):
        return None
    model = model_name(options)
    if options.guide is None and model is not None:
        return MODELS[model].guides[0]
    name = known("programs.guide", options.guide or "", GUIDES, or_else=OWN)
    if model is not None and name not in (fitting := MODELS[model].every_guide):
        raise ValueError(f"programs.guide: {name!r} does not go with {model}; {', '.join(fitting)} do")
    return name


def registered_model(options: Programs, sizes: Sizes) -> Any:
    """The model of the registry that options name, for data of these sizes.

    Raises:
        ValueError: if an option is none of its constructor's, or one that it needs is missing.
    """
    name = str(model_name(options))
    constructor, fixed = model_class(name), MODELS[name].options
    given = _chosen("programs.options", constructor, options, _OF_MODEL, options.options, sizes, fixed)
    check_complete("programs.options", constructor, given)
    return constructor(**given, **fixed)


def registered_guide(options: Programs, model: Any, sizes: Sizes) -> Any:
    """The guide of the registry that options name, for this model.

    Raises:
        ValueError: if an option is none of its constructor's.
    """
    name = str(guide_name(options))
    fixed = GUIDES[name].options
    given = _chosen(
        "programs.guide_options", guide_class(name), options, _OF_GUIDE, options.guide_options, sizes, fixed
    )
    return make_guide(name, model, **given)


def _chosen(
    option: str,
    constructor: Any,
    options: Programs,
    shorthands: Mapping[str, str],
    explicit: Mapping[str, Any],
    sizes: Sizes,
    fixed: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Explicit options, then shorthands, then sizes: each only where the constructor has the argument."""
    explicit = checked(option, constructor, explicit, fixed=(*fixed, "model"))
    free = [name for name in arguments_of(constructor) if name not in fixed]
    filled = {name: value for name, value in sizes.items() if name in free}
    short = {name: getattr(options, shorthand) for name, shorthand in shorthands.items() if name in free}
    short = {name: value for name, value in short.items() if value is not None}
    if short.get("likelihood") == Programs.likelihood and "likelihood" in free:
        short["likelihood"] = _default_likelihood(constructor)
    return {**filled, **checked(option, constructor, short), **explicit}


def _default_likelihood(constructor: Any) -> str:
    """A family's own likelihood, which the shorthand at its default leaves as it is."""
    default = arguments_of(constructor)["likelihood"].default
    return default if isinstance(default, str) else Programs.likelihood


def kind_of(options: Programs) -> str:
    """What a datum is to the programs, a name in `elbowroom.datasets.KINDS`.

    A registered model's flat values are what its likelihood says, if it has a choice of them.

    Raises:
        ValueError: if there is no such likelihood.
    """
    name = model_name(options)
    if name is None:
        return known("programs.datum", options.datum, KINDS)
    likelihood = likelihood_of(options)
    flat = {kind.data for kind in LIKELIHOODS.values()}
    return LIKELIHOODS[likelihood].data if likelihood and MODELS[name].data in flat else MODELS[name].data


def loss_of(options: Programs) -> str:
    """What the programs are trained by where nothing is said."""
    name = model_name(options)
    return Entry._field_defaults["loss"] if name is None else MODELS[name].loss


def likelihood_of(options: Programs) -> str | None:
    """The likelihood that a registered model is given; None if it has no choice, or the model is the user's own."""
    name = model_name(options)
    if name is None or "likelihood" not in arguments_of(model_class(name)):
        return None
    if "likelihood" in options.options:
        return known("programs.options: likelihood", str(options.options["likelihood"]), LIKELIHOODS)
    if options.likelihood == Programs.likelihood:
        return _default_likelihood(model_class(name))
    return known("programs.likelihood", options.likelihood, LIKELIHOODS)


def check_given(options: Programs, binarize: str) -> None:
    """Refuse what was given and means nothing, before training: what a run has recorded can always be opened.

    Raises:
        ValueError: for a shorthand that neither program has, options of a program of one's own, or data of another kind
            than the model's.
    """
    for option, place, own in (("options", "model", options.model), ("guide_options", "guide", options.guide)):
        if is_own(own) and getattr(options, option):
            raise ValueError(
                f"programs.{option}: your own {place} {own} takes none; write a function without arguments"
            )
    name = model_name(options)
    if name is None:
        return
    if options.datum != Programs.datum:
        raise ValueError(f"programs.datum is for a model of your own; a datum of {name} is {MODELS[name].data}")
    if options.model is not None and options.family not in (Programs.family, name):
        raise ValueError(f"programs.family {options.family} and programs.model {name}: give one of them")
    _check_shorthands(options, name)
    _check_real(options, name, MODELS[name], binarize)


def _check_shorthands(options: Programs, name: str) -> None:
    guide = guide_name(options)
    used = {_OF_MODEL[a] for a in arguments_of(model_class(name)) if a in _OF_MODEL} | {"likelihood"}
    if guide is not None:
        free = set(arguments_of(guide_class(guide))) - set(GUIDES[guide].options)
        used |= {_OF_GUIDE[a] for a in free if a in _OF_GUIDE}
    defaults = Programs()
    short = [field.name for field in fields(Programs) if field.name in {*_OF_MODEL.values(), *_OF_GUIDE.values()}]
    for shorthand in short:
        value = getattr(options, shorthand)
        if shorthand not in used and value != getattr(defaults, shorthand):
            raise ValueError(
                f"programs.{shorthand}: got {value}, which means nothing to the model {name}"
                + (f" with the guide {guide}" if guide else "")
                + "; `elbowroom families` lists what each takes as --programs.options and --programs.guide_options"
            )


def _check_real(options: Programs, name: str, entry: Entry, binarize: str) -> None:
    real = entry.data == "real" or (entry.data == "sequence" and likelihood_of(options) is None)
    if real and binarize != "none" and not options.likelihood.startswith("normal"):
        raise ValueError(
            f"{name} is a model of real numbers, and --data.binarize {binarize} makes zeros and ones: give "
            "--data.binarize none; or, if zeros and ones are meant, --programs.likelihood normal-learned"
        )
