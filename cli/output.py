"""What commands print and write: text for a person, JSON for a program."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def say(text: str, quiet: bool) -> None:
    """Print text for a person, unless JSON was asked for."""
    if not quiet:
        print(text, flush=True)


def write_json(path: Path, value: Any) -> Path:
    """Write JSON whole or not at all, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(value, file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value


def finish(result: dict[str, Any], path: Path, as_json: bool) -> None:
    """Write a command's result to `path` and, if asked, print it."""
    result = finite(result)
    write_json(path, result)
    if as_json:
        print(json.dumps(result, indent=1))
