"""JSON that knows its own digest: a changed character is noticed, though not who changed it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elbowroom.inference.saving.reading import UnreadableError

DIGEST = "digest"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with a sha256 of all the others among its entries."""
    return {**value, DIGEST: _digest(value)}


def has_seal(path: Path, value: Mapping[str, Any]) -> bool:
    """Whether an object that was read has such a digest.

    Raises:
        UnreadableError: it has, and it is that of another.
    """
    if DIGEST not in value:
        return False
    if value[DIGEST] != _digest({name: one for name, one in value.items() if name != DIGEST}):
        raise UnreadableError(path, "it was altered: what it says has not the digest that it was written with")
    return True


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
