"""Draws made by hand: what a sampler would have returned."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference import Draws


def draws_of(z: Mapping[str, Tensor], latents: Sequence[str] | None = None, **fields: Any) -> Draws:
    """The draws z by site, `[chains, draws, data, *event]`, as if NUTS had made them, but for what `fields` say."""
    first = next(iter(z.values()))
    shape = first.shape[:3]
    stats = {
        "lp": -sum(value.reshape(*shape, -1).square().sum(-1) for value in z.values()) / 2,
        "n_steps": torch.full(shape, 3),
        "acceptance_rate": torch.full(shape, 0.9),
        "step_size": torch.full(shape, 0.5),
        "diverging": torch.zeros(shape, dtype=torch.bool),
    }
    info = {
        "method": "nuts", "seconds": 1.25, "num_warmup": 10, "seed": 5,
        "num_evaluations": torch.full((shape[2],), 3 * shape[0] * shape[1]),
    }  # fmt: skip
    names = _names(z) if latents is None else list(latents)
    made: dict[str, Any] = {"z": dict(z), "latents": names, "stats": stats, "info": info}
    return Draws(**made | fields)


def on_grid(z: Tensor) -> Tensor:
    """Draws rounded to multiples of 2⁻²⁰: distances to their median have no rounding, which would break a tie in them.

    Ours keeps the tie; ArviZ's R-hat goes by the rounding.
    """
    return (z * 2**20).round() / 2**20


def _names(z: Mapping[str, Tensor]) -> list[str]:
    """`w`, `v[0]`, `m[0,1]`, …"""
    names = []
    for name, value in z.items():
        event = value.shape[3:]
        for index in itertools.product(*map(range, event)):
            names.append(f"{name}[{','.join(map(str, index))}]" if event else name)
    return names
