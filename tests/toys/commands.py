"""What tests of commands share: a shell's view of a command, small options, the trained programs."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from elbowroom.datasets import load
from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, load_checkpoint
from elbowroom.models import VAE
from toys.strict_json import read_json, strict_json

ELBOWROOM = Path(sys.executable).with_name("elbowroom")
SMALL = ("--training.epochs=3", "--training.batch_size=32", "--programs.hidden=[8]", "--programs.encoder_hidden=[8]")
"""Options of a run that takes a fraction of a second."""


@dataclass(frozen=True)
class Result:
    """What a shell sees of a command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The whole of stdout as strict JSON, of a command that has done its work and complained of nothing."""
        assert (self.code, self.err) == (0, ""), self
        return strict_json(self.out)

    def refused(self, *told: str) -> bool:
        """Whether it ended with exit code 3 and, last on stderr, one line that holds all of `told`."""
        said = re.findall(r"^elbowroom(?: \w+)?: (.*\n)\Z", self.err, re.MULTILINE)
        return self.code == 3 and len(said) == 1 and "Traceback" not in self.err and all(t in said[0] for t in told)


Run = Callable[..., Result]
"""Runs a command line: the fixture `run`."""


def parameters(run: Path, which: str = "parameters") -> dict[str, Tensor]:
    """The parameters in a run's checkpoint."""
    place = run / "checkpoints" / read_json(run / "last.json")["checkpoint"]
    return safetensors.torch.load_file(place / f"{which}.safetensors")


def metrics(run: Path) -> list[dict[str, Any]]:
    """A run's metrics without the time they took."""
    rows = [strict_json(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def the_target(run: Path, which: str = "last") -> Target:
    """The trained programs and test data of the fixture `trained`, put together without the command line."""
    model = VAE(9, 2, (8,), activation="softplus")
    guide = AmortizedNormal(9, 2, (8,), activation="softplus")
    load_checkpoint(run, model, guide, which=which)
    return Target(model.eval(), guide.eval(), load(run.parent / "pixels.npy", binarize="threshold").test)
