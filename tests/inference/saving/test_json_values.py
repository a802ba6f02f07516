"""What JSON has no word for becomes null; what it cannot hold is refused, not made a string."""

import json
from pathlib import Path

import numpy as np
import pytest

from elbowroom.inference.saving.json_values import json_able


def test_what_is_not_finite_is_none_at_any_depth() -> None:
    value = {"a": [float("nan"), (float("inf"), 1.5)], 3: {"b": -float("inf")}, "flag": True, "none": None}
    assert json_able(value) == {"a": [None, [None, 1.5]], "3": {"b": None}, "flag": True, "none": None}
    assert json.loads(json.dumps(json_able(value), allow_nan=False)) == json_able(value)


def test_numpy_numbers_become_pythons() -> None:
    values = json_able([np.float64("nan"), np.float32(0.5), np.int64(3), np.bool_(True)])
    assert values == [None, 0.5, 3, True] and [type(v) for v in values[1:]] == [float, int, bool]


def test_anything_else_is_left_for_json_to_refuse() -> None:
    path = Path("a")
    assert json_able({"path": path}) == {"path": path}
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(json_able({"path": path}))
