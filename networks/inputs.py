"""How an encoder reads data of a wide range: counts of one word, or of ten thousand.

A network sees no sense in inputs of 10⁴ beside others of 1: what it says of them is far outside of what it was
initialised for. What it reads changes q alone, never log p(x).
"""

from collections.abc import Callable

import torch
from torch import Tensor


def _raw(x: Tensor) -> Tensor:
    return x


def _log1p(x: Tensor) -> Tensor:
    if bool((x < 0).any()):
        raise ValueError(f"x: got values down to {x.min():.4g}, and inputs='log1p' is for counts; say inputs='raw'")
    return torch.log1p(x)


INPUTS: dict[str, Callable[[Tensor], Tensor]] = {"raw": _raw, "log1p": _log1p}
"""Name -> from data `[B, P]` to what the network is given, `[B, P]`: as they are, or log(1 + x) of counts."""
