"""The page on many machines: its code runs, and its options are the commands'."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom.__main__ import COMMANDS
from house_imports import ROOT

PAGE = (ROOT / "docs" / "many_machines.md").read_text()


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_default_dtype(torch.float32)
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    fewer = {"budget=10": "budget='3e3 evaluations', num_simulations=0", '"num_samples": 100': '"num_samples": 25'}
    for found, put in fewer.items():
        assert found in code
        code = code.replace(found, put)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/many_machines.md", "exec"), names)
    assert len(names["merged"]) == len(names["x"]) and names["result"].num_data == 40


def test_options_on_the_page_are_there() -> None:
    known = {"shard": {f.name for f in fields(COMMANDS["shard"])}, "merge": {f.name for f in fields(COMMANDS["merge"])}}
    for command, rest in re.findall(r"elbowroom (shard|merge)((?: +--?[\w-]+ \S+| +--\w+)+)", PAGE):
        assert set(re.findall(r"--(\w+)", rest)) <= known[command], rest
    assert {"run", "array", "output", "engine", "device"} <= known["shard"]
