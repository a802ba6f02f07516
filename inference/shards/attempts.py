"""How often a chunk was begun without being finished, and why: a small file for each chunk in trouble.

It is written before a chunk is begun and removed when it is finished, so a worker that dies leaves it behind with an
attempt that has no end: a chunk that kills its worker is known, too.
"""

import json
from dataclasses import dataclass

from elbowroom.inference.saving.places import Place

MOST = 3
"""Attempts at a chunk, after which it is left out."""

DIED = "its worker died, or is at it"
"""Why an attempt that never ended did not end well."""

_FOLDER = "attempts"
_LONGEST = 500  # characters of a reason


@dataclass(frozen=True)
class Attempts:
    """The attempts that were made at chunks."""

    place: Place

    def reasons(self, chunk: int) -> list[str]:
        """Why each attempt at a chunk ended, in order; `DIED` for one without an end."""
        try:
            return [str(one) or DIED for one in json.loads(self.place.read(_file(chunk)))]
        except (FileNotFoundError, ValueError):
            return []

    def all(self) -> dict[int, list[str]]:
        """Chunk -> reasons, of all chunks in trouble."""
        chunks = (name.removesuffix(".json") for name in self.place.names(_FOLDER))
        found = {int(name): self.reasons(int(name)) for name in chunks if name.isdigit()}
        return {chunk: reasons for chunk, reasons in sorted(found.items()) if reasons}

    def begin(self, chunk: int) -> None:
        """One more attempt begins."""
        self._write(chunk, [*self.reasons(chunk), ""])

    def fail(self, chunk: int, error: BaseException) -> None:
        """The last attempt has ended with an error."""
        said = f"{type(error).__name__}: {error}".split("\n")[0][:_LONGEST]
        self._write(chunk, [*self.reasons(chunk)[:-1], said])

    def undo(self, chunk: int) -> None:
        """The last attempt was called off, and does not count."""
        before = self.reasons(chunk)[:-1]
        if before:
            self._write(chunk, before)
        else:
            self.clear(chunk)

    def clear(self, chunk: int) -> None:
        """The chunk is finished, or is to have all its attempts again."""
        self.place.remove(_file(chunk))

    def _write(self, chunk: int, reasons: list[str]) -> None:
        said = ["" if reason == DIED else reason for reason in reasons]
        self.place.write(_file(chunk), json.dumps(said).encode())


def _file(chunk: int) -> str:
    return f"{_FOLDER}/{chunk:08d}.json"
