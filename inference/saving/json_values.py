"""What JSON can hold."""

import math
from typing import Any

import numpy as np


def json_able(value: Any) -> Any:
    """The value with None in place of NaN and infinities, which JSON has not, and Python's numbers in place of NumPy's.

    Keys become strings, tuples lists; whatever else there is stays as it is, for `json.dumps` to refuse.
    """
    if isinstance(value, dict):
        return {str(key): json_able(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_able(inner) for inner in value]
    if isinstance(value, np.generic):
        return json_able(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
