"""Whether programs look as if nobody had trained them: what they were made with is what they still have.

Whoever makes a program may know more, and says it in an attribute of it, `doubts`: sentences on why it may not be the
program that was meant, such as a network whose weights were drawn here and never loaded.

Or, in an attribute `unlearned`, on parameters of it that nobody has learned, though its networks may be trained.

A suspicion, no flag: parameters may have been initialised with trained values. A step of training that moves any of a
program's parameters, by however little, ends it.
"""

from collections.abc import Iterator
from typing import Any

import pyro
import torch
from pyro.infer.autoguide import AutoGuide
from torch import Tensor, nn

from elbowroom.inference.programs.densities import watched_run
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.initial_weights import Layers, as_made
from elbowroom.inference.programs.triple import Triple

_NAMED = 4  # layers that a suspicion names


def suspicions(triple: Triple) -> tuple[str, ...]:
    """What speaks for a program that was never trained, in words; each program is run once more, or twice."""
    programs = {"guide": triple.guide, "model": triple.model}
    known = {what: tuple(getattr(program, "doubts", ())) for what, program in programs.items()}
    found = [doubt for doubts in known.values() for doubt in doubts]
    found += [doubt for program in programs.values() for doubt in getattr(program, "unlearned", ())]
    found.append(_untrained_guide(triple))
    found += [_new_network(triple, what) for what, doubts in known.items() if not doubts]
    return tuple(dict.fromkeys(reason for reason in found if reason))


def _untrained_guide(triple: Triple) -> str:
    scales = list(_auto_scales(triple.guide))
    if scales and all(scales):
        return (
            "every scale of the AutoGuide is the one that it starts with (init_scale): it looks as if it had never "
            "been trained"
        )
    with quiet_globals(triple.args), torch.no_grad():
        store = pyro.get_param_store()
        own = {name: store[name].clone() for name in store}
        with store.scope():
            triple.trace("guide", None)
            fresh = {name: store[name] for name in store if "$$$" not in name}  # modules hold their own values
        if fresh and all(name not in own or _same(own[name], value) for name, value in fresh.items()):
            return (
                f"every parameter of the guide ({_listed(fresh)}) has the value that its pyro.param statement gives "
                "it at first: it looks as if it had never been trained, or not in this process"
            )
    return ""


def _auto_scales(guide: Any) -> Iterator[bool]:
    """Of each scale of an AutoGuide's parts, whether all its entries are the one that it began with."""
    for part in guide.modules() if isinstance(guide, nn.Module) else ():
        start = getattr(part, "_init_scale", None)
        if not isinstance(part, AutoGuide) or start is None:
            continue
        with torch.no_grad():
            held = [part.scale] if hasattr(part, "scale") else []
            for name, _ in part.named_parameters():
                words = name.removesuffix("_unconstrained").split(".")
                if words[0] == "scales":
                    held.append(_attribute(part, words))
            for scale in held:
                yield bool(torch.allclose(scale, scale.flatten()[0]) and _is_start(scale, start))


def _is_start(scale: Tensor, start: float) -> bool:
    ratio = scale.double() / start
    return any(bool(((ratio / factor - 1).abs() < 1e-5).all()) for factor in (1.0, 0.5**0.5))  # AutoLowRank halves it


def _attribute(module: Any, words: list[str]) -> Any:
    for word in words:
        module = getattr(module, word)
    return module


def _new_network(triple: Triple, what: str) -> str:
    layers = Layers()
    watched_run(triple, what, layers)
    held = list(layers.weights.values())
    if held and as_made(held):
        return (
            f"all {len(held)} linear and convolution layers of the {what} have the weights that PyTorch drew when it "
            "made them: they look as if they had never been trained, or their trained weights had not been loaded"
        )
    new = [weight for weight, bias in held if as_made([(weight, bias)])]
    if not new:
        return ""
    some = f"{len(new)} of the {len(held)} linear and convolution layers"
    shapes = " and ".join(" × ".join(map(str, weight.shape)) for weight in new[:_NAMED])
    return (
        f"{some} of the {what} ({shapes}{' …' if len(new) > _NAMED else ''}) {'has' if len(new) == 1 else 'have'} the "
        "weights that PyTorch drew at first: left out when the others were trained, or loaded?"
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other.to(one))


def _listed(names: Any) -> str:
    chosen = sorted(names)
    return ", ".join(chosen[:4]) + (f" and {len(chosen) - 4} more" if len(chosen) > 4 else "")
