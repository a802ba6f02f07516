"""What workers add at each step, in one tensor and one message: gradients, the loss, buffers, and what one has to say.

[ gradients | which parameters have one | the loss of each worker | buffers, weighed | signals, lost noise ]
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from elbowroom.inference.training.parts import Part
from elbowroom.inference.training.workers import Workers

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Sums:
    """Of one step, the same in every worker.

    Attributes:
        loss: of the whole minibatch.
        signum: of a signal that some worker has got, or None.
        lost: whether some worker could not have the noise of the whole minibatch.
    """

    loss: float
    signum: int | None
    lost: bool


def added(
    workers: Workers,
    part: Part,
    loss: float,
    trainable: Sequence[Tensor],
    buffers: Mapping[str, Tensor],
    signum: int | None,
    lost: bool,
) -> Sums:
    """Put the sums over workers in the place of gradients, and the mean of buffers in theirs.

    Args:
        workers: who adds.
        part: of the minibatch, that this worker had.
        loss: of its rows, summed.
        trainable: the parameters, with gradients of that. One that has none in any worker has none afterwards.
        buffers: those that a step changes; their means are weighed by the numbers of rows.
        signum: of a signal that this worker has got.
        lost: whether its noise was its own.
    """
    dtype = reduce(torch.promote_types, (t.dtype for t in (*trainable, *buffers.values())), torch.float32)
    own = [t.grad if part.counts else None for t in trainable]
    parts = [torch.zeros(t.numel()) if g is None else g.reshape(-1) for t, g in zip(trainable, own, strict=True)]
    parts.append(torch.tensor([float(gradient is not None) for gradient in own]))
    losses = torch.zeros(workers.size, 2, dtype=dtype)
    losses[workers.rank] = _halves(loss if part.counts else 0.0, dtype)
    parts.append(losses.reshape(-1))
    parts += [
        buffer.reshape(-1) * part.weight if part.counts else torch.zeros(buffer.numel()) for buffer in buffers.values()
    ]
    parts.append(torch.tensor([*(float(signum == known) for known in SIGNALS), float(lost)]))
    device = trainable[0].device
    flat = torch.cat([piece.detach().to(device, dtype) for piece in parts])
    workers.add(flat)
    whole = flat.split([piece.numel() for piece in parts])
    count = len(trainable)
    _give_back(trainable, whole[:count], whole[count].tolist())
    for buffer, mean in zip(buffers.values(), whole[count + 2 : -1], strict=True):
        with torch.no_grad():
            buffer.copy_(mean.reshape(buffer.shape))
    *got, any_lost = whole[-1].tolist()
    received = next((int(known) for known, number in zip(SIGNALS, got, strict=True) if number), None)
    return Sums(whole[count + 1].double().sum().item(), received, any_lost > 0)


def _halves(loss: float, dtype: torch.dtype) -> Tensor:
    """A number of double precision as two of less: the rounded one, and what it lacks. Their sums would be rounded."""
    exact = torch.tensor(loss, dtype=torch.float64)
    rounded = exact.to(dtype)
    return torch.stack([rounded, (exact - rounded.double()).to(dtype)])


def _give_back(trainable: Sequence[Tensor], sums: Sequence[Tensor], having: Sequence[float]) -> None:
    for tensor, total, number in zip(trainable, sums, having, strict=True):
        if not number:
            tensor.grad = None
        elif tensor.grad is None:
            tensor.grad = total.reshape(tensor.shape).to(tensor.dtype).clone()
        else:
            tensor.grad.copy_(total.reshape(tensor.shape))
