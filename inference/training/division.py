"""How the steps of a run are divided over workers, and what of that is not as in one process.

Each takes its rows of a minibatch (`parts`), with the noise that they have in the whole (`shared_noise`), and adds loss
and gradients (`sums`). Before the first step it is tried: on a few rows, the whole in each worker beside its parts.
What does not add up is told, whatever the reason is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.training.parameters import Parameters, digest
from elbowroom.inference.training.parts import Part, part_of
from elbowroom.inference.training.shared_noise import SIZES, Rule, Unshared, listening, rules, seed_of, shared_noise
from elbowroom.inference.training.sums import Sums, added
from elbowroom.inference.training.workers import Workers, WorkersError, anywhere, differing

Batch = tuple[Any, ...]

STEPS_BETWEEN_COMPARISONS = 100
"""Of several workers, which make sure that they hold the same."""

_ROWS = 3  # of each worker, where it is tried


class Division:
    """The parts of minibatches, one worker's of them.

    Args:
        workers: who trains.
        step: loss and gradients of some rows, by the programs.
        parameters: of both programs.
        seed: of the run.
        num_particles: that programs draw at once.
        unchanged: a context in which programs are run, and after which all is as it was before.
        tell: is told what should be known of the run.

    Attributes:
        part: of the minibatch of the moment; None before the first.
        unshared: why each worker has noise of its own; empty where they share that of the whole.
    """

    def __init__(
        self,
        workers: Workers,
        step: Callable[..., float],
        parameters: Parameters,
        seed: int,
        num_particles: int,
        unchanged: Callable[[], AbstractContextManager[None]],
        tell: Callable[[str], None],
    ) -> None:
        self.workers, self.parameters, self.seed, self.tell = workers, parameters, seed, tell
        self.num_particles, self._step, self._unchanged = num_particles, step, unchanged
        self.part: Part | None = None
        self.unshared = ""
        self._rules: list[Rule] = []
        self._buffers: list[str] = []
        self._lost, self._number = False, 0

    def begin(self, step: int) -> None:
        """Before a minibatch is prepared, by all alike: where noise is not shared, generators are begun anew."""
        self._number = step
        if self.unshared:
            torch.manual_seed(seed_of(self.seed, step))

    def of(self, batch: Batch, num_rows: int) -> Batch:
        """This worker's part of a minibatch of so many rows, which it draws for next."""
        self.part = part_of(num_rows, self.workers)
        if self.unshared:
            torch.manual_seed(seed_of(self.seed, self._number, self.workers.rank))
        return self.part.rows(batch)

    def run(self, *batch: Any) -> float:
        """Loss and gradients of the part, by the programs; the gradients are left in the parameters."""
        with self._noise():
            return self._step(*batch)

    def add(self, loss: float, signum: int | None) -> Sums:
        """The sums over workers, put in the place of gradients and buffers."""
        sums = self._added(loss, signum)
        self._lost = False
        if sums.lost and not self.unshared:
            self.unshared = "the programs draw other random numbers from step to step"
            self._tell_of_noise()
        return sums

    def of_all(self, positions: list[int]) -> list[int]:
        """Positions in the minibatch, of those that each worker names in its part."""
        assert self.part is not None
        named = torch.zeros(self.part.num_rows, dtype=torch.int64)
        named[[self.part.begin + position for position in positions]] = 1
        self.workers.add(named)
        return named.nonzero().flatten().tolist()

    def compare(self, step: int, num_steps: int, generators: dict[str, Tensor]) -> None:
        """After the first step, some others and the last one make sure that all workers hold the same, to the bit.

        Raises:
            WorkersError: naming what differs.
        """
        if not (step in (1, num_steps) or step % STEPS_BETWEEN_COMPARISONS == 0):
            return
        held = self.parameters.snapshot()
        if not self.unshared:
            held |= {f"the generator of {device}": state for device, state in generators.items()}
        if apart := differing(self.workers, {name: digest(tensor) for name, tensor in held.items()}):
            raise WorkersError(
                f"after step {step} the {self.workers.size} workers no longer hold the same: {apart[:4]}. Look for "
                "what changes parameters or draws random numbers in some of them only (on_epoch, prepare, machines of "
                "different kinds)"
            )

    def learn(self, example: Batch) -> None:
        """See which random numbers belong to which rows, and whether parts add up to the whole.

        Args:
            example: a minibatch as the programs see it.

        Raises:
            ValueError: the programs cannot be run on a part of a minibatch.
        """
        if not self.unshared:
            try:
                self._rules = rules([self._heard(example, size) for size in SIZES], self.num_particles)
            except Unshared as reason:
                self.unshared = str(reason)
            if anywhere(self.workers, bool(self.unshared)):
                self.unshared = self.unshared or "it is not shared in another worker"
        if self.unshared:
            self._tell_of_noise()
        self._buffers = self._changed_buffers(example)
        if self._buffers:
            self.tell(
                f"training over {self.workers.size} workers: the buffers {self._buffers[:4]} change in a step (batch "
                "normalisation); each worker normalises its own rows, the means of the buffers are kept, and the steps "
                "are not those of one worker"
            )
        elif not self.unshared:
            self._try_parts(example)

    def _heard(self, example: Batch, size: int) -> list[Any]:
        batch = _cycled(example, size)
        with self._trial(), listening() as calls:
            try:
                self._step(*batch)
            except (RuntimeError, ValueError, IndexError) as error:
                raise ValueError(
                    f"training over {self.workers.size} workers gives the programs a part of each minibatch, and they "
                    f"cannot be run on {size} rows: {error}. Write plates of the size of the data that come, "
                    "pyro.plate('data', len(x)), or train in one process"
                ) from error
        return calls

    def _changed_buffers(self, example: Batch) -> list[str]:
        """The names of the floating buffers that a step changes."""
        before = self.parameters.snapshot()
        with self._trial():
            self._step(*_cycled(example, max(SIZES)))
            after = self.parameters.snapshot()
        return [n for n, t in after.items() if t.is_floating_point() and not torch.equal(t, before[n])]

    def _try_parts(self, example: Batch) -> None:
        """Say so if loss and gradients of a minibatch's parts do not add up to its own."""
        batch = _cycled(example, _ROWS * self.workers.size + 1)
        with self._trial():
            loss = self._step(*batch)
            gradients = self._gradients()
        with self._trial():
            sums = self._added(self.run(*self.of(batch, _ROWS * self.workers.size + 1)), None)
            summed = self._gradients()
        self.part, self._lost = None, False
        dtype = min((t.dtype for t in gradients.values()), key=lambda d: torch.finfo(d).bits, default=torch.float32)
        losses = [torch.tensor([value], dtype=dtype) for value in (sums.loss, loss)]
        alike = _alike({"loss": losses[0]}, {"loss": losses[1]}) and _alike(summed, gradients)
        if anywhere(self.workers, not alike):
            self.tell(
                f"training over {self.workers.size} workers: the losses of the parts of a minibatch, or their "
                f"gradients, do not add up to its own (a loss of {sums.loss:.6g}, not {loss:.6g}): something couples "
                "its rows, or is no sum over them, and the steps are not those of one worker"
            )

    @contextmanager
    def _trial(self) -> Iterator[None]:
        """A step that leaves nothing behind."""
        with self._unchanged():
            try:
                yield
            finally:
                self._gradients()

    def _gradients(self) -> dict[str, Tensor]:
        """Those in the parameters, which forget them."""
        found = {n: t.grad.clone() for n, t in self.parameters.trainable.items() if t.grad is not None}
        for tensor in self.parameters.trainable.values():
            tensor.grad = None
        return found

    def _added(self, loss: float, signum: int | None) -> Sums:
        assert self.part is not None  # a step is of one
        tensors = self.parameters.everything() if self._buffers else {}
        buffers = {name: tensors[name] for name in self._buffers}
        trainable = list(self.parameters.trainable.values())
        return added(self.workers, self.part, loss, trainable, buffers, signum, self._lost)

    def _noise(self) -> AbstractContextManager[None]:
        if self.unshared or self.part is None or not any(rule.dim is not None for rule in self._rules):
            return nullcontext()
        return shared_noise(self._rules, self.part, self._lose)

    def _lose(self) -> None:
        """Noise of the whole is not to be had any longer: from here on it is another one in each worker."""
        self._lost = True
        torch.manual_seed(seed_of(self.seed, self._number, self.workers.rank))

    def _tell_of_noise(self) -> None:
        self.tell(
            f"training over {self.workers.size} workers: each draws noise of its own, for {self.unshared}; the steps "
            "are not those of one worker, though no less right"
        )


def _cycled(example: Batch, size: int) -> Batch:
    """So many rows of a minibatch, from the first on, again and again."""
    num_rows = len(example[0])
    index = torch.arange(size) % num_rows
    whole = (num_rows,)
    return tuple(
        t.index_select(0, index.to(t.device)) if isinstance(t, Tensor) and t.shape[:1] == whole else t for t in example
    )


def _alike(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Up to rounding, of the size of the largest number among them."""
    scale = max((t.abs().max().item() for t in expected.values()), default=1.0) or 1.0
    return actual.keys() == expected.keys() and all(same(actual[n] / scale, t / scale) for n, t in expected.items())
