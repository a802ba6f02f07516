"""The guides that are built around a diagonal Normal, small, and far from where they begin."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from elbowroom.guides import AmortizedFullNormal, AmortizedMixture
from elbowroom.guides.around_normal import AroundNormal

P, D = 6, 2

Make = Callable[..., AroundNormal]

GUIDES: dict[str, Make] = {
    "full-normal": partial(AmortizedFullNormal, P, D, (4,)),
    "normal-mixture": partial(AmortizedMixture, P, D, (4,), num_components=3),
}
"""By the registry's names: options -> a guide."""


def far(name: str, seed: int = 0, **options: Any) -> AroundNormal:
    """A guide of which all that is beyond the Normal is large."""
    torch.manual_seed(seed)
    guide = GUIDES[name](**options)
    for part, network in guide.named_children():
        if part != "normal":
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(2.0)
    return guide
