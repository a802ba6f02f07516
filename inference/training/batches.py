"""Data as minibatches whose order is a function of (seed, epoch)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elbowroom.entrances.said import said

Array = Tensor | np.ndarray
Data = Array | Sequence[Array] | None
Prepare = Callable[..., Any]
"""Makes what the programs are to see of a minibatch, given each of its tensors."""


@dataclass(frozen=True)
class Batches:
    """Minibatches of the rows of some tensors.

    Attributes:
        tensors: the programs' arguments, each `[N, ...]`.
        batch_size: rows in a minibatch; the last one of an epoch may be smaller.
        seed: decides the order together with the epoch.
        one_datum: the tensors are one datum, handed over as they are: not cut, not shuffled, of any shapes.
    """

    tensors: tuple[Tensor, ...]
    batch_size: int
    seed: int
    one_datum: bool = False

    @property
    def num_data(self) -> int:
        """N."""
        return 1 if self.one_datum else len(self.tensors[0])

    def __len__(self) -> int:
        """Minibatches in an epoch."""
        return -(-self.num_data // self.batch_size)

    def order(self, epoch: int) -> Tensor:
        """A permutation of the rows, `[N]`: a function of (seed, epoch) alone, so a resumed run finds its place."""
        generator = np.random.Generator(np.random.Philox(key=[self.seed % 2**64, epoch]))
        return torch.from_numpy(generator.permutation(self.num_data))

    def take(self, index: Tensor) -> tuple[Tensor, ...]:
        """The rows of every tensor at an index `[b]` (integers), `[b, ...]` each."""
        if self.one_datum:
            return self.tensors
        return tuple(t.index_select(0, index.to(t.device)) for t in self.tensors)


def as_tensors(name: str, data: Data, device: torch.device, *, one_datum: bool = False) -> tuple[Tensor, ...]:
    """The programs' arguments as tensors on a device, checked.

    Args:
        name: how to call them in errors.
        data: the observations `[N, ...]` (floating point), or several tensors with a row for each datum, observations
            first; None for programs without arguments.
        device: where to put them.
        one_datum: the tensors are one datum as a whole and need not have as many rows.

    Raises:
        TypeError: not a tensor or array; observations that are not floating point.
        ValueError: empty, of different lengths, or with NaN or infinite values (the rows are named).
    """
    if data is None:
        return ()
    is_sequence = isinstance(data, Sequence) and not isinstance(data, Tensor | np.ndarray | str)
    values: list[Any] = list(data) if is_sequence else [data]
    if not values:
        raise ValueError(f"{name} is empty: it must be a tensor [N, ...], several of them, or None")
    tensors = tuple(_as_tensor(f"{name}[{i}]" if is_sequence else name, value) for i, value in enumerate(values))
    if not tensors[0].is_floating_point():
        raise TypeError(
            f"{name} is {_dtype(tensors[0])}, expected floating point: Pyro's likelihoods take floats. "
            f"Pass {name}.to(torch.get_default_dtype())."
        )
    lengths = [len(t) for t in tensors]
    if len(set(lengths)) > 1 and not one_datum:
        raise ValueError(f"the tensors of {name} have {lengths} rows: they need one row for each datum")
    for tensor in tensors:
        _check_finite(name, tensor)
    return tuple(t.to(device) for t in tensors)


def prepared(prepare: Prepare, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What `prepare` makes of a minibatch, as the programs' arguments.

    Raises:
        TypeError: if that is no tensor, nor several arguments.
        ValueError: if a first tensor has another number of rows than the minibatch: its data would be weighed wrongly.
    """
    made = prepare(*batch)
    if not isinstance(made, Tensor | Sequence) or isinstance(made, str):
        raise TypeError(f"prepare must return a tensor, or a tuple of arguments, got {said(made)}")
    arguments = (made,) if isinstance(made, Tensor) else tuple(made)
    first, given = (arguments[:1] or (None,))[0], batch[0] if batch else None
    if isinstance(first, Tensor) and given is not None and first.shape[:1] != given.shape[:1]:
        raise ValueError(
            f"prepare must return a row for each datum, got shape {tuple(first.shape)} of a minibatch "
            f"{tuple(given.shape)}: it must not drop, add or sum up rows"
        )
    return arguments


def check_alike(data: tuple[Tensor, ...], validation: tuple[Tensor, ...]) -> None:
    """Refuse validation data that are of another form than the data.

    Raises:
        ValueError: naming the numbers of tensors, or of their dims.
    """
    forms = [[t.dim() for t in tensors] for tensors in (data, validation)]
    if validation and forms[0] != forms[1]:
        raise ValueError(
            f"validation must be of the form of data: data are {len(data)} tensors with {forms[0]} dims, validation "
            f"{len(validation)} with {forms[1]}; give the same ones of held-out rows"
        )


def fingerprint(tensors: tuple[Tensor, ...]) -> dict[str, Any]:
    """Shapes, dtypes and sha256 of the contents, for the run's record."""
    digest = hashlib.sha256()
    for t in tensors:
        digest.update(f"{tuple(t.shape)} {_dtype(t)}".encode())
        digest.update(np.ascontiguousarray(t.detach().cpu().numpy()).data)
    return {
        "shapes": [list(t.shape) for t in tensors],
        "dtypes": [_dtype(t) for t in tensors],
        "sha256": digest.hexdigest(),
    }


def _as_tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor | np.ndarray):
        raise TypeError(f"{name} must be a torch tensor or a numpy array [N, ...], got {type(value).__name__}")
    # torch warns of arrays that are not writeable, though nothing is written here; such are copied.
    tensor = torch.as_tensor(
        np.require(value, requirements=["C", "W"]) if isinstance(value, np.ndarray) else value
    ).detach()
    if tensor.dim() == 0 or tensor.numel() == 0:
        raise ValueError(f"{name} is empty: its shape is {tuple(tensor.shape)}, expected [N, ...] with N >= 1")
    return tensor


def _check_finite(name: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        return
    bad = ~tensor.isfinite().reshape(len(tensor), -1).all(1)
    if bool(bad.any()):
        rows = bad.nonzero().flatten().tolist()
        raise ValueError(
            f"{name} has NaN or infinite values in {len(rows)} of {len(tensor)} rows (first: {rows[:8]}). Remove these "
            "rows, or fill them in and mask them in the model."
        )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
