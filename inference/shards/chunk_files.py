"""The file of a chunk: its columns, sealed with a digest and with that of the plan it belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from elbowroom.inference.saving.places import Place
from elbowroom.inference.saving.state_file import StateError, parse_state, state_bytes
from elbowroom.inference.shards.columns import Columns
from elbowroom.inference.shards.plan import Plan

FOLDER = "chunks"
_ENDING = ".safetensors"
_KIND = "shard"
_ADVICE = re.compile(r": (?:remove|give)|\. Give")
"""Where a message goes on to say what to do."""


@dataclass(frozen=True)
class ChunkFiles:
    """The files of finished chunks.

    Attributes:
        place: where they are.
        plan: what they belong to.
    """

    place: Place
    plan: Plan

    def write(self, chunk: int, columns: Columns, made: Mapping[str, Any]) -> int:
        """Write a chunk, whole or not at all, and return its bytes.

        Args:
            chunk: which.
            columns: of its data.
            made: by what and in how many seconds.
        """
        content = self.content(chunk, columns, made)
        self.place.write(_file(chunk), content)
        return len(content)

    def content(self, chunk: int, columns: Columns, made: Mapping[str, Any]) -> bytes:
        """What is written: texts as the few that say something, with their rows."""
        texts = {
            name: [[row, text] for row, text in enumerate(column) if text] for name, column in columns.texts.items()
        }
        record = {"texts": texts, "constants": columns.constants, "made": dict(made)}
        return state_bytes(_KIND, self._fingerprint(chunk), dict(columns.numbers), record)

    def read(self, chunk: int) -> tuple[Columns, dict[str, Any]]:
        """A chunk's columns, and by what it was made.

        Raises:
            StateError: if it is damaged, or belongs to another plan.
            FileNotFoundError: if it is not there.
        """
        said = f"{self.place.name}/{_file(chunk)}"
        record, numbers = parse_state(self.place.read(_file(chunk)), _KIND, self._fingerprint(chunk), said)
        begin, end = self.plan.rows(chunk)
        if any(column.shape != (end - begin,) for column in numbers.values()):
            raise StateError(f"{said} has not the {end - begin} data of its chunk: remove it to begin anew")
        texts = {name: _filled(rows, end - begin) for name, rows in record["texts"].items()}
        constants = {name: tuple(values) for name, values in record["constants"].items()}
        return Columns(numbers, texts, constants), record["made"]

    def why_redone(self, chunk: int) -> str | None:
        """None of a finished chunk; "" of one that is not there; else what is wrong with its file."""
        try:
            self.read(chunk)
        except FileNotFoundError:
            return ""
        except StateError as error:
            return _ADVICE.split(str(error))[0]  # it is evaluated again, without anybody's doing
        return None

    def there(self) -> dict[int, float | None]:
        """The chunks that have a file, whole or not, and when each was written."""
        named = {name.removesuffix(_ENDING): when for name, when in self.place.names(FOLDER).items()}
        found = {int(name): when for name, when in named.items() if name.isdigit()}
        return {chunk: when for chunk, when in sorted(found.items()) if chunk < self.plan.num_chunks}

    def _fingerprint(self, chunk: int) -> dict[str, Any]:
        return {"plan": self.plan.digest, "chunk": chunk}


def made_by(device: torch.device) -> dict[str, Any]:
    """What the last bits of numbers may depend on."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "device": f"{device.type} {kind}", "threads": torch.get_num_threads()}


def _filled(rows: list[list[Any]], size: int) -> tuple[str, ...]:
    texts = [""] * size
    for row, text in rows:
        texts[row] = text
    return tuple(texts)


def _file(chunk: int) -> str:
    return f"{FOLDER}/{chunk:08d}{_ENDING}"
