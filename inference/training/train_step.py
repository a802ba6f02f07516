"""A step of training: a minibatch, its loss and gradients, and the optimiser along them."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pyro import poutine
from pyro.infer import SVI
from torch import Tensor

from elbowroom.inference.programs.handlers import Weigh
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.batches import Batches, Prepare, prepared
from elbowroom.inference.training.division import Division
from elbowroom.inference.training.nonfinite import NonFiniteError, NonFiniteStep, find_rows, report
from elbowroom.inference.training.objectives.contract import Loss
from elbowroom.inference.training.parts import part_of
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.signals import StopRequest
from elbowroom.inference.training.stepping import Stepping
from elbowroom.inference.training.train_state import TrainState
from elbowroom.inference.training.weighed import weighed
from elbowroom.inference.training.workers import Workers


class TrainStep:
    """Takes steps of SVI from wherever the state stands.

    Args:
        model, guide: the programs.
        state: where training stands; each step moves it on.
        loss: minus the objective, summed over a minibatch.
        data_dim: batch dim of the data plate, counted from the right; None without one.
        batches: the training data.
        settings: the resolved arguments.
        prepare: applied to each minibatch.
        stop: notes signals.
        write: writes a JSON file of the run, None where nothing is written.
        compile: whether steps are replayed from a record, see `Stepping`.
        workers: who train together.
        num_particles: that the programs draw at once.

    Attributes:
        num_steps: of the whole run.
        stepping: how loss and gradients are had.
        signum: of a signal that asks to stop, the same in every worker after a step; or None.
    """

    def __init__(
        self,
        model: Program,
        guide: Program,
        state: TrainState,
        *,
        loss: Loss,
        data_dim: int | None,
        batches: Batches,
        settings: Settings,
        prepare: Prepare | None,
        stop: StopRequest,
        write: Callable[[str, Any], Path] | None,
        compile: bool | str,
        workers: Workers,
        num_particles: int,
    ) -> None:
        self.state, self.data_dim, self.batches, self.settings = state, data_dim, batches, settings
        self.prepare, self.stop, self.write = prepare, stop, write
        self.num_steps = settings.num_epochs * len(batches)
        self.weigh = Weigh(replace=settings.plate is not None)
        programs = (weighed(model, self.weigh, announce=True), weighed(guide, self.weigh, announce=False))
        self._by_programs = partial(loss.loss_and_grads, *programs)
        self.division: Division | None = None
        self.stepping = Stepping(
            run=self._run,
            parameters=state.parameters,
            weigh=self.weigh,
            generators=state.generators,
            compile=compile,
            num_steps=self.num_steps,
            usual_size=None if batches.one_datum else part_of(batches.batch_size, workers).size,
            varies=settings.warmup_ends(settings.num_epochs) > 0,
            tell=state.note,
            part=lambda: None if self.division is None else self.division.part,
        )
        if workers.size > 1:
            unchanged, parameters = self.stepping.as_it_was, state.parameters
            self.division = Division(
                workers, self._by_programs, parameters, settings.seed, num_particles, unchanged, state.note
            )
        self.svi = SVI(*programs, state.optimiser, loss.loss, self._loss_and_grads)
        self._signum: int | None = None

    def divide(self, example: tuple[Tensor, ...]) -> None:
        """Before the first step: how it is divided over workers, if there are several."""
        if self.division is not None:
            weight, self.weigh.latent = self.weigh.latent, self.settings.beta
            self.division.unshared = self.state.progress.unshared
            self.division.learn(example)
            self.weigh.latent, self.state.progress.unshared = weight, self.division.unshared

    def __call__(self, index: Tensor) -> None:
        """Take a step along the gradients of the minibatch of some rows `[b]`.

        Raises:
            NonFiniteError: the loss or a gradient is NaN or infinite; no parameter was changed.
            WorkersError: another worker has ended, or holds other parameters.
        """
        state, settings, progress = self.state, self.settings, self.state.progress
        if self.division is not None:
            self.division.begin(progress.step)
        batch = self.batches.take(index)
        if self.prepare is not None:
            batch = prepared(self.prepare, batch)
        if self.division is not None:
            batch = self.division.of(batch, len(index))
        self.weigh.latent = self.beta_at(progress.step)
        state.optimiser.learning_rate = settings.learning_rate_at(progress.step, self.num_steps)
        state.optimiser.divisor = len(index) if settings.plate is not None else 1
        noise = state.generators.state()
        try:
            progress.loss_sum += self._take(batch)
        except NonFiniteStep as bad:
            raise self._non_finite(bad.what, batch, index, noise) from None
        progress.norm_sum += state.optimiser.gradient_norm
        progress.step, progress.step_in_epoch = progress.step + 1, progress.step_in_epoch + 1
        if self.division is not None:
            self.division.compare(progress.step, self.num_steps, state.generators.state())

    @property
    def signum(self) -> int | None:
        """Of a signal that asks to stop: of several workers one that all of them know of."""
        return self.stop.signum if self.division is None else self._signum

    def beta_at(self, step: int) -> float:
        """β of step 0, 1, …"""
        return self.settings.beta_at(step, len(self.batches), self.settings.num_epochs)

    def _take(self, batch: tuple[Tensor, ...]) -> float:
        """A step along the gradients of a minibatch; its loss."""
        loss = self.stepping.replayed(*batch)
        if loss is None:
            return self.svi.step(*batch)
        loss = self._finite(self._whole(loss))
        self.state.optimiser()
        return loss

    def _loss_and_grads(self, model: Program, guide: Program, *batch: Tensor) -> float:
        return self._finite(self._whole(self.stepping.run(*batch)))

    def _run(self, *batch: Tensor) -> float:
        """Loss and gradients of a minibatch, or of this worker's part of it, by the programs."""
        return self._by_programs(*batch) if self.division is None else self.division.run(*batch)

    def _whole(self, loss: float) -> float:
        """The loss of the whole minibatch, and its gradients, of those of this worker's part."""
        if self.division is None:
            return loss
        sums = self.division.add(loss, self.stop.signum)
        self._signum, self.state.progress.unshared = sums.signum, self.division.unshared
        return sums.loss

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            self.state.optimiser.clear()
            raise NonFiniteStep("loss")
        return loss

    def _non_finite(
        self, what: str, batch: tuple[Tensor, ...], index: Tensor, noise: dict[str, Tensor]
    ) -> NonFiniteError:
        """The error to raise, which names the rows that bisection finds."""
        by_row = self.settings.plate is not None
        positions = find_rows(batch, partial(self._is_finite, what, noise)) if by_row else []
        if self.division is not None:
            positions = self.division.of_all(positions)
        rows, progress = sorted(index[positions].tolist()), self.state.progress
        broken = self.state.parameters.non_finite()
        return report(what, rows, index.tolist(), progress.epoch + 1, progress.step, broken, self.write)

    def _is_finite(self, what: str, noise: dict[str, Tensor], trial: tuple[Tensor, ...], mask: Tensor) -> bool:
        """Whether the loss (or else the gradients) is finite for a masked minibatch, with the step's own noise."""
        self.state.generators.put_back(noise)
        inner = [1] * (-1 - (self.data_dim or -1))  # batch dims of plates inside the data plate
        try:
            with poutine.mask(mask=mask.reshape(-1, *inner)):  # type: ignore[call-overload]
                loss = self.stepping.run(*trial)
            return math.isfinite(loss) and (what == "loss" or self.state.optimiser.is_finite())
        finally:
            self.state.optimiser.clear()
