"""An exploration as what a page holds: a dict for JSON, arrays in it as text (`encoded.py`).

Pictures are `[n]` bytes a datum, in the order in which they are drawn (`drawn.py`). Those of a lattice are `[n, G, G]`:
one value at all points, then the next, because a value at neighbouring points changes little.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from elbowroom.entrances.visible import short_name, visible
from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.result import ABSENT, Column, Decoded, Exploration, View
from elbowroom.report.explorer.drawn import Drawn
from elbowroom.report.explorer.encoded import Encoder, bytes_text, floats_text, lattice_text, places_text, surface_text

DIGITS = 9
"""Of numbers that are not encoded: places, axes, coordinates."""


def flattened(exploration: Exploration, drawn: Drawn) -> Exploration:
    """The same with `[…, n]` instead of `[…, *event]`, in the order in which a datum is drawn."""
    event = exploration.x.dim() - 1

    def flat(values: Tensor) -> Tensor:
        return drawn.flat(values, event)

    return pictures_changed(exploration, flat)


def pictures_changed(exploration: Exploration, change: Any) -> Exploration:
    """The same with other bytes of all data, reconstructions and decoded lattices."""

    def decoded(old: Decoded | None) -> Decoded | None:
        sample = None if old is None or old.sample is None else change(old.sample)
        return None if old is None else replace(old, mean=change(old.mean), sample=sample)

    views = tuple(
        replace(view, again=None if view.again is None else change(view.again), decoded=decoded(view.decoded))
        for view in exploration.views
    )
    return replace(exploration, x=change(exploration.x), decoded=decoded(exploration.decoded), views=views)


def payload(exploration: Exploration, drawn: Drawn, encoder: Encoder) -> dict[str, Any]:
    """All that the page shows of a flattened exploration. Hidden characters in its words are visible ones."""
    flags = {str(b): flag for b, flag in enumerate(exploration.flags) if flag}
    parts = {
        "num_data": exploration.num_data,
        "latents": [short_name(name) for name in exploration.latents],
        "is_constrained": exploration.is_constrained,
        "observed": short_name(exploration.observed),
        "drawn": {"kind": drawn.kind, "sizes": list(drawn.sizes)},
        "scale": {"low": number(exploration.scale.low), "high": number(exploration.scale.high)},
        "x": encoder.text(exploration.x, bytes_text),
        "again": bytes_text(_again(exploration, math.prod(drawn.sizes))),
        "columns": [_column(name, column) for name, column in exploration.columns.items()],
        "flags": flags,
        "map": _frame(exploration.map),
        "codes": floats_text(exploration.codes),
        "log_prior": surface_text(exploration.log_prior),
        "decoded": _decoded(exploration.decoded, encoder),
        "views": [view_part(view, encoder) for view in exploration.views],
        "moments": [
            {
                "name": moment.name,
                "codes": floats_text(moment.codes),
                "columns": [{"name": short_name(name), "values": floats_text(v)} for name, v in moment.columns.items()],
            }
            for moment in exploration.moments
        ],
        "notices": list(exploration.notices),
        "about": [
            [part, [[name, str(value)] for name, value in pairs.items()]] for part, pairs in exploration.about.items()
        ],
    }
    return dict(_visible(parts))


def view_part(view: View, encoder: Encoder) -> dict[str, Any]:
    """What is around one datum."""
    window = view.frame.window
    return {
        "datum": view.datum,
        "frame": _frame(view.frame),
        "log_joint": encoder.text(view.log_joint, surface_text),
        "log_prior": encoder.text(view.log_prior, surface_text),
        "log_q": None if view.log_q is None else encoder.text(view.log_q, surface_text),
        "posterior": None if view.posterior is None else places_text(view.posterior, window),
        "guide": places_text(view.guide, window),
        "modes": _numbers(view.modes),
        "code": _numbers(view.code),
        "decoded": _decoded(view.decoded, encoder),
        "ladder": [
            {"name": rung.name, "value": number(rung.value), "stderr": number(rung.stderr), "bound": rung.bound}
            for rung in view.ladder
        ],
        "says": list(view.says),
    }


def json_text(parts: Mapping[str, Any] | list[Any]) -> str:
    """JSON that can stand in a script element: nothing in it ends one."""
    text = json.dumps(parts, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def number(value: float) -> float | str | None:
    """As JSON has it: NaN is null, infinities are words."""
    value = float(value)
    if math.isnan(value):
        return None
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "origin": _numbers(frame.origin),
        "axes": _numbers(frame.axes),
        "duals": _numbers(frame.duals),
        "window": _numbers(frame.window),
        "names": [short_name(name) for name in frame.names],
        "says": frame.says,
    }


def _decoded(decoded: Decoded | None, encoder: Encoder) -> dict[str, Any] | None:
    if decoded is None:
        return None
    mean, sample = (
        None if each is None else encoder.text(each, lattice_text) for each in (decoded.mean, decoded.sample)
    )
    return {"window": _numbers(decoded.window), "mean": mean, "sample": sample}


def _again(exploration: Exploration, size: int) -> Tensor:
    absent = torch.full((size,), ABSENT, dtype=torch.uint8)
    rows = [absent if view.again is None else view.again.cpu() for view in exploration.views]
    return torch.stack(rows) if rows else absent.new_zeros((0, size))


def _column(name: str, column: Column) -> dict[str, Any]:
    return {
        "name": short_name(name),
        "values": floats_text(column.values),
        "says": column.says,
        "unit": column.unit,
        "worst": column.worst,
        "is_label": column.is_label,
    }


def _numbers(values: Tensor) -> Any:
    """Nested lists."""
    if values.dim() == 0:
        return number(float(values))
    return [_numbers(value) for value in values.detach().cpu()]


def _visible(part: Any) -> Any:
    """Every word in it with what hides in it as escapes."""
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, dict):
        return {visible(key): _visible(value) for key, value in part.items()}
    return [_visible(value) for value in part] if isinstance(part, list) else part
