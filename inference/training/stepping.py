"""How a step's loss and gradients are had: by running the programs, or by replaying what they were seen to do.

A record gives the same bits as a run: it is held against one when it is made, where the parameters are others and the
data have changed places, again after 1, 10, 100, … steps, and after each `on_epoch`, which may have changed the
programs. Programs that cannot be recorded (they branch on values, or leave torch on the way) are run, as they always
were.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.evaluation.compiled import first_line
from elbowroom.inference.programs.handlers import Weigh
from elbowroom.inference.programs.private_torch import buffers_of
from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.training.generators import Generators
from elbowroom.inference.training.parameters import Parameters
from elbowroom.inference.training.recorded_step import Record, Step, recorded

WORTH_A_RECORD, WORTH_COMPILING = 300, 20_000
"""Steps of a run from which on a record pays, which takes as long as hundreds of steps save, and compiling it, which
takes half a minute."""

_MOVED = 1.01  # by so much parameters are others where a record is tried


def compiles(compile: bool | str, num_steps: int) -> bool:
    """Whether the steps of a run are to be compiled."""
    return compile is True or (compile == "auto" and num_steps >= WORTH_COMPILING)


@dataclass
class Stepping:
    """Loss and gradients of a minibatch by replaying a record, where there is one that gives what the programs give.

    Attributes:
        run: the same by the programs themselves; it leaves the gradients in the parameters.
        parameters: of both programs.
        weigh: what weighs their KL term, whose β may change from step to step.
        generators: torch's global ones.
        compile: whether records are compiled: True, False (and none is made), or "auto", which goes by the number of
            steps.
        num_steps: of the whole run.
        usual_size: rows of the minibatches that are worth compiling for, so that a shorter last one is not; None if
            the data are no rows.
        varies: whether β does.
        tell: is told what should be known of the run.
        part: which part of a minibatch a step is of, where it is divided; a record is of one.
        shortcoming: why there is no record, or why it is not compiled.
    """

    run: Step
    parameters: Parameters
    weigh: Weigh
    generators: Generators
    compile: bool | str
    num_steps: int
    usual_size: int | None
    varies: bool
    tell: Callable[[str], None]
    part: Callable[[], Hashable] = lambda: None
    shortcoming: str = ""
    _records: dict[Any, tuple[Record, Record] | None] = field(default_factory=dict)
    _replays: int = 0
    _due: int = 1

    def replayed(self, *batch: Tensor) -> float | None:
        """The loss of a minibatch, with the gradients left in the parameters; None where the programs must be run."""
        if not self._records_at_all:
            return None
        inputs = (*batch, torch.tensor(self.weigh.latent, dtype=torch.float64)) if self.varies else batch
        key = self.part(), tuple((tuple(t.shape), t.dtype, t.device) for t in inputs)
        if key not in self._records:
            self._records[key] = self._made(inputs)
        elif self._replays >= self._due:
            self._due *= 10
            self._try_again(key, inputs)
        if (pair := self._records[key]) is None:
            return None
        self._replays += 1
        return pair[1](*inputs)

    def look_again(self) -> None:
        """The programs may have been changed: the next step tries its record."""
        self._due = min(self._due, self._replays)

    @property
    def how(self) -> str:
        """ "compiled", "recorded" or "run", with the reason where that is less than was asked for."""
        pairs = [pair for pair in self._records.values() if pair is not None]
        kind = "run" if not pairs else "compiled" if any(fast is not record for record, fast in pairs) else "recorded"
        return f"{kind} ({self.shortcoming})" if self.shortcoming else kind

    @property
    def _records_at_all(self) -> bool:
        return self.compile is True or (self.compile == "auto" and self.num_steps >= WORTH_A_RECORD)

    def _made(self, inputs: tuple[Tensor, ...]) -> tuple[Record, Record] | None:
        """A record, and what is called in its place: it itself, or compiled, for minibatches of the usual size."""
        with self.as_it_was():
            try:
                record = recorded(self._weighed, inputs, list(self.parameters.trainable.values()), self._changing())
            except Exception as error:  # whatever a program does that cannot be recorded, it can be run
                self.shortcoming = f"the programs cannot be recorded: {first_line(error)}"
                return None
            finally:
                self._forget()
        try:
            agrees = self._agrees(record, inputs, exactly=True)
        except Exception as error:  # at parameters and in an order that training may never meet
            self.shortcoming = f"the record could not be tried: {first_line(error)}"
            return None
        if not agrees:
            self.shortcoming = "a record of the programs gives other numbers than they do"
            return None
        if not (
            compiles(self.compile, self.num_steps) and self.usual_size in (None, len(inputs[0]) if inputs else None)
        ):
            return record, record
        try:
            fast = record.compiled()
            if self._agrees(fast, inputs, exactly=False):
                return record, fast
            self.shortcoming = "the compiled record gives other numbers"
        except Exception as error:  # no compiler, or what it cannot do
            self.shortcoming = f"not compiled: {first_line(error)}"
        return record, record

    def _try_again(self, key: Any, inputs: tuple[Tensor, ...]) -> None:
        """Hold a record against a run once more; one that does not agree any longer is made anew, once."""
        pair = self._records[key]
        if pair is None or self._agrees(pair[0], inputs, exactly=True, moved=False):
            return
        self._records = {key: self._made(inputs)}
        self.tell(
            f"the programs no longer do what was recorded of them, since one of the last {self._replays} steps: they "
            "are recorded anew. Train with compile=False if they change from step to step"
        )

    def _agrees(self, record: Record, inputs: tuple[Tensor, ...], exactly: bool, moved: bool = True) -> bool:
        """Whether a replay gives the loss, gradients, buffers and noise of a run, to the bit or up to rounding."""
        if moved and self.usual_size is not None:
            inputs = tuple(t.flip(0) if t.dim() else t for t in inputs)
        ran, replayed = (self._outcome(step, inputs, moved) for step in (self._run, record))
        alike = torch.equal if exactly and self._on_cpu() else self._alike
        return ran.keys() == replayed.keys() and all(alike(replayed[name], value) for name, value in ran.items())

    def _alike(self, actual: Tensor, expected: Tensor) -> bool:
        """The same up to the rounding of the parameters' least precise dtype, in which the loss was summed."""
        floating = [t.dtype for t in self.parameters.trainable.values() if t.is_floating_point()]
        dtype = max(floating, key=lambda d: torch.finfo(d).eps)
        of_dtype = [t.to(dtype) if t.is_floating_point() else t for t in (actual, expected)]
        return same(of_dtype[0], of_dtype[1])

    def _on_cpu(self) -> bool:
        return all(t.device.type == "cpu" for t in self.parameters.trainable.values())

    def _outcome(self, step: Step, inputs: tuple[Tensor, ...], moved: bool) -> dict[str, Tensor]:
        """All that a step leaves behind, by name; everything is put back."""
        with self.as_it_was():
            if moved:
                with torch.no_grad():
                    for tensor in self.parameters.trainable.values():
                        tensor.mul_(_MOVED)
            try:
                loss = torch.tensor(float(step(*inputs)), dtype=torch.float64)
                gradients = {f"gradient of {name}": t.grad for name, t in self.parameters.trainable.items()}
                known = {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None}
                return {"loss": loss, **known, **self.parameters.snapshot(), **self.generators.state()}
            finally:
                self._forget()

    def _run(self, *inputs: Tensor) -> Any:
        """A step by the programs, with the inputs of a record."""
        return self.run(*(inputs[:-1] if self.varies else inputs))

    def _weighed(self, *inputs: Tensor) -> Any:
        """The same with β as a tensor, where it varies, as it is recorded."""
        before = self.weigh.latent
        try:
            self.weigh.latent = inputs[-1] if self.varies else before
            return self._run(*inputs)
        finally:
            self.weigh.latent = before

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Parameters, buffers (those that a step replaces, too) and generators are put back at the end."""
        values, noise = [(tensor, tensor.detach().clone()) for tensor in self._changing()], self.generators.state()
        modules = {id(m): m for owner in self.parameters.modules.values() for m in owner.modules()}
        buffers = [(module, dict(buffers_of(module))) for module in modules.values()]
        try:
            yield
        finally:
            for module, before in buffers:
                buffers_of(module).clear()
                buffers_of(module).update(before)
            with torch.no_grad():
                for tensor, value in values:
                    tensor.copy_(value)
            self.generators.put_back(noise)

    def _changing(self) -> list[Tensor]:
        return list(self.parameters.everything().values())

    def _forget(self) -> None:
        for tensor in self.parameters.trainable.values():
            tensor.grad = None
