"""Build the model and the guide that options name: a family of the registry, or the user's own as module:name."""

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch

from elbowroom.commands.families import build_family
from elbowroom.commands.options import Programs


def build(options: Programs, data_dim: int, seed: int) -> tuple[Any, Any]:
    """The model and the guide, freshly initialised from the seed.

    Raises:
        ValueError: if one of `model` and `guide` is given without the other, or a name does not lead to a program.
    """
    if (options.model is None) != (options.guide is None):
        raise ValueError("programs.model and programs.guide go together: give both as module:name, or neither")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if options.model is None or options.guide is None:
            return build_family(options, data_dim)
        model, guide = named_programs({"programs.model": options.model, "programs.guide": options.guide}, seed)
        return model, guide


def named_programs(places: Mapping[str, str], seed: int) -> tuple[Any, ...]:
    """What is at each `module:name`, made from the seed; keys are the options that name them.

    Raises:
        ValueError: if a name does not lead to a program.
    """
    named = [(option, place, _imported(option, place)) for option, place in places.items()]
    torch.manual_seed(seed)  # whatever the imports have drawn
    return tuple(_made(*item) for item in named)


def _imported(option: str, place: str) -> Any:
    """What is at `module:name`."""
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise ValueError(f"{option} must be module:name, for example my_programs:make_model; got {place!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # what python -m does: programs beside the user are found
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{option}: no module {error.name!r}; run from its directory, or install it") from error
    except Exception as error:
        raise ValueError(f"{option}: importing {module_name!r} failed{_reason(error)}") from error
    if not hasattr(module, name):
        raise ValueError(f"{option}: module {module_name!r} ({module.__file__}) has no {name!r}")
    return getattr(module, name)


def _made(option: str, place: str, named: Any) -> Any:
    """The program itself; a class, or a function that needs no arguments, is called to make it."""
    if isinstance(named, torch.nn.Module):
        return named
    if not callable(named):
        raise ValueError(f"{option}: {place} is a {type(named).__name__}, not a program")
    if not inspect.isclass(named) and _needs_arguments(named):
        return named
    try:
        return named()
    except Exception as error:
        raise ValueError(f"{option}: calling {place}() without arguments failed{_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The error, and the last line outside installed packages that led to it, in words."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    outside = [frame for frame in frames if "site-packages" not in frame[0]] or frames
    file, line = (error.filename, error.lineno) if isinstance(error, SyntaxError) else outside[-1]
    return f" ({file}, line {line}): {type(error).__name__}: {error}"


def _needs_arguments(function: Callable[..., Any]) -> bool:
    return any(
        p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(function).parameters.values()
    )
