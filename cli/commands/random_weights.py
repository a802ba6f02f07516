"""Whether networks that were built here hold the random weights that they were built with.

Weights that were loaded, by whatever code, are the same when a network is built again from another seed. Those of a
function that trains its networks are not, so its optimisers are watched: where one has taken a step, only layers that
no step has moved from PyTorch's own draws are held to be random.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from elbowroom.inference.programs.initial_weights import as_made

_NAMED = 4  # random tensors that a doubt names
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


@contextmanager
def training_watched() -> Iterator[list[str]]:
    """Names of the optimisers that have taken a step inside, each once."""
    steps: list[str] = []

    def note(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        if type(optimiser).__name__ not in steps:
            steps.append(type(optimiser).__name__)

    handle = register_optimizer_step_post_hook(note)
    try:
        yield steps
    finally:
        handle.remove()


def random_weights(
    places: Mapping[str, str], made: Mapping[str, Any], again: Callable[[], Mapping[str, Any]], trained: bool
) -> dict[str, tuple[str, ...]]:
    """For each network with random weights, option -> why it may not be the one that was meant, in words.

    Args:
        places: option -> where its network comes from.
        made: option -> network.
        again: builds them once more from another seed; not called where they were trained, which may take long.
        trained: whether an optimiser took a step while they were made.
    """
    if trained:
        found = _left_as_drawn(made)
    else:
        with torch.random.fork_rng(devices=[]):
            found = _following_the_seed(made, again())
    new = [option for option, (random, all_of_them, _) in found.items() if random and all_of_them]
    doubts = {}
    for option, (random, all_of_them, number) in found.items():
        if random and not all_of_them:
            named = f"{', '.join(random[:_NAMED])}{' …' if len(random) > _NAMED else ''}"
            doubts[option] = f"{len(random)} of the {number} tensors of {option} ({places[option]}) hold random weights"
            doubts[option] += f" ({named})"
    if new:
        who = " and ".join(f"{option} ({places[option]})" for option in new)
        text = f"{who} {'was' if len(new) == 1 else 'were'} built here with random weights, never loaded"
        doubts |= dict.fromkeys(new, text + (" and never trained" if trained else ""))
    way_out = "give the trained ones with --networks.checkpoint FILE, or name an object that holds them"
    return {option: (f"{doubt}: {way_out}",) for option, doubt in doubts.items()}


def module_of(network: Any) -> nn.Module | None:
    """The module whose weights a network uses: itself, or the one that it is a method of."""
    owner = network if isinstance(network, nn.Module) else getattr(network, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


Found = dict[str, tuple[list[str], bool, int]]
"""Option -> its random tensors, whether these are all that it has but for constants, and how many tensors it has."""


def _following_the_seed(made: Mapping[str, Any], again: Mapping[str, Any]) -> Found:
    found: Found = {}
    for option, network in made.items():
        one, other = module_of(network), module_of(again[option])
        if one is None or other is None:
            continue
        own, others = one.state_dict(), other.state_dict()
        random = [name for name, value in own.items() if name in others and not _same(value, others[name])]
        held = [name for name, value in own.items() if name not in random and not _same(value, value.flatten()[:1])]
        found[option] = (random, not held, len(own))
    return found


def _left_as_drawn(made: Mapping[str, Any]) -> Found:
    found: Found = {}
    for option, network in made.items():
        module = module_of(network)
        if module is None:
            continue
        layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, _LAYERS)}
        new = [name for name, layer in layers.items() if as_made([(layer.weight, layer.bias)])]
        random = [f"{name}.{part}" for name in new for part, _ in layers[name].named_parameters(recurse=False)]
        found[option] = ([name.lstrip(".") for name in random], len(new) == len(layers), len(module.state_dict()))
    return found


def _same(one: Tensor, other: Tensor) -> bool:
    return bool((one == other).all()) if other.numel() == 1 or one.shape == other.shape else False
