"""Runs the parts of an audit, and keeps each in a directory as soon as it is there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elbowroom.inference.audit.costs import NoRoom
from elbowroom.inference.audit.store import load_result, save_result
from elbowroom.inference.evaluation.clock import Clock, Spent
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.saving.state_file import StateError
from elbowroom.inference.target import Target


@dataclass
class Work:
    """Runs the parts of an audit and keeps each in a directory as soon as it is there."""

    target: Target
    state: Path | None
    fingerprint: dict[str, Any]
    pace: Pace

    def __post_init__(self) -> None:
        self.skipped: dict[str, str] = {}
        self.postponed: set[str] = set()  # parts that there was no room for

    @property
    def clock(self) -> Clock:
        return self.pace.clock

    def has(self, file: str) -> bool:
        """Whether an earlier call has finished a part."""
        path = self.path(file)
        return path is not None and path.exists()

    def path(self, name: str) -> Path | None:
        return None if self.state is None else self.state / f"{name.replace(' ', '-')}.safetensors"

    def part(self, name: str, run: Callable[[], Any], file: str | None = None) -> Any:
        """The part, read from its file (by default called after it), or run and written to it."""
        path = self.path(file or name)
        if path is not None and path.exists():
            result, seconds = load_result(path, name, self.fingerprint, self.target)
            self.clock.spend(name, seconds)
            return result
        begin = time.perf_counter()
        result = run()
        seconds = self.clock.charge(name, begin)
        if path is not None:
            save_result(path, name, self.fingerprint, (result, seconds))
        return result

    def optional(self, name: str, run: Callable[[], Any], file: str | None = None) -> Any:
        """The part, or None and the reason in `skipped` where these programs do not allow it."""
        return self.guarded(name, lambda: self.part(name, run, file))

    def guarded(self, name: str, run: Callable[[], Any]) -> Any:
        """What `run` returns, or None and the reason in `skipped`; for parts that write files of their own."""
        self.skipped.pop(name, None)
        self.postponed.discard(name)
        try:
            return run()
        except NoRoom as refusal:
            self.postponed.add(name)
            self.skipped[name] = str(refusal)
            return None
        except StateError:
            raise
        except Spent as spent:
            if spent.clock is not self.clock:
                raise
            self.skipped[name] = f"the budget of {self.clock.says(self.clock.budget)} ended before it was done"
            return None
        except (
            ValueError,
            NotImplementedError,
            torch.linalg.LinAlgError,
        ) as error:  # ProgramError and NotAReference among them
            self.skipped[name] = str(error)
            return None
