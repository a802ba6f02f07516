"""The page's modules in node: what they compute, what they read of Python's arrays, and their types."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elbowroom.report.explorer import joined
from elbowroom.report.explorer.encoded import bytes_text, floats_text, places_text, surface_text
from toys.explorations import digits, eight_latents
from toys.node import run_node, type_checked

HERE, SCRIPT = Path(__file__).parent / "script", Path(joined.__file__).resolve().with_name("script")
WORDS = {math.inf: "inf", -math.inf: "-inf"}


def case(kind: str, text: dict[str, Any], values: Tensor, within: float = 0.0, **more: Any) -> dict[str, Any]:
    """Encoded values beside what is to be read of them; JSON has no infinities."""
    flat = ["nan" if math.isnan(value) else WORDS.get(value, value) for value in values.flatten().tolist()]
    return {"kind": kind, "text": text, "values": flat, "within": within, **more}


def arrays() -> list[dict[str, Any]]:
    """Of every format, smooth and rough, small and beyond 32 bits."""
    view = digits(6).views[0]
    decoded = eight_latents(count=3, views=1).views[0].decoded
    assert decoded is not None and decoded.sample is not None and view.log_q is not None
    wild = torch.tensor([[0.0, -math.inf, -9.9e4], [-5e8, 3.25, -12.0]])
    kept = torch.where(wild < -1e5, -math.inf, wild)
    window = torch.tensor([[0.0, 4.0], [-1.0, 1.0]])
    sorted_places = torch.tensor([[0.0, 0.5], [1.0, -0.25], [3.0, 1.0], [3.0, 1.25]])
    return [
        *(case("surface", surface_text(each), each, 1e-3) for each in (view.log_joint, view.log_prior, view.log_q)),
        case("surface", surface_text(wild), kept, 1e-3),
        case("surface", surface_text(torch.tensor([-1.0, -2.0, -4.0])), torch.tensor([-1.0, -2.0, -4.0]), 1e-3),
        *(case("bytes", bytes_text(each), each) for each in (decoded.mean, decoded.sample)),
        case("floats", floats_text(torch.tensor([math.nan, 1.5, -math.inf])), torch.tensor([math.nan, 1.5, -math.inf])),
        case("places", places_text(sorted_places, window), sorted_places, 1e-9, window=window.tolist()),
        case("places", places_text(torch.tensor([[2.0]]), window[:1]), torch.tensor([2.0, 0.0]), window=[[0.0, 4.0]]),
    ]


def test_modules_compute_what_they_say_and_read_what_python_wrote(tmp_path: Path) -> None:
    (tmp_path / "arrays.json").write_text(json.dumps(arrays()))
    done = run_node(HERE / "every.mjs", variables={"ARRAYS": str(tmp_path / "arrays.json")})
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE)) or dict(
        re.findall(r"^ℹ (\w+) (\d+)$", done.stdout, re.MULTILINE)
    )
    assert int(counts["pass"]) >= 40 and counts["fail"] == counts["skipped"] == "0"


def test_every_file_of_tests_is_run() -> None:
    imported = re.findall(r'import "\./(\w+)\.mjs"', (HERE / "every.mjs").read_text())
    assert sorted(imported) == sorted(path.stem for path in HERE.glob("*.mjs") if path.stem != "every")


@pytest.mark.slow
def test_modules_have_the_types_that_they_say(tmp_path: Path) -> None:
    files = sorted(SCRIPT.glob("*.js"))
    assert type_checked(*files, folder=tmp_path) == ""
