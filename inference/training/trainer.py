"""The training loop: steps, epochs, checkpoints."""

import logging
import math
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import torch
from pyro import poutine
from pyro.infer import SVI
from torch import Tensor

from elbowroom.entrances.visible import one_line
from elbowroom.inference.programs.handlers import Weigh
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.progress import Bar
from elbowroom.inference.target import Target
from elbowroom.inference.training.batches import Batches, Prepare, prepared
from elbowroom.inference.training.division import Division
from elbowroom.inference.training.epoch_state import EpochState, OnEpoch
from elbowroom.inference.training.evaluate import evaluated
from elbowroom.inference.training.nonfinite import NonFiniteError, NonFiniteStep, find_rows, report
from elbowroom.inference.training.objectives.contract import Loss
from elbowroom.inference.training.optimiser import JointOptimiser
from elbowroom.inference.training.parameters import Parameters
from elbowroom.inference.training.parts import part_of
from elbowroom.inference.training.run_directory import RunDirectory
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.signals import StopRequest, TrainingInterrupted
from elbowroom.inference.training.standing import Progress, recorded
from elbowroom.inference.training.stepping import Stepping
from elbowroom.inference.training.weighed import weighed
from elbowroom.inference.training.workers import ALONE, Workers, WorkersError, anywhere, sent

logger = logging.getLogger("elbowroom")


class Trainer:
    """Runs SVI over minibatches from wherever `progress` stands to the end.

    Args:
        model, guide: the programs.
        loss: minus the objective, summed over a minibatch.
        data_dim: batch dim of the data plate, counted from the right; None without one.
        parameters: of both programs.
        batches: the training data.
        settings: the resolved arguments.
        prepare: applied to each minibatch.
        on_epoch: called after each epoch.
        validation: the held-out data, or None.
        directory: where to save, or None.
        device: where the data are.
        compile: whether steps are replayed from a record, see `Stepping`.
        workers: who train together; each has all of the above but the directory, which is the first one's.
        num_particles: that the programs draw at once.
    """

    def __init__(
        self,
        model: Program,
        guide: Program,
        *,
        loss: Loss,
        data_dim: int | None,
        parameters: Parameters,
        batches: Batches,
        settings: Settings,
        prepare: Prepare | None,
        on_epoch: OnEpoch | None,
        validation: Target | None,
        directory: RunDirectory | None,
        device: torch.device,
        compile: bool | str = False,
        workers: Workers = ALONE,
        num_particles: int = 1,
    ) -> None:
        self.parameters, self.batches, self.settings = parameters, batches, settings
        self.prepare, self.validation, self.directory, self.device = prepare, validation, directory, device
        self.model, self.guide, self.on_epoch = model, guide, on_epoch
        self.progress = Progress()
        self.first_step = 0  # of this call
        self.best: dict[str, Tensor] = {}
        self.history: list[dict[str, Any]] = []
        self.weigh = Weigh(replace=settings.plate is not None)
        self.optimiser = JointOptimiser(
            parameters.trainable,
            settings.learning_rate,
            settings.clip_norm,
            settings.optimizer,
            settings.weight_decay,
        )
        self.num_steps = settings.num_epochs * len(batches)
        self.programs = (weighed(model, self.weigh, announce=True), weighed(guide, self.weigh, announce=False))
        self.data_dim, self.workers = data_dim, workers
        self.stop: StopRequest | None = None
        step = partial(loss.loss_and_grads, *self.programs)
        self.division: Division | None = None
        self.stepping = Stepping(
            run=lambda *batch: step(*batch) if self.division is None else self.division.run(*batch),
            parameters=parameters,
            weigh=self.weigh,
            state=self._generator,
            put_back=self._set_generator,
            compile=compile,
            num_steps=self.num_steps,
            usual_size=None if batches.one_datum else part_of(batches.batch_size, workers).size,
            varies=settings.warmup_ends(settings.num_epochs) > 0,
            tell=self._note,
            part=lambda: None if self.division is None else self.division.part,
        )
        if workers.size > 1:
            unchanged = self.stepping.as_it_was
            self.division = Division(workers, step, parameters, settings.seed, num_particles, unchanged, self._note)
        self.svi = SVI(*self.programs, self.optimiser, loss.loss, self._loss_and_grads)
        self._saved_at: int | None = None
        self._signum: int | None = None
        self._clock = time.monotonic()

    def run(self, stop: StopRequest, bar: Bar, checkpoint_seconds: float) -> None:
        """Train to the end, saving at the start, every `checkpoint_seconds`, at a signal and at the end.

        Raises:
            TrainingInterrupted, NonFiniteError, CheckpointError
        """
        self.stop = stop
        self.save()
        saved = time.monotonic()
        while self.progress.epoch < self.settings.num_epochs and self.progress.stopped is None:
            order = self.batches.order(self.progress.epoch)
            for index in order.split(self.batches.batch_size)[self.progress.step_in_epoch :]:
                self._step(index)
                if self.division is not None:
                    self.division.compare(self.progress.step, self.num_steps, self._generator())
                if self.progress.step_in_epoch == len(self.batches):
                    self._close_epoch(bar)
                bar()
                if (signum := stop.signum if self.division is None else self._signum) is not None:
                    self._interrupt(signum)
                if time.monotonic() - saved >= checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this very step."""
        self._tick()
        if self.directory is None or self._saved_at == self.progress.step:
            return
        beta = self._beta(max(self.progress.step - 1, 0))
        objective = {"loss": self.settings.loss, "beta": beta, "bound": self.settings.bound([beta])}
        progress = asdict(self.progress) | {"objective": objective}
        self.directory.save(f"step-{self.progress.step:09d}", self._tensors(), progress)
        self._saved_at = self.progress.step

    def restore(self) -> None:
        """Stand where the directory's checkpoint stands; other workers where the first one stands."""
        if self.directory is not None and self.directory.checkpoint is not None:
            checkpoint = self.directory.checkpoint
            self._stand(checkpoint.tensors, checkpoint.progress, str(checkpoint.path))
            self.progress.notes = list(dict.fromkeys(self.progress.notes + self.directory.notes))
            self.history = self.directory.history
            self._saved_at = self.progress.step
        if self.division is not None:
            state = sent(self.workers, self._tensors(), {"progress": asdict(self.progress), "history": self.history})
            if self.workers.rank:
                self._stand(state.tensors, state.said["progress"], "worker 0")
                self.history = state.said["history"]
            self.division.unshared = self.progress.unshared
        self.first_step = self.progress.step

    def divide(self, example: tuple[Tensor, ...]) -> None:
        """Before the first step: how it is divided over workers, if there are several."""
        if self.division is not None:
            weight, self.weigh.latent = self.weigh.latent, self.settings.beta
            self.division.learn(example)
            self.weigh.latent, self.progress.unshared = weight, self.division.unshared

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        tensors = {
            "parameters": self.parameters.snapshot(),
            "optimiser": self.optimiser.state_tensors(),
            "generator": self._generator(),
        }
        return tensors | ({"best": self.best} if self.best else {})

    def _stand(self, tensors: Mapping[str, dict[str, Tensor]], progress: Mapping[str, Any], source: str) -> None:
        self.parameters.load(tensors["parameters"], source)
        self.optimiser.load_state_tensors(tensors["optimiser"])
        self.best = tensors.get("best", {})
        own = {field.name for field in fields(Progress)}
        self.progress = Progress(**{k: v for k, v in progress.items() if k in own})
        self._set_generator(tensors["generator"])

    def keep_best(self) -> None:
        """Put the parameters of the best epoch into the programs."""
        self.parameters.load(self.best, "the best epoch")

    def _step(self, index: Tensor) -> None:
        progress, settings = self.progress, self.settings
        if self.division is not None:
            self.division.begin(progress.step)
        batch = self.batches.take(index)
        if self.prepare is not None:
            batch = prepared(self.prepare, batch)
        if self.division is not None:
            batch = self.division.of(batch, len(index))
        self.weigh.latent = self._beta(progress.step)
        self.optimiser.learning_rate = settings.learning_rate_at(progress.step, self.num_steps)
        self.optimiser.divisor = len(index) if settings.plate is not None else 1
        noise = self._generator()
        try:
            progress.loss_sum += self._take(batch)
        except NonFiniteStep as bad:
            raise self._non_finite(bad.what, batch, index, noise) from None
        progress.norm_sum += self.optimiser.gradient_norm
        progress.step, progress.step_in_epoch = progress.step + 1, progress.step_in_epoch + 1

    def _beta(self, step: int) -> float:
        return self.settings.beta_at(step, len(self.batches), self.settings.num_epochs)

    def _take(self, batch: tuple[Tensor, ...]) -> float:
        """A step along the gradients of a minibatch; its loss."""
        loss = self.stepping.replayed(*batch)
        if loss is None:
            return self.svi.step(*batch)
        loss = self._finite(self._whole(loss))
        self.optimiser()
        return loss

    def _loss_and_grads(self, model: Program, guide: Program, *batch: Tensor) -> float:
        return self._finite(self._whole(self.stepping.run(*batch)))

    def _whole(self, loss: float) -> float:
        """The loss of the whole minibatch, and its gradients, of those of this worker's part."""
        if self.division is None:
            return loss
        sums = self.division.add(loss, None if self.stop is None else self.stop.signum)
        self._signum, self.progress.unshared = sums.signum, self.division.unshared
        return sums.loss

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            self.optimiser.clear()
            raise NonFiniteStep("loss")
        return loss

    def _note(self, text: str) -> None:
        logger.warning(one_line(text))
        self.progress.notes.append(text)

    def _close_epoch(self, bar: Bar) -> None:
        self._tick()
        progress = self.progress
        num_terms = len(self.batches) if self.settings.plate is None else self.batches.num_data
        metrics: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "step": progress.step,
            "beta": self.weigh.latent,
            "bound": self.settings.bound(map(self._beta, range(progress.step - len(self.batches), progress.step))),
            "learning_rate": self.optimiser.learning_rate,
            "train_loss": progress.loss_sum / num_terms,
            "gradient_norm": progress.norm_sum / len(self.batches),
            "seconds": round(progress.seconds, 3),
        }
        progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
        progress.loss_sum = progress.norm_sum = 0.0
        if self.validation is not None and self._validates(progress.epoch):
            self._validate(self.validation, metrics, bar)
        if progress.notes:
            metrics["notes"], progress.notes = progress.notes, []
        self.history.append(metrics)
        if self.directory is not None:
            self.directory.append(metrics)
        if self.on_epoch is not None:
            if self._show(self.on_epoch, metrics):
                progress.stopped = progress.stopped or "on_epoch"
            self.stepping.look_again()

    def _show(self, on_epoch: OnEpoch, metrics: dict[str, Any]) -> bool:
        """Call `on_epoch`; whatever it draws, and gradients that it leaves, are not training's."""
        progress = self.progress
        state = EpochState(
            epoch=progress.epoch,
            model=self.model,
            guide=self.guide,
            metrics=deepcopy(metrics),
            beta=metrics["beta"],
            learning_rate=metrics["learning_rate"],
            best_epoch=progress.best_epoch,
            best_elbo=progress.best_elbo,
            worker=self.workers.rank,
        )
        noise, failure, ends = self._generator(), None, False
        try:
            with self.parameters.evaluating():
                ends = on_epoch(state) is True
        except BaseException as error:
            failure = error
        finally:
            self._set_generator(noise)
            self.optimiser.clear()
        if anywhere(self.workers, failure is not None):
            self.save()
            raise failure or WorkersError("on_epoch raised in another worker, and training ends in all of them")
        return anywhere(self.workers, ends)

    def _validate(self, target: Target, metrics: dict[str, Any], bar: Bar) -> None:
        with self.parameters.evaluating():
            settings = self.settings
            held_out = evaluated(target, settings.num_validation_samples, settings.seed, self.workers)
        metrics |= recorded(held_out)
        progress = self.progress
        if held_out.non_finite:
            progress.notes.append(
                f"the validation ELBO is not finite: {len(held_out.non_finite)} rows, first {held_out.non_finite[:8]}"
            )
        elif progress.best_elbo is None or held_out.elbo > progress.best_elbo:
            progress.best_epoch, progress.best_elbo = progress.epoch, held_out.elbo
            self.best = self.parameters.snapshot()
        if self.settings.has_stalled(progress.epoch, progress.best_epoch):
            progress.stopped = "patience"
        bar.note(f"epoch={progress.epoch}, elbo={held_out.elbo:.2f}")

    def _validates(self, epoch: int) -> bool:
        return epoch in (1, self.settings.num_epochs) or epoch % (self.settings.validate_every or 1) == 0

    def _interrupt(self, signum: int) -> None:
        self.save()
        where = f"after step {self.progress.step} of {self.num_steps}"
        if self.directory is not None:
            where += f"; it is saved in {self.directory.path}: continue with resume=True"
        raise TrainingInterrupted(signum, where)

    def _non_finite(
        self, what: str, batch: tuple[Tensor, ...], index: Tensor, noise: dict[str, Tensor]
    ) -> NonFiniteError:
        """The error to raise, which names the rows that bisection finds; every trial has the step's own noise."""

        def is_finite(trial: tuple[Tensor, ...], mask: Tensor) -> bool:
            self._set_generator(noise)
            try:
                inner = [1] * (-1 - (self.data_dim or -1))  # batch dims of plates inside the data plate
                with poutine.mask(mask=mask.reshape(-1, *inner)):  # type: ignore[call-overload]
                    self._finite(self.stepping.run(*trial))
                return what == "loss" or self.optimiser.is_finite()
            except NonFiniteStep:
                return False
            finally:
                self.optimiser.clear()

        positions = find_rows(batch, is_finite) if self.settings.plate is not None else []
        if self.division is not None:
            positions = self.division.of_all(positions)
        rows, progress = sorted(index[positions].tolist()), self.progress
        write = None if self.directory is None else self.directory.write
        broken = self.parameters.non_finite()
        return report(what, rows, index.tolist(), progress.epoch + 1, progress.step, broken, write)

    def _generator(self) -> dict[str, Tensor]:
        """The state of torch's global generators: the noise of training and of `prepare`."""
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _set_generator(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in states and self.device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self.device)

    def _tick(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self._clock
        self._clock = now
