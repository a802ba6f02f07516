"""What commands print and write: text for a person, JSON for a program."""

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from elbowroom.entrances.visible import one_line, visible


class ConditionHolds(Exception):
    """The condition of which the user asked for an exit code holds."""


class ChunksLeftOut(Exception):
    """Some chunks failed each time that they were tried; the others are done, or will be by other workers."""


def say(text: str, quiet: bool) -> None:
    """Print text for a person, unless JSON was asked for. What hides in it is shown as escapes.

    Of what is laid out, such as coloured tables (`Printed`), the cells have been looked at, and the colours stay.
    """
    if not quiet:
        _print(visible(text) if type(text) is str else text)


def print_error(text: str) -> None:
    """Print text on standard error, with what hides in it as escapes."""
    with suppress(BrokenPipeError):
        print(_encodable(visible(text), sys.stderr), file=sys.stderr, flush=True)


def named(*files: object) -> str:
    """Files as they are told: each on one line, whatever is in its name."""
    return ", ".join(one_line(str(file)) for file in files)


_lost: list[str] = []  # why something was not printed


def flush() -> None:
    """Let go of everything printed; a reader who has left (`| head`), or a full disk, stops the printing only."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _stop_printing(error)


def lost() -> str | None:
    """What to say if something that somebody waits for could not be printed; once."""
    flush()
    if not _lost:
        return None
    reason = _lost[0]
    _lost.clear()
    return (
        f"cannot print all of it: {reason}; what was written into files is whole. Free some space, or print to another "
        "place"
    )


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
    try:
        print(_encodable(text, sys.stdout))
    except OSError as error:
        _stop_printing(error)
    flush()


def _encodable(text: str, stream: TextIO) -> str:
    """The text with escapes for the letters that a terminal of another encoding lacks."""
    encoding = getattr(stream, "encoding", None)
    return text.encode(encoding, "backslashreplace").decode(encoding) if isinstance(encoding, str) else text


def _stop_printing(error: OSError) -> None:
    if not isinstance(error, BrokenPipeError):
        _lost.append(error.strerror or str(error))
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
