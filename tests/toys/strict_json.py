"""JSON as the standard has it."""

import json
from pathlib import Path
from typing import Any


def strict_json(text: str) -> Any:
    """Parse JSON that holds no NaN and no infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    return json.loads(text, parse_constant=refuse)


def read_json(path: Path) -> Any:
    """The file, parsed so."""
    return strict_json(path.read_text(encoding="utf-8"))
