"""What another encoder would buy: a new guide trained beneath the same model."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from elbowroom.entrances import checked
from elbowroom.inference.estimate import NORMAL_95, Estimate
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.gap.overfitting import student_95
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.showing.numbers import flagged_first, in_short, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target
from elbowroom.inference.training.batches import Data, as_tensors
from elbowroom.inference.training.fit import fit
from elbowroom.inference.training.frozen_model import frozen_model
from elbowroom.inference.training.parameters import owner_of
from elbowroom.inference.training.result import Fit


@dataclass(frozen=True, repr=False)
class RetrainedGuide(Shown):
    """A new guide trained beneath the same model, and what it gained on the target's data.

    Attributes:
        guide: the guide that was trained (the caller's object).
        target: the model and data of the old target with it.
        fit: the training run.
        before, after: ELBO of each datum, `[B]`, nats.
        gain: after − before, `[B]`, nats.
        mean: mean gain of the data that are finite on both sides, nats.
        stderr: of the mean, data taken as a sample: sd of the paired gains / √B (the errors of estimation are in it).
        interval: 95 %.
    """

    guide: Program
    target: Target
    fit: Fit
    before: Estimate
    after: Estimate
    gain: Estimate
    mean: float
    stderr: float
    interval: tuple[float, float]

    def as_table(self) -> Table:
        """The mean gain in a sentence, and the data that lost most, or whose ELBOs are not finite."""
        low, high = self.interval
        gain = f"the new guide's ELBO is {self.mean:+.2f} nats a datum (95 % interval {low:.2f} … {high:.2f})"
        parts = (self.before, self.after, self.gain)
        rows = [
            (str(b), *(with_error(float(e.value[b]), float(e.stderr[b])) for e in parts), self.gain.flags[b])
            for b in flagged_first(self.gain.flags, -self.gain.value)
        ]
        columns = ("datum", "ELBO before (nats)", "ELBO after (nats)", "gain (nats)", "flag")
        return Table(
            (gain, *in_short(self.before.unnormalised), self._meaning()), columns, ">>>><", rows, len(self.gain)
        )

    def _meaning(self) -> str:
        low, high = self.interval
        if low > 0:
            return "This much of the gap was the old encoder's"
        if high < 0:
            return "The old guide is better. Train longer (num_epochs), or with another learning rate"
        return "No gain is seen"


@checked
def retrain_guide(
    target: Target,
    guide: Program,
    x_train: Data,
    *,
    num_samples: int = 512,
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: bool = False,
    **options: Any,
) -> RetrainedGuide:
    """What another encoder would buy: train `guide` with the model's parameters frozen, compare on the target's data.

    The model is not changed by a bit: its parameters require no gradient while the guide is trained, and are put back
    after, on errors too. Both ELBOs are estimated on draws of their own; the interval is that of paired differences.

    Args:
        target: the old pair and the data on which the guides are compared (test data for an honest answer).
        guide: a new Pyro guide for the same model, for example a wider encoder. It is trained in place.
        x_train: training data as `fit` takes them: observations, or a tuple of tensors.
        num_samples: draws that each ELBO is estimated on, for each datum.
        seed: of training and of the draws.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show progress bars.
        **options: of `fit`: num_epochs, batch_size, learning_rate, schedule, validation, …

    Returns:
        RetrainedGuide.

    Raises:
        ValueError: fewer than 2 samples; the guide has nothing to train or shares a parameter with the model.
    """
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2 (an error bar), got {num_samples}")
    _check_apart(target.model, guide)
    _check_rows(target, x_train)
    with frozen_model(target) as model:
        before = _elbo(target, num_samples, seed, memory_bytes)
        run = fit(model, guide, x_train, plate=target.plate, seed=seed, progress=progress, **options)
        module = owner_of(guide)
        if module is not None:
            module.eval()
        retrained = Target(
            target.model, guide, *target.args, plate=target.plate, per_datum=target.per_datum, **target.kwargs
        )
        after = _elbo(retrained, num_samples, seed + 1, memory_bytes)
    gain = Estimate(after.value - before.value, torch.hypot(after.stderr, before.stderr), "none")
    finite = gain.value[gain.value.isfinite()].double()
    mean = float(finite.mean())
    stderr = float(finite.std() / len(finite) ** 0.5) if len(finite) > 1 else math.inf
    times = student_95(finite) if len(finite) > 1 else NORMAL_95
    interval = (mean - times * stderr, mean + times * stderr)
    return RetrainedGuide(guide, retrained, run, before, after, gain, mean, stderr, interval)


def _elbo(target: Target, num_samples: int, seed: int, memory_bytes: int | None) -> Estimate:
    """The guide's ELBO of each datum."""
    info = importance(target, num_samples=num_samples, seed=seed, memory_bytes=memory_bytes, search=False).info
    return Estimate(info["elbo"], info["elbo_stderr"], "lower", unnormalised=target.unnormalised)


def _check_rows(target: Target, x_train: Data) -> None:
    """Raise ValueError or TypeError unless a training datum has the form of the target's data."""
    tensors = as_tensors("x_train", x_train, target.device, one_datum=target.plate is None)
    for given, pinned in zip(tensors, target.data, strict=False):
        if target.plate is not None and given.shape[1:] != pinned.shape[1:]:
            raise ValueError(
                f"x_train must hold data as the target's, {tuple(pinned.shape[1:])} each, got {tuple(given.shape)}"
            )


def _check_apart(model: Program, guide: Program) -> None:
    """Raise ValueError if training the guide would train the model's parameters."""
    owners = owner_of(model), owner_of(guide)
    if owners[0] is None or owners[1] is None:
        return
    of_model = {id(p) for p in owners[0].parameters()}
    shared = [name for name, p in owners[1].named_parameters() if id(p) in of_model]
    if shared:
        raise ValueError(
            f"the guide shares the parameters {shared[:6]} with the model, which must stay as it is: "
            "give the new guide an encoder of its own"
        )
