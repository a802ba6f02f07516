"""How high every rung of a ladder reaches, and the ladders of some of the data and of all."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.families.bent import Member, joined

ENCODER = "encoder"
"""The first rung of every ladder: the guide as it is."""


@dataclass(frozen=True)
class Climbed:
    """How high every rung of the ladder reaches, and with which members.

    Attributes:
        elbo: rung -> ELBO under R randomisations, `[R, B]`; `"encoder"` first. Values never fall from rung to rung.
        tried: rung -> standard error of the comparison that it won or lost, `[B]`.
        slack: rung -> nats to the best member nearby and its error, `[B]` (not for mixtures).
        families: rung -> members in unconstrained coordinates; the guide's own family in the guide's noise.
        shortfall: rung -> nats by which a search that began at the encoder's output ended below one that did not, there
            or on a rung before, `[B]`.
        rivals: rung -> whether members in two different modes were found that are about as good, `[B]`.
        several: whether modes were found that no member of the largest family covers together, `[B]`.
        searched: log p(x) as a search from the prior alone knows it, and its standard error, `[B]`; NaN without one.
        is_gaussian, is_diagonal: what the guide is, `[B]`.
        exploded: for each datum why its encoder output is not usable, or an empty string.
        num_evaluations: `[B]`.
    """

    elbo: dict[str, Tensor]
    tried: dict[str, Tensor]
    slack: dict[str, tuple[Tensor, Tensor]]
    families: dict[str, Member]
    shortfall: dict[str, Tensor]
    rivals: dict[str, Tensor]
    several: Tensor
    searched: tuple[Tensor, Tensor]
    is_gaussian: Tensor
    is_diagonal: Tensor
    exploded: tuple[str, ...]
    num_evaluations: Tensor


def first(climbed: Climbed, count: int) -> Climbed:
    """The ladder of the first `count` data, without those that a chunk was made up with."""
    data = torch.arange(count)
    return Climbed(
        {name: value[:, :count] for name, value in climbed.elbo.items()},
        {name: value[:count] for name, value in climbed.tried.items()},
        {name: (value[:count], error[:count]) for name, (value, error) in climbed.slack.items()},
        {name: family.select(data) for name, family in climbed.families.items()},
        {name: value[:count] for name, value in climbed.shortfall.items()},
        {name: value[:count] for name, value in climbed.rivals.items()},
        climbed.several[:count],
        (climbed.searched[0][:count], climbed.searched[1][:count]),
        climbed.is_gaussian[:count],
        climbed.is_diagonal[:count],
        climbed.exploded[:count],
        climbed.num_evaluations[:count],
    )


def together(parts: list[Climbed]) -> Climbed:
    """The ladder of all data, part after part."""
    one = parts[0]
    return Climbed(
        {name: torch.cat([p.elbo[name] for p in parts], 1) for name in one.elbo},
        {name: torch.cat([p.tried[name] for p in parts]) for name in one.tried},
        {
            name: (torch.cat([p.slack[name][0] for p in parts]), torch.cat([p.slack[name][1] for p in parts]))
            for name in one.slack
        },
        {name: joined([p.families[name] for p in parts]) for name in one.families},
        {name: torch.cat([p.shortfall[name] for p in parts]) for name in one.shortfall},
        {name: torch.cat([p.rivals[name] for p in parts]) for name in one.rivals},
        torch.cat([p.several for p in parts]),
        (torch.cat([p.searched[0] for p in parts]), torch.cat([p.searched[1] for p in parts])),
        torch.cat([p.is_gaussian for p in parts]),
        torch.cat([p.is_diagonal for p in parts]),
        tuple(reason for p in parts for reason in p.exploded),
        torch.cat([p.num_evaluations for p in parts]),
    )
