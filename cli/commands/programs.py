"""Build the model and the guide that options name: each of a registry, or the user's own as module:name."""

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from elbowroom.commands.options import Programs
from elbowroom.commands.registered import guide_name, is_own, model_name, registered_guide, registered_model
from elbowroom.commands.trust import importable
from elbowroom.datasets.kinds import Sizes

_NOT_OWN = (__file__, importlib.__file__)
"""Files that call what the user names."""


def build(options: Programs, sizes: Sizes, seed: int, *, run: Path | None = None) -> tuple[Any, Any]:
    """The model and the guide for data of these sizes, freshly initialised from the seed.

    Args:
        options: which.
        sizes: what constructors may ask for.
        seed: of their parameters.
        run: the directory that names them, if it was not the user; nothing is imported from it.

    Raises:
        ValueError: if one of two programs of the user's own is given without the other, a name does not lead to a
            program, or an option is none of the program's.
    """
    if (is_own(options.model) and options.guide is None) or (is_own(options.guide) and options.model is None):
        raise ValueError(
            "programs.model and programs.guide go together: a program of your own (module:name) needs the other one "
            "named, too, as module:name or by its name in the registry"
        )
    model_name(options), guide_name(options)  # a wrong name is no reason to import anything
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        places = {"programs.model": options.model, "programs.guide": options.guide}
        own = {option: place for option, place in places.items() if is_own(place) and place is not None}
        made = dict(zip(own, named_programs(own, seed, run=run), strict=True)) if own else {}
        model = made["programs.model"] if is_own(options.model) else registered_model(options, sizes)
        guide = made["programs.guide"] if is_own(options.guide) else registered_guide(options, model, sizes)
        return model, guide


def named_programs(places: Mapping[str, str], seed: int, *, run: Path | None = None) -> tuple[Any, ...]:
    """What is at each `module:name`, made from the seed; keys are the options that name them, `run` as of `build`.

    `module:name.part` is a part, or a method, of what is there; parts of one whole are of one object.

    Raises:
        ValueError: if a name does not lead to a program.
    """
    with importable(run):
        named = [(option, place, _imported(option, place)) for option, place in places.items()]
    torch.manual_seed(seed)  # whatever the imports have drawn
    wholes: dict[str, Any] = {}
    return tuple(_made(*item) if "." not in item[1].partition(":")[2] else _part(*item, wholes) for item in named)


def _imported(option: str, place: str) -> Any:
    """What is at `module:name`; of `module:name.part` the whole."""
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise ValueError(f"{option} must be module:name, for example my_programs:make_model; got {place!r}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{option}: no module {error.name!r}; run from its directory, or install it (nothing is imported from a "
            "run directory)"
        ) from error
    except Exception as error:
        raise ValueError(f"{option}: importing {module_name!r} failed{_reason(error)}") from error
    name = name.partition(".")[0]
    if not hasattr(module, name):
        raise ValueError(f"{option}: module {module_name!r} ({module.__file__}) has no {name!r}")
    return getattr(module, name)


def _made(option: str, place: str, named: Any) -> Any:
    """The program itself; a class, or a function that needs no arguments, is called to make it."""
    if isinstance(named, torch.nn.Module | torch.distributions.Distribution):
        return named
    if not callable(named) and not hasattr(named, "decode"):
        raise ValueError(f"{option}: {place} is a {type(named).__name__}, not a program")
    if not callable(named):
        return named  # an object that encodes and decodes
    if not inspect.isclass(named) and _needs_arguments(named):
        return named
    try:
        return named()
    except Exception as error:
        raise ValueError(f"{option}: calling {place}() without arguments failed{_reason(error)}") from error


def _part(option: str, place: str, named: Any, wholes: dict[str, Any]) -> Any:
    """A part of a whole, which is made once for all of its parts: an object, or what a class or function makes."""
    module_name, _, dotted = place.partition(":")
    first, *names = dotted.split(".")
    whole = f"{module_name}:{first}"
    if whole not in wholes:
        makes = inspect.isclass(named) or inspect.isfunction(named)
        wholes[whole] = _made(option, whole, named) if makes else named
    part = wholes[whole]
    for name in names:
        if not hasattr(part, name):
            raise ValueError(f"{option}: {place}: a {type(part).__name__} has no {name!r}")
        part = getattr(part, name)
    if not callable(part):
        raise ValueError(f"{option}: {place} is a {type(part).__name__}, not a program")
    return part


def _reason(error: Exception) -> str:
    """The error, and the last line of the user's own that led to it, in words."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if "site-packages" not in frame[0] and frame[0] not in _NOT_OWN]
    own = [frame for frame in own if not frame[0].startswith("<frozen ")]
    if isinstance(error, SyntaxError):
        own.append((str(error.filename), error.lineno))
    place = f" ({own[-1][0]}, line {own[-1][1]})" if own else ""
    return f"{place}: {type(error).__name__}: {error}"


def _needs_arguments(function: Callable[..., Any]) -> bool:
    return any(
        p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(function).parameters.values()
    )
