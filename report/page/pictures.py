"""Data as small pictures inside the page."""

import base64
import io

import numpy as np
from PIL import Image
from torch import Tensor

from elbowroom.report.records.image_shapes import CHANNELS, image_shape_of

_LARGEST = 64  # pixels of a side


class Pictures:
    """How each datum is shown: as a picture, or by its first values.

    Args:
        x: the data, if the audit holds them.
        image_shape: as in `save_html`.

    Attributes:
        why_not: why data that were said to be pictures are not shown as such; empty where they are.
    """

    def __init__(self, x: Tensor | None, image_shape: tuple[int, ...] | None = None) -> None:
        self._x, self._shape = x, None
        self.why_not = ""
        try:
            self._shape = None if x is None else image_shape_of(x, image_shape)
        except ValueError as error:
            self.why_not = f"No pictures: {error}."
        self._ends = (0.0, 1.0) if x is None else ends_of(x)

    def picture(self, datum: int) -> str:
        """A datum as a `data:` address; empty if the data are no pictures."""
        if self._x is None or self._shape is None:
            return ""
        return data_uri(self._x[datum], self._shape, self._ends)

    def values(self, datum: int) -> str:
        """The first values of a datum; empty if the data are pictures or not there."""
        return "" if self._x is None or self._shape is not None else row_text(self._x[datum])


def data_uri(datum: Tensor, shape: tuple[int, ...], ends: tuple[float, float]) -> str:
    """One datum as a PNG in a `data:` address; black is the upper of the two ends, as ink on paper is.

    Colours are shown as they are. Sides above 64 pixels are thinned out.
    """
    values = datum.detach().cpu().double().numpy()
    if len(shape) == 3 and shape[2] not in CHANNELS:  # as torch has them
        values = np.moveaxis(values.reshape(shape), 0, -1)
    elif values.ndim == 3 and len(shape) == 3 and values.shape != tuple(shape):
        values = np.moveaxis(values, 0, -1).reshape(shape)
    else:
        values = values.reshape(shape)
    step = max(1, -(-max(values.shape[:2]) // _LARGEST))
    share = np.nan_to_num((values[::step, ::step] - ends[0]) / ((ends[1] - ends[0]) or 1.0)).clip(0, 1)
    if share.ndim == 3 and share.shape[-1] == 1:
        share = share[..., 0]
    pixels = (255 * (share if share.ndim == 3 else 1 - share)).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def ends_of(x: Tensor) -> tuple[float, float]:
    """The smallest and the largest finite value: 0 and 1 where all lie between them."""
    finite = x[x.isfinite()]
    if not finite.numel():
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def row_text(datum: Tensor, most: int = 5) -> str:
    """The first values of a datum that is no picture."""
    values = datum.flatten()
    shown = ", ".join(f"{float(value):.3g}" for value in values[:most])
    return shown + (f", … ({len(values)})" if len(values) > most else "")
