"""The training loop: epochs of steps, what is done at the end of each, and checkpoints."""

import time
from dataclasses import asdict
from typing import Any

from elbowroom.inference.progress import Bar
from elbowroom.inference.training.batches import Batches
from elbowroom.inference.training.epoch_callback import EpochCallback
from elbowroom.inference.training.run_directory import RunDirectory
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.signals import TrainingInterrupted
from elbowroom.inference.training.train_state import TrainState
from elbowroom.inference.training.train_step import TrainStep
from elbowroom.inference.training.validation import Validation, metrics_of
from elbowroom.inference.training.workers import Workers, sent


class Trainer:
    """Takes steps over minibatches from wherever the state stands to the end.

    Args:
        state: where training stands.
        step: moves it on by a minibatch.
        batches: the training data.
        settings: the resolved arguments.
        validation: of the held-out data, or None.
        callback: asked after each epoch, or None.
        directory: where to save, or None.
        workers: who train together; each has all of the above but the directory, which is the first one's.

    Attributes:
        history: the metrics of each epoch.
        first_step: of this call.
    """

    def __init__(
        self,
        state: TrainState,
        step: TrainStep,
        *,
        batches: Batches,
        settings: Settings,
        validation: Validation | None,
        callback: EpochCallback | None,
        directory: RunDirectory | None,
        workers: Workers,
    ) -> None:
        self.state, self.step, self.batches, self.settings = state, step, batches, settings
        self.validation, self.callback, self.directory, self.workers = validation, callback, directory, workers
        self.history: list[dict[str, Any]] = []
        self.first_step = 0
        self._saved_at: int | None = None
        self._clock = time.monotonic()

    def run(self, bar: Bar, checkpoint_seconds: float) -> None:
        """Train to the end, saving at the start, every `checkpoint_seconds`, at a signal and at the end.

        Raises:
            TrainingInterrupted, NonFiniteError, CheckpointError
        """
        progress = self.state.progress
        self.save()
        saved = time.monotonic()
        while progress.epoch < self.settings.num_epochs and progress.stopped is None:
            order = self.batches.order(progress.epoch)
            for index in order.split(self.batches.batch_size)[progress.step_in_epoch :]:
                self.step(index)
                if progress.step_in_epoch == len(self.batches):
                    self._close_epoch(bar)
                bar()
                if (signum := self.step.signum) is not None:
                    self._interrupt(signum)
                if time.monotonic() - saved >= checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this very step."""
        self._tick()
        progress = self.state.progress
        if self.directory is None or self._saved_at == progress.step:
            return
        beta = self.step.beta_at(max(progress.step - 1, 0))
        objective = {"loss": self.settings.loss, "beta": beta, "bound": self.settings.bound([beta])}
        said = asdict(progress) | {"objective": objective}
        self.directory.save(f"step-{progress.step:09d}", self.state.tensors(), said)
        self._saved_at = progress.step

    def restore(self) -> None:
        """Stand where the directory's checkpoint stands; other workers where the first one stands."""
        state, directory = self.state, self.directory
        if directory is not None and directory.checkpoint is not None:
            checkpoint = directory.checkpoint
            state.load(checkpoint.tensors, checkpoint.progress, str(checkpoint.path))
            state.progress.notes = list(dict.fromkeys(state.progress.notes + directory.notes))
            self.history = directory.history
            self._saved_at = state.progress.step
        if self.workers.size > 1:
            first = sent(self.workers, state.tensors(), {"progress": asdict(state.progress), "history": self.history})
            if self.workers.rank:
                state.load(first.tensors, first.said["progress"], "worker 0")
                self.history = first.said["history"]
        self.first_step = state.progress.step

    def _close_epoch(self, bar: Bar) -> None:
        self._tick()
        progress, metrics = self.state.progress, self._metrics()
        progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
        progress.loss_sum = progress.norm_sum = 0.0
        if self.validation is not None and self.validation.is_due(progress.epoch):
            held_out = self.validation.run(self.state)
            metrics |= metrics_of(held_out)
            bar.note(f"epoch={progress.epoch}, elbo={held_out.elbo:.2f}")
        if progress.notes:
            metrics["notes"], progress.notes = progress.notes, []
        self.history.append(metrics)
        if self.directory is not None:
            self.directory.append(metrics)
        if self.callback is not None:
            if self.callback.ends(self.state, metrics, self.save):
                progress.stopped = progress.stopped or "on_epoch"
            self.step.stepping.look_again()

    def _metrics(self) -> dict[str, Any]:
        """Of the steps of the epoch that ends."""
        progress, num_batches = self.state.progress, len(self.batches)
        num_terms = num_batches if self.settings.plate is None else self.batches.num_data
        steps = range(progress.step - num_batches, progress.step)
        return {
            "epoch": progress.epoch + 1,
            "step": progress.step,
            "beta": self.step.beta_at(steps[-1]),
            "bound": self.settings.bound(map(self.step.beta_at, steps)),
            "learning_rate": self.state.optimiser.learning_rate,
            "train_loss": progress.loss_sum / num_terms,
            "gradient_norm": progress.norm_sum / num_batches,
            "seconds": round(progress.seconds, 3),
        }

    def _interrupt(self, signum: int) -> None:
        self.save()
        where = f"after step {self.state.progress.step} of {self.step.num_steps}"
        if self.directory is not None:
            where += f"; it is saved in {self.directory.path}: continue with resume=True"
        raise TrainingInterrupted(signum, where)

    def _tick(self) -> None:
        now = time.monotonic()
        self.state.progress.seconds += now - self._clock
        self._clock = now
