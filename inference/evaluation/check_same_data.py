"""Whether what is given beside a target is of the target's data."""

from collections.abc import Sized

import torch

from elbowroom.entrances.said import said
from elbowroom.inference.target import Target


def check_same_data(target: Target, **given: Sized | None) -> None:
    """Refuse arguments, given by their names, of another number of data than the target, of other latents or data.

    None is not given. Draws know their data, estimates only how many they are.

    Raises:
        ValueError: naming the argument.
    """
    for name, value in given.items():
        if value is not None and len(value) != len(target):
            raise ValueError(
                f"{name} has {len(value)} data, the target has {len(target)}: select the same data for both"
            )
        latents = getattr(value, "latents", None)
        if isinstance(latents, list) and latents != target.latent_names:
            raise ValueError(
                f"{name} are of the latents {said(latents)}, the target has {said(target.latent_names)}: give those of "
                "this target"
            )
        digests = getattr(value, "digests", None)
        if digests is not None and not torch.equal(digests, target.digests):
            first = int((digests != target.digests).nonzero()[0])
            raise ValueError(
                f"{name} are of other data than the target's, or of these in another order (datum {first} is the first "
                "that differs): give those of this target, or select the same data for both"
            )
