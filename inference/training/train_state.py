"""Where training stands: what a checkpoint holds, and all that a resumed run needs."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from elbowroom.entrances.visible import one_line
from elbowroom.inference.training.generators import Generators
from elbowroom.inference.training.optimiser import JointOptimiser
from elbowroom.inference.training.parameters import Parameters

logger = logging.getLogger("elbowroom")


@dataclass
class Progress:
    """The numbers of where training stands, as JSON holds them."""

    epoch: int = 0  # epochs completed
    step_in_epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0  # over the current epoch, in nats
    norm_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_elbo: float | None = None
    notes: list[str] = field(default_factory=list)  # for the metrics of the next epoch
    stopped: str | None = None  # what ended training before its last epoch
    unshared: str = ""  # why each of several workers has noise of its own


@dataclass
class TrainState:
    """The numbers, and the tensors: parameters, the optimiser's moments, the generators' states.

    Attributes:
        parameters: of both programs.
        optimiser: over all of them.
        generators: torch's global ones.
        progress: the numbers.
        best: copies of the parameters of the epoch with the highest validation ELBO; empty before the first.
    """

    parameters: Parameters
    optimiser: JointOptimiser
    generators: Generators
    progress: Progress = field(default_factory=Progress)
    best: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Copies of all tensors, in groups."""
        tensors = {
            "parameters": self.parameters.snapshot(),
            "optimiser": self.optimiser.state_tensors(),
            "generator": self.generators.state(),
        }
        return tensors | ({"best": self.best} if self.best else {})

    def load(self, tensors: Mapping[str, dict[str, Tensor]], progress: Mapping[str, Any], source: str) -> None:
        """Stand where others stood.

        Args:
            tensors: as `tensors` gave them.
            progress: the numbers by name; names that are none of `Progress` are passed over.
            source: what errors call them.

        Raises:
            ValueError: the parameters have other names, shapes or dtypes.
        """
        self.parameters.load(tensors["parameters"], source)
        self.optimiser.load_state_tensors(tensors["optimiser"])
        self.best = tensors.get("best", {})
        own = {field.name for field in fields(Progress)}
        self.progress = Progress(**{k: v for k, v in progress.items() if k in own})
        self.generators.put_back(tensors["generator"])

    def keep_best(self) -> None:
        """Put the parameters of the best epoch into the programs."""
        self.parameters.load(self.best, "the best epoch")

    def note(self, text: str) -> None:
        """Log what should be known of the run, and keep it for the metrics of the epoch."""
        logger.warning(one_line(text))
        self.progress.notes.append(text)
