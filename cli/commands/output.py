"""What commands print and write: text for a person, JSON for a program."""

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class ConditionHolds(Exception):
    """The condition of which the user asked for an exit code holds."""


def say(text: str, quiet: bool) -> None:
    """Print text for a person, unless JSON was asked for."""
    if not quiet:
        _print(text)


def flush() -> None:
    """Let go of everything printed; a reader who has left (`| head`) stops the printing, not the work."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_json(path: Path, value: Any) -> Path:
    """Write JSON whole or not at all, whatever happens meanwhile."""
    from elbowroom.inference.saving.durable import replace_text

    return replace_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Write NumPy arrays as .npz whole or not at all."""
    import numpy as np

    from elbowroom.inference.saving.durable import replace_file

    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    replace_file(path, content.getvalue())
    return path


def finish(result: dict[str, Any], path: Path, as_json: bool) -> None:
    """Write a command's result to `path` and, if asked, print it; NaN and infinities become null."""
    from elbowroom.inference.saving.json_values import json_able

    result = json_able(result)
    write_json(path, result)
    if as_json:
        print_json(result)


def print_json(value: Any) -> None:
    """Print a result that is JSON-able already."""
    _print(json.dumps(value, indent=1))


def _print(text: str) -> None:
    with suppress(BrokenPipeError):  # flush meets it again
        print(text)
    flush()
