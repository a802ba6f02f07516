"""Arrays as text within a page: small whole numbers, deflated, in base64. The page's script undoes each step exactly.

    values → whole numbers → differences along some axes → bytes → deflated → base64

Neighbours on a lattice are alike, so that their differences are small and deflate well. How often differences are
taken, and along which axes, is tried out for each array (of large ones for a part); what was best stands beside the
bytes (`orders`, `axes`). An `Encoder` does it once for each array, however often a page is tried in other sizes.

    bytes     of pictures, differences modulo 256
    surface   log densities in steps of 1/2048 nat below the highest; −∞, and what lies 10⁵ nats below, is one number
    places    of draws, in steps of 1/1024 of the window, sorted: their order says nothing
    floats    of 32 bits, as they are

Whole numbers that may be negative or large are zigzag varints: 0, −1, 1, −2 … are 0, 1, 2, 3 …, in groups of seven
bits, the lowest first, the eighth bit set where more follow.
"""

import base64
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

STEP = 1 / 2048
"""Nats: log densities are off by half of it at most."""
FAR = 100_000.0
"""Nats below the highest value from which on a log density is said to be −∞."""
PARTS = 1024
"""Steps of a place over the width of the window."""

_ORDERS = ((2, 2), (2, 0), (0, 2), (1, 1), (0, 0))
_TRIED = 2**16  # values of which it is tried which differences are smallest
_AXES: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))

Encoded = dict[str, Any]
Array = np.ndarray[Any, Any]


class Encoder:
    """Arrays as text, each of them once: whoever asks again for the same one gets the same text."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[Tensor, Encoded]] = {}

    def text(self, values: Tensor, encode: Callable[[Tensor], Encoded]) -> Encoded:
        """What `encode` says of an array."""
        key = (id(values), getattr(encode, "__name__", ""))
        if key not in self._known:
            self._known[key] = values, encode(values)  # held, or its id would be another's
        return self._known[key][1]


def bytes_text(values: Tensor) -> Encoded:
    """Bytes of any shape `[N, …]`; differences are taken along axes 1 and 2, if there are such."""
    array = values.detach().cpu().numpy().astype(np.uint8)
    possible = [axes for axes in _AXES if not axes or max(axes) < array.ndim]
    part = array[:: -(-array.size // _TRIED) or 1]

    def content(values: Array, axes: tuple[int, ...]) -> bytes:
        return _differences(values, dict.fromkeys(axes, 1)).tobytes()

    best = min(possible, key=lambda axes: len(zlib.compress(content(part, axes), 1)))
    return {"shape": list(array.shape), "axes": list(best), "data": _packed(content(array, best))}


def lattice_text(pictures: Tensor) -> Encoded:
    """Bytes `[G, G, n]` on a lattice of `[n, G, G]`: one value at all points, then the next."""
    return bytes_text(pictures.movedim(-1, 0).contiguous())


def surface_text(values: Tensor) -> Encoded:
    """Log densities on a lattice `[M, M]` or `[M]`, nats."""
    array = values.detach().cpu().double().numpy()
    top = float(array[np.isfinite(array)].max(initial=-np.inf))
    top = top if np.isfinite(top) else 0.0
    below = np.nan_to_num(array - top, nan=-np.inf, posinf=0.0, neginf=-np.inf)
    steps = np.where(below < -FAR, -FAR / STEP - 1, np.round(np.maximum(below, -FAR) / STEP)).astype(np.int64)
    possible = dict.fromkeys(orders[: array.ndim] for orders in _ORDERS)
    tried = {orders: _packed(varints(_differences(steps, dict(enumerate(orders))))) for orders in possible}
    best = min(tried, key=lambda orders: len(tried[orders]))
    return {"shape": list(array.shape), "orders": list(best), "top": top, "data": tried[best]}


def places_text(places: Tensor, window: Tensor) -> Encoded:
    """Places `[K, P]` in or near a window `[P, 2]`; those farther away than its half-width are left out."""
    array, ends = places.detach().cpu().double().numpy(), window.detach().cpu().double().numpy()
    low, width = ends[:, 0], np.where(ends[:, 1] > ends[:, 0], ends[:, 1] - ends[:, 0], 1.0)
    share = (array - low) / width
    near = (np.isfinite(share) & (share >= -0.5) & (share <= 1.5)).all(-1)
    steps = np.round(share[near] * PARTS).astype(np.int64)
    steps = steps[np.lexsort(steps.T[::-1])]
    return {"shape": list(steps.shape), "data": _packed(varints(_differences(steps, {0: 1})))}


def floats_text(values: Tensor) -> Encoded:
    """Numbers of any shape, in single precision; NaN and infinities stay."""
    array = values.detach().cpu().numpy().astype("<f4")
    return {"shape": list(array.shape), "data": _packed(array.tobytes())}


def varints(numbers: Array) -> bytes:
    """Whole numbers as zigzag varints, in the order of their axes."""
    flat = numbers.reshape(-1).astype(np.int64)
    left = ((flat << 1) ^ (flat >> 63)).astype(np.uint64)
    groups = 1 + int(left.max(initial=0)).bit_length() // 7
    written = np.zeros((len(left), groups), np.uint8)
    used = np.zeros((len(left), groups), bool)
    for group in range(groups):
        used[:, group] = (left > 0) | (group == 0)
        written[:, group] = left & 127
        left >>= np.uint64(7)
        written[:, group] |= (left > 0).astype(np.uint8) << 7
    return written[used].tobytes()


def _differences(array: Array, orders: dict[int, int]) -> Array:
    """Axis -> how often; the first entry stays, as a difference to zero."""
    for axis, order in orders.items():
        for _ in range(order):
            array = np.diff(array, axis=axis, prepend=np.zeros_like(array.take([0], axis))) if array.size else array
    return array


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")
