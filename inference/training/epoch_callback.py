"""`on_epoch` is called: it sees the programs, and leaves no trace in training but its answer."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.epoch_state import EpochState, OnEpoch
from elbowroom.inference.training.train_state import TrainState
from elbowroom.inference.training.workers import Workers, WorkersError, anywhere


@dataclass(frozen=True)
class EpochCallback:
    """The caller's function, and what it is shown.

    Attributes:
        on_epoch: the function.
        model, guide: the programs as they were given to `fit`.
        workers: who train together; each calls it.
    """

    on_epoch: OnEpoch
    model: Program
    guide: Program
    workers: Workers

    def ends(self, state: TrainState, metrics: dict[str, Any], save: Callable[[], None]) -> bool:
        """Whether training ends here, in any worker's view. What it draws, and gradients that it leaves, are undone.

        Args:
            state: where training stands.
            metrics: of the epoch.
            save: writes a checkpoint, before an error is raised.

        Raises:
            Whatever `on_epoch` raises; WorkersError where it did so in another worker.
        """
        shown = self._shown(state, metrics)
        noise, failure, ends = state.generators.state(), None, False
        try:
            with state.parameters.evaluating():
                ends = self.on_epoch(shown) is True
        except BaseException as error:
            failure = error
        finally:
            state.generators.put_back(noise)
            state.optimiser.clear()
        if anywhere(self.workers, failure is not None):
            save()
            raise failure or WorkersError("on_epoch raised in another worker, and training ends in all of them")
        return anywhere(self.workers, ends)

    def _shown(self, state: TrainState, metrics: dict[str, Any]) -> EpochState:
        return EpochState(
            epoch=state.progress.epoch,
            model=self.model,
            guide=self.guide,
            metrics=deepcopy(metrics),
            beta=metrics["beta"],
            learning_rate=metrics["learning_rate"],
            best_epoch=state.progress.best_epoch,
            best_elbo=state.progress.best_elbo,
            worker=self.workers.rank,
        )
