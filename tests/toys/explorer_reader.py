"""The data of an explorer's page, read as its script reads them: by the format's words, not by the writer's code."""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def data_of(page: str | Path) -> dict[str, Any]:
    """What the page holds."""
    text = page.read_text(encoding="utf-8") if isinstance(page, Path) else page
    (found,) = re.findall(r'<script type="application/json" id="explorer-data">(.*?)</script>', text, re.DOTALL)
    data: dict[str, Any] = json.loads(found)
    return data


def bytes_in(part: dict[str, Any]) -> Array:
    values = np.frombuffer(inflated(part), np.uint8).reshape(part["shape"]).astype(np.int64)
    for axis in part["axes"]:
        values = values.cumsum(axis)
    return (values % 256).astype(np.uint8)


def surface_in(part: dict[str, Any]) -> Array:
    steps = whole_numbers(inflated(part)).reshape(part["shape"])
    for axis, order in enumerate(part["orders"]):
        for _ in range(order):
            steps = steps.cumsum(axis)
    return np.where(steps < -100_000 * 2048, -np.inf, part["top"] + steps / 2048)


def places_in(part: dict[str, Any], window: list[list[float]]) -> Array:
    steps = whole_numbers(inflated(part)).reshape(part["shape"]).cumsum(0)
    low, high = np.array(window).T
    return np.asarray(low + (high - low) * steps / 1024)


def floats_in(part: dict[str, Any]) -> Array:
    return np.frombuffer(inflated(part), "<f4").reshape(part["shape"])


def inflated(part: dict[str, Any]) -> bytes:
    return zlib.decompress(base64.b64decode(part["data"]))


def whole_numbers(content: bytes) -> Array:
    """Zigzag varints, one by one."""
    numbers, value, shift = [], 0, 0
    for byte in content:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(-(value + 1) // 2 if value % 2 else value // 2)
            value, shift = 0, 0
    return np.array(numbers, np.int64)
