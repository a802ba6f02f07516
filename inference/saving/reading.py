"""Files that somebody else may have written: their kind, size and depth are looked at before they are believed."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

MOST_JSON = 16 * 2**20
"""Bytes of a JSON file: a thousand times what elbowroom writes."""

DEEPEST = 64
"""How deep lists and objects of a JSON or YAML file may lie in each other."""

MOST_HEADER = 100_000_000
"""Bytes of a safetensors header, as that library has it."""

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "C64": torch.complex64,
}  # fmt: skip


class UnreadableError(ValueError):
    """A file that is not what it should be; the message names it.

    Attributes:
        reason: the same without the name.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@contextmanager
def opened(path: Path, most: int) -> Iterator[IO[bytes]]:
    """A regular file of at most so many bytes, open for reading: no device, and no pipe to wait at.

    Raises:
        UnreadableError: if it is another thing, or larger.
        OSError: if there is none, or it may not be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(path, "it is no regular file")
        if found.st_size > most:
            raise UnreadableError(path, f"it has {found.st_size:,} bytes, and more than {most:,} are not read")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_bytes(path: Path, most: int = MOST_JSON) -> bytes:
    """All of a file, as of `opened`."""
    with opened(path, most) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size + 1)
    if len(content) > size:
        raise UnreadableError(path, "it grows while it is read")
    return content


def memory() -> int:
    """Bytes of this machine's memory: no tensor file that is larger can be opened."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2**40


def parse_json(path: Path, content: bytes, kind: type | None = dict, *, numbers_only: bool = True) -> Any:
    """JSON of a kind: an object, if nothing else is said.

    Args:
        path: how to call it in errors.
        content: UTF-8.
        kind: what it must be; None for anything.
        numbers_only: whether NaN and infinities, which JSON has not, are refused.

    Raises:
        UnreadableError: if it is not that, or deeper than `DEEPEST`.
    """
    try:
        value = json.loads(content.decode(), parse_constant=_no_number if numbers_only else None)
    except UnicodeDecodeError as error:
        raise UnreadableError(path, f"it is not UTF-8 text (from byte {error.start} on)") from error
    except RecursionError as error:
        raise UnreadableError(path, _too_deep()) from error
    except ValueError as error:
        raise UnreadableError(path, f"it is not JSON ({error})") from error
    if is_deep(value):
        raise UnreadableError(path, _too_deep())
    if kind is not None and not isinstance(value, kind):
        raise UnreadableError(path, f"it holds {_NAMES.get(type(value), 'another thing')}, expected {_NAMES[kind]}")
    return value


def read_json(path: Path, kind: type | None = dict) -> Any:
    """A JSON file, as of `read_bytes` and `parse_json`."""
    return parse_json(path, read_bytes(path), kind)


def is_deep(value: Any) -> bool:
    """Whether lists and objects lie deeper in each other than `DEEPEST`."""
    layer = [value]
    for _ in range(DEEPEST + 1):
        layer = [inner for one in layer for inner in _inside(one)]
        if not layer:
            return False
    return True


def check_header(path: Path, most: int = MOST_HEADER) -> None:
    """Refuse a safetensors file with a header of more bytes, or that is larger than the memory.

    Raises:
        UnreadableError, OSError: as of `opened`.
    """
    with opened(path, memory()) as file:
        length = int.from_bytes(file.read(8), "little")
    if length > most:
        raise UnreadableError(path, f"its header has {length:,} bytes, as it says, and more than {most:,} are not read")


def outline(path: Path) -> dict[str, Tensor]:
    """What a safetensors file says it holds, as tensors without values (on the meta device): none is read.

    Raises:
        UnreadableError: if its header is none, or larger than `MOST_JSON`.
        OSError: as of `opened`.
    """
    check_header(path, MOST_JSON)
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: torch.empty(one.get_shape(), dtype=_DTYPES[one.get_dtype()], device="meta")
                for name, one in found.items()
            }
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise UnreadableError(path, f"it is no safetensors file ({error})") from error


_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _too_deep() -> str:
    return f"lists and objects lie deeper in each other than {DEEPEST} levels"
