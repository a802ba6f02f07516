"""Build the model and the guide that options name: a built-in family, or the user's own as module:name."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import torch

from elbowroom.guides import AmortizedNormal
from elbowroom.models import PPCA, VAE
from elbowroom.options import Programs


def build(options: Programs, data_dim: int, seed: int) -> tuple[Any, Any]:
    """The model and the guide, freshly initialised from the seed.

    Raises:
        ValueError: if one of `model` and `guide` is given without the other, or a name does not lead to a program.
    """
    if (options.model is None) != (options.guide is None):
        raise ValueError("programs.model and programs.guide go together: give both as module:name, or neither")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if options.model is not None and options.guide is not None:
            return imported(options.model, "programs.model"), imported(options.guide, "programs.guide")
        return _FAMILIES[options.family](options, data_dim)


def imported(place: str, option: str) -> Any:
    """The program at `module:name`; a class, or a function that needs no arguments, is called to make it.

    Raises:
        ValueError: if the place cannot be read, imported or found.
    """
    module_name, _, name = place.partition(":")
    if not module_name or not name:
        raise ValueError(f"{option} must be module:name, for example my_programs:make_model; got {place!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # what python -m does: programs beside the user are found
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{option}: no module {error.name!r}; run from its directory, or install it") from error
    except AttributeError as error:
        raise ValueError(f"{option}: module {module_name!r} has no {name!r}") from error
    if isinstance(found, torch.nn.Module):
        return found
    if not callable(found):
        raise ValueError(f"{option}: {place} is a {type(found).__name__}, not a program")
    return found() if inspect.isclass(found) or not _needs_arguments(found) else found


def _needs_arguments(function: Callable[..., Any]) -> bool:
    return any(
        p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(function).parameters.values()
    )


def _vae(options: Programs, data_dim: int) -> tuple[Any, Any]:
    decoder, encoder, activation = tuple(options.hidden), tuple(options.encoder_hidden), options.activation
    model = VAE(data_dim, options.latent_dim, decoder, options.likelihood, sigma=options.sigma, activation=activation)
    return model, AmortizedNormal(data_dim, options.latent_dim, encoder, activation=activation)


def _ppca(options: Programs, data_dim: int) -> tuple[Any, Any]:
    if not options.likelihood.startswith("normal"):
        raise ValueError(
            f"family ppca has a Normal likelihood, got likelihood {options.likelihood!r}: give "
            "--programs.likelihood normal-learned and grey data (--data.binarize none)"
        )
    model = PPCA(data_dim, options.latent_dim, sigma=1.0 if options.sigma is None else options.sigma)
    return model, AmortizedNormal(data_dim, options.latent_dim, ())


_FAMILIES: dict[str, Callable[[Programs, int], tuple[Any, Any]]] = {"vae": _vae, "ppca": _ppca}
