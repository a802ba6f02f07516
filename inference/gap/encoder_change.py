"""What another encoder would change: overfitting to the training data, and a new guide on the same model."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.gap.result import Decomposition
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.target import Target
from elbowroom.inference.training.batches import Data
from elbowroom.inference.training.fit import fit
from elbowroom.inference.training.parameters import owner_of
from elbowroom.inference.training.result import Fit

_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class EncoderOverfitting:
    """The mean amortization gap on test data less that on training data: what the encoder has not learnt in general.

    Attributes:
        train, test: mean amortization gap of the usable data, nats.
        difference: test − train, nats.
        stderr: over data and estimation: √(Var train / n + Var test / m); the variances of the estimates contain the
            errors of estimating them.
        interval: 95 %.
        num_train, num_test: data that entered.
    """

    train: float
    test: float
    difference: float
    stderr: float
    interval: tuple[float, float]
    num_train: int
    num_test: int

    def __str__(self) -> str:
        low, high = self.interval
        told = (
            f"amortization costs {self.test:.2f} nats on test data and {self.train:.2f} on training data: "
            f"{self.difference:+.2f} (95 % interval {low:.2f} … {high:.2f})"
        )
        if low > 0:
            return (
                f"{told}. The encoder overfits: it finds q for data that it was trained on and less well for new ones"
            )
        if high < 0:
            return f"{told}. The encoder is worse on the training data: are the two sets drawn alike?"
        return f"{told}. No overfitting of the encoder is seen"


def encoder_overfitting(train: Decomposition, test: Decomposition) -> EncoderOverfitting:
    """Compare the amortization gaps of training and test data (two independent samples; Cremer et al. 2018).

    Args:
        train, test: decompositions of the same programs and family; data whose encoder output has exploded stay out.

    Raises:
        ValueError: if the families differ, or a side has fewer than two usable data.
    """
    if train.family != test.family:
        raise ValueError(
            f"train was decomposed with family {train.family!r}, test with {test.family!r}: "
            "give both decompositions the same, decompose(..., family=...)"
        )
    gaps = [d.amortization.value[d.usable].double() for d in (train, test)]
    for name, gap in zip(("train", "test"), gaps, strict=True):
        if len(gap) < 2:
            raise ValueError(f"{name} has {len(gap)} usable data, a difference of means needs at least 2 on each side")
    low, high = (float(gap.mean()) for gap in gaps)
    stderr = math.sqrt(sum(float(gap.var()) / len(gap) for gap in gaps))
    times = _student_95(gaps[0], gaps[1])
    difference = high - low
    interval = (difference - times * stderr, difference + times * stderr)
    return EncoderOverfitting(low, high, difference, stderr, interval, len(gaps[0]), len(gaps[1]))


@dataclass(frozen=True)
class RetrainedGuide:
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

    def __str__(self) -> str:
        low, high = self.interval
        told = f"the new guide's ELBO is {self.mean:+.2f} nats a datum (95 % interval {low:.2f} … {high:.2f})"
        if low > 0:
            return f"{told}: this much of the gap was the old encoder's"
        if high < 0:
            return f"{told}: the old guide is better. Train longer (num_epochs), or with another learning rate"
        return f"{told}: no gain is seen"


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
    with _frozen(target) as model:
        before = _elbo(target, num_samples, seed, memory_bytes)
        run = fit(model, guide, x_train, plate=target.plate, seed=seed, progress=progress, **options)
        module = owner_of(guide)
        if module is not None:
            module.eval()
        retrained = Target(target.model, guide, *target.args, plate=target.plate, **target.kwargs)
        after = _elbo(retrained, num_samples, seed + 1, memory_bytes)
    gain = Estimate(after.value - before.value, torch.hypot(after.stderr, before.stderr), "none")
    finite = gain.value[gain.value.isfinite()].double()
    mean = float(finite.mean())
    stderr = float(finite.std() / len(finite) ** 0.5) if len(finite) > 1 else math.inf
    times = _student_95(finite) if len(finite) > 1 else _NORMAL_95
    interval = (mean - times * stderr, mean + times * stderr)
    return RetrainedGuide(guide, retrained, run, before, after, gain, mean, stderr, interval)


def _elbo(target: Target, num_samples: int, seed: int, memory_bytes: int | None) -> Estimate:
    info = importance(target, num_samples=num_samples, seed=seed, memory_bytes=memory_bytes).info
    return Estimate(info["elbo"], info["elbo_stderr"], "lower")


def _student_95(*samples: Tensor) -> float:
    """The 97.5 % point of Student's t with the degrees of freedom of Welch (1947) for means of these samples."""
    from scipy.stats import t

    parts = [float(s.var()) / len(s) for s in samples]
    if sum(parts) == 0:
        return _NORMAL_95
    freedom = sum(parts) ** 2 / sum(p**2 / (len(s) - 1) for p, s in zip(parts, samples, strict=True))
    return float(t.ppf(0.975, freedom))


def _check_apart(model: Program, guide: Program) -> None:
    """Raise ValueError if training the guide would train the model's parameters."""
    owners = owner_of(model), owner_of(guide)
    if owners[0] is None or owners[1] is None:
        return
    known = {id(p): name for name, p in owners[0].named_parameters()}
    shared = [name for name, p in owners[1].named_parameters() if id(p) in known]
    if shared:
        raise ValueError(
            f"the guide shares the parameters {shared[:6]} with the model, which must stay as it is: "
            "give the new guide an encoder of its own"
        )


@contextmanager
def _frozen(target: Target) -> Iterator[Program]:
    """The model, in evaluation mode, with parameters that require no gradient and that nobody outside can see."""
    module = owner_of(target.model)
    modes = [(m, m.training) for m in module.modules()] if module is not None else []
    state: list[tuple[Tensor, bool, Tensor | None]] = []

    def model(*args: Any, **kwargs: Any) -> Any:
        # No module and no parameter statements: nothing of the model is moved, saved or loaded with the guide.
        with poutine.block(hide_types=["param"]):
            return target.model(*args, **kwargs)

    try:
        for m, _ in modes:
            m.training = False  # batch statistics are the model's too
        own = list(module.parameters()) if module is not None else []
        parameters = {id(p): p for p in (*own, *_stated(target))}.values()
        state += [(p, p.requires_grad, p.grad) for p in parameters]
        for p in parameters:
            p.requires_grad_(False)
        with warnings.catch_warnings():
            # pyro.module says that it leaves out what requires no gradient: as it should.
            warnings.filterwarnings("ignore", message=".*was not registered in the param store", category=UserWarning)
            yield model
    finally:
        for p, required, gradient in state:
            p.requires_grad_(required)
            p.grad = gradient
        for m, training in modes:
            m.training = training


def _stated(target: Target) -> list[Tensor]:
    """The leaf tensors behind the model's parameter statements."""
    seen = poutine.trace(target.model, param_only=True)
    with quiet_globals(target.args), torch.no_grad():
        statements = seen.get_trace(*target.args, **target.kwargs).nodes.values()
    values: list[Any] = [site["value"] for site in statements if site["type"] == "param"]
    return [value.unconstrained() if hasattr(value, "unconstrained") else value for value in values]
