"""Whether what is given beside a target is of the target's data."""

from collections.abc import Sized

from elbowroom.entrances.said import said
from elbowroom.inference.target import Target


def check_same_data(target: Target, **given: Sized | None) -> None:
    """Refuse arguments, given by their names, of another number of data than the target, or of other latents.

    None is not given. Draws of as many data with latents of the same names cannot be told apart.

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
