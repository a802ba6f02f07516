"""One message of a step, worker by worker in one process: what is added, what is weighed, and what is passed on."""

import signal
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from elbowroom.inference.training.parts import part_of
from elbowroom.inference.training.sums import Sums, added


@dataclass
class Present:
    """A worker whose sum is known, or is asked for."""

    rank: int
    size: int
    total: Tensor | None = None
    messages: list[Tensor] = field(default_factory=list)

    def add(self, tensor: Tensor) -> None:
        self.messages.append(tensor.clone())
        if self.total is not None:
            tensor.copy_(self.total)


@dataclass
class Told:
    """What a worker brings to a step."""

    loss: float = 0.0
    gradients: tuple[list[float] | None, ...] = ([0.0, 0.0],)
    buffer: float = 0.0
    signum: int | None = None
    lost: bool = False


def summed(num_rows: int, told: list[Told], dtype: torch.dtype = torch.float64) -> list[tuple[Sums, Any, float]]:
    """What each worker gets: the sums, gradients, and the buffer."""

    def step(rank: int, total: Tensor | None) -> tuple[Tensor, tuple[Sums, Any, float]]:
        worker, mine = Present(rank, len(told), total), told[rank]
        trainable = [torch.zeros(2, dtype=dtype, requires_grad=True) for _ in mine.gradients]
        for tensor, gradient in zip(trainable, mine.gradients, strict=True):
            tensor.grad = None if gradient is None else torch.tensor(gradient, dtype=dtype)
        buffer = torch.tensor(mine.buffer, dtype=dtype)
        part = part_of(num_rows, worker)
        sums = added(worker, part, mine.loss, trainable, {"mean": buffer}, mine.signum, mine.lost)
        grads = [None if t.grad is None else t.grad.tolist() for t in trainable]
        return worker.messages[0], (sums, grads, buffer.item())

    total = torch.stack([step(rank, None)[0] for rank in range(len(told))]).sum(0)
    return [step(rank, total)[1] for rank in range(len(told))]


def test_gradients_losses_and_buffers_of_unequal_parts() -> None:
    """Five rows over two: gradients and losses are sums, and a buffer is the mean over rows: (3·1 + 2·11) / 5."""
    for sums, gradients, buffer in summed(5, [Told(1.5, ([1, 2],), 1.0), Told(2.25, ([10, 20],), 11.0)]):
        assert sums == Sums(3.75, None, False)
        assert gradients == [[11, 22]] and buffer == pytest.approx(5)


def test_a_worker_without_rows_of_its_own_adds_nothing() -> None:
    """Two rows over three: the third has the last one again."""
    told = [Told(1.0, ([1, 2], None), 4.0), Told(2.0, ([3, 4], None), 6.0), Told(2.0, ([3, 4], [7, 7]), 6.0)]
    for sums, gradients, buffer in summed(2, told):
        assert sums.loss == 3 and gradients == [[4, 6], None] and buffer == 5


def test_a_parameter_without_a_gradient_anywhere_has_none_and_one_with_it_somewhere_has_it_everywhere() -> None:
    """None, not zeros: by these an optimiser would let weights decay."""
    for _, gradients, _ in summed(4, [Told(gradients=(None, [1, 2])), Told(gradients=(None, None))]):
        assert gradients == [None, [1, 2]]


def test_a_loss_keeps_the_digits_that_single_precision_has_not() -> None:
    for sums, _, _ in summed(4, [Told(123456789.125), Told(0.5)], torch.float32):
        assert sums.loss == 123456789.625


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("who", [0, 1])
def test_a_signal_and_lost_noise_of_one_are_known_to_all(signum: int, who: int) -> None:
    told = [Told(), Told()]
    told[who].signum = signum
    assert [sums for sums, *_ in summed(4, told)] == [Sums(0.0, signum, False)] * 2
    told[who] = Told(lost=True)
    assert [sums for sums, *_ in summed(4, told)] == [Sums(0.0, None, True)] * 2
