"""The guides that are built around a diagonal Normal, small, and far from where they begin."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from elbowroom.guides import AmortizedFullNormal, AmortizedMixture, FlowGuide, PlanarGuide
from elbowroom.guides.around_normal import AroundNormal
from elbowroom.guides.flow_layers import KINDS

P, D = 6, 2

Make = Callable[..., AroundNormal]

GUIDES: dict[str, Make] = {
    "full-normal": partial(AmortizedFullNormal, P, D, (4,)),
    "normal-mixture": partial(AmortizedMixture, P, D, (4,), num_components=3),
    "planar": partial(PlanarGuide, P, D, (4,), num_layers=2),
    **{kind: partial(FlowGuide, P, D, (4,), kind, num_features=3, transform_hidden=(5,)) for kind in KINDS},
}
"""By the registry's names: options -> a guide."""


def make(name: str, **options: Any) -> AroundNormal:
    """A guide; where zuko is not installed, the test is skipped."""
    try:
        return GUIDES[name](**options)
    except ImportError as error:
        pytest.skip(str(error))


def far(name: str, seed: int = 0, **options: Any) -> AroundNormal:
    """A guide of which all that is beyond the Normal is large."""
    torch.manual_seed(seed)
    guide = make(name, **options)
    with torch.no_grad():
        for part, parameter in guide.named_parameters():
            parameter.mul_(1.0 if part.startswith("normal.") else 1.2)
    return guide
