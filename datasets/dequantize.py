"""Integers as real numbers without gaps: a uniform draw is added to each value, for models with a density."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbowroom.datasets import philox
from elbowroom.datasets.arrays import name_rows
from elbowroom.entrances import checked

Dequantize = Literal["none", "static", "dynamic"]
"""How stored integers become real numbers: not at all, by one uniform draw each, by a new draw each time."""
MODES: tuple[str, ...] = ("none", "static", "dynamic")


@checked
def dequantized(x: Tensor, levels: int, seed: int = 0) -> Tensor:
    """y = (x + u) / K with u ~ U[0, 1) for each value: levels 0 … K − 1 spread over [0, 1).

    E_u log p_y(y) + P log(1/K) ≤ log P(x), the probability that the density gives to the integers (Theis, van den Oord
    & Bethge 2016, section 3.1): `elbowroom.inference.bits_per_dimension(…, scale=1 / K, dequantized=True)` says that
    bound as it is reported. The draw is a function of (seed, place in x), the same on every machine, and does not
    depend on the rows behind.

    Args:
        x: whole numbers 0 … K − 1, `[B, ...]`, of any dtype.
        levels: K, 256 of bytes.
        seed: of the draw.

    Raises:
        ValueError: if x are others, naming the rows; grey values in [0, 1] are given as `(255 * x).round()`.
    """
    if levels < 2:
        raise ValueError(f"levels: got {levels}, expected at least 2, such as 256 of bytes")
    whole = x.detach().double().cpu()
    wrong = ~((whole == whole.round()) & (whole >= 0) & (whole <= levels - 1))  # NaN fails too
    if bool(wrong.any()):
        rows = wrong.reshape(len(x), -1).any(1).nonzero().flatten().tolist()
        raise ValueError(
            f"x: got values that are no levels 0 … {levels - 1} (such as {whole[wrong][0].item():.6g}; "
            f"{name_rows(rows)}); give grey values in [0, 1] as ({levels - 1} * x).round()"
        )
    dtype = x.dtype if x.is_floating_point() else torch.get_default_dtype()
    drawn = _spread(whole.numpy(), levels, "dequantize", philox.check_seed(seed))
    return torch.from_numpy(drawn).to(dtype).clamp(max=1 - torch.finfo(dtype).eps).to(x.device)


def dequantize_rows(
    x: NDArray[np.float32], scale: float, split: str, mode: str, seed: int, source: str
) -> NDArray[np.float32]:
    """The `[N, P]` values of a split, which were levels 0 … s divided by s, as (level + u) / (s + 1).

    - `none`: as they are.
    - `static`: one draw, a function of (seed, split).
    - `dynamic`: the training data stay as they are (each minibatch is drawn anew by `Dataset.prepare`); the others as
      in `static`, so that held-out numbers can be compared.

    Raises:
        ValueError: if the source's numbers are no levels that are known.
    """
    if mode == "none" or (mode == "dynamic" and split == "train"):
        return x
    if scale <= 1:
        raise ValueError(
            f"{source}: dequantize={mode!r} is for integers whose range is known, such as bytes, and these are others; "
            "call elbowroom.datasets.dequantized(x, levels) on them"
        )
    levels = np.rint(x.astype(np.float64) * scale)
    drawn = _spread(levels, int(scale) + 1, f"dequantize/{split}", seed).astype(np.float32)
    return np.minimum(drawn, np.float32(1 - np.finfo(np.float32).eps))


def check_dequantize(mode: str, binarize: str) -> None:
    """Raise ValueError on an unknown mode, or one that leaves nothing to do."""
    if mode not in MODES:
        raise ValueError(f"dequantize must be one of {', '.join(MODES)}, got {mode!r}")
    if mode != "none" and binarize != "none":
        raise ValueError(
            f"dequantize={mode!r} is for grey values that stay grey, and binarize={binarize!r} makes zeros and ones of "
            "them: give one of the two"
        )


def draws_for(scale: float) -> Callable[..., Tensor | tuple[Tensor, ...]]:
    """What training applies to each minibatch of `dequantize="dynamic"`."""
    return partial(_draw, scale=scale)


def _draw(x: Tensor, *others: Tensor, scale: float) -> Tensor | tuple[Tensor, ...]:
    """New draws, with torch's global generator; what else the programs are given is handed on as it is."""
    drawn = ((x * scale).round() + torch.rand_like(x)) / (scale + 1)
    return (drawn, *others) if others else drawn


def _spread(levels: NDArray[np.float64], num_levels: int, stream: str, seed: int) -> NDArray[np.float64]:
    return (levels + philox.uniform(levels.shape, stream, seed)) / num_levels
