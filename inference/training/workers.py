"""Processes that train together: each takes its part of every minibatch, and they add what they found.

    Alone     one process; nothing is added
    Group     those of `torch.distributed`: begun here where `torchrun` (or what else sets RANK and WORLD_SIZE) has
              started several, or the group that the caller has begun

All that passes between them is sums: what worker 0 knows is the sum of that and of zeros. A sum has the same bits in
each worker, so that parameters stay the same in all of them.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple, Protocol

import safetensors.torch
import torch
import torch.distributed as distributed
from torch import Tensor

PATIENCE = timedelta(minutes=30)
"""How long a worker waits for another that hangs. One that has ended is noticed at once."""


class WorkersError(RuntimeError):
    """Training over several processes cannot go on: another one has ended or hangs, or they no longer hold the same."""


class Workers(Protocol):
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: which one this is, 0 … size − 1; 0 is the one that writes and prints.
        size: how many there are.
    """

    rank: int
    size: int

    def add(self, tensor: Tensor) -> None:
        """Put the sum over all workers in the place of a tensor, the same bits in each of them.

        Raises:
            WorkersError: another one has ended, or hangs.
        """


class Alone:
    """One process."""

    rank, size = 0, 1

    def add(self, tensor: Tensor) -> None:
        """A sum of one."""


ALONE = Alone()


class Group:
    """The processes of torch's default group.

    Args:
        device: where tensors are that the group adds; others are copied there and back.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.device = device if distributed.get_backend() == "nccl" else None

    def add(self, tensor: Tensor) -> None:
        """As `Workers.add`."""
        there = tensor if self.device is None else tensor.to(self.device)
        try:
            distributed.all_reduce(there)
            if there is not tensor:
                tensor.copy_(there)
        except RuntimeError as error:  # torch's errors of the network are such
            raise WorkersError(
                f"worker {self.rank} of {self.size} stops, for another one has ended or did not answer within "
                f"{PATIENCE.seconds // 60} minutes; what that one says is the reason. A run with a run directory goes "
                f"on from its last checkpoint by resume=True ({str(error).splitlines()[0]})"
            ) from error


@contextmanager
def joined(device: torch.device) -> Iterator[Workers]:
    """The workers that this process is one of. A group that is begun here is left at the end, however it comes."""
    if distributed.is_available() and distributed.is_initialized():
        yield Group(device) if distributed.get_world_size() > 1 else Alone()
        return
    if num_workers() == 1:
        yield Alone()
        return
    if not distributed.is_available():
        raise WorkersError(
            f"WORLD_SIZE={num_workers()} asks for several workers, and this torch was built without torch.distributed: "
            "unset it to train in one process"
        )
    hook = sys.excepthook  # torch puts another in its place, and leaves it there
    try:
        _begin("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise WorkersError(
            f"RANK and WORLD_SIZE say that this is one of {num_workers()} workers, and they do not meet: {error}. "
            "Start them by torchrun, or unset WORLD_SIZE to train in one process"
        ) from error
    try:
        yield Group(device)
    finally:
        distributed.destroy_process_group()
        sys.excepthook = hook


_BEGUN = count()  # groups of this process: each has names of its own in the store


def _begin(backend: str) -> None:
    """Begin torch's default group.

    Its store may be the one of an attempt before, which torchrun has ended: what that left there would be taken for
    addresses of workers that are alive.
    """
    store, rank, size = next(iter(distributed.rendezvous("env://", timeout=PATIENCE)))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own = distributed.PrefixStore(f"elbowroom/{attempt}/{next(_BEGUN)}", store)
    distributed.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=PATIENCE)


def num_workers() -> int:
    """How many there are, or will be once they train."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def is_first() -> bool:
    """Whether this process is the one of the workers that writes and prints."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank() == 0
    return num_workers() == 1 or os.environ["RANK"] == "0"


def own_device(device: torch.device) -> torch.device:
    """Of "cuda" among several workers, the device of this one's place on its machine (LOCAL_RANK)."""
    if device.type != "cuda" or device.index is not None or num_workers() == 1:
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def of_first(workers: Workers, content: bytes) -> bytes:
    """What worker 0 gave, in every worker."""
    length = torch.tensor([len(content) if workers.rank == 0 else 0])
    workers.add(length)
    whole = torch.zeros(int(length), dtype=torch.uint8)
    if workers.rank == 0 and content:
        whole.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    workers.add(whole)
    return whole.numpy().tobytes()


class Sent(NamedTuple):
    """What worker 0 sends to the others."""

    tensors: dict[str, dict[str, Tensor]]
    said: dict[str, Any]


def sent(workers: Workers, tensors: Mapping[str, Mapping[str, Tensor]], said: Mapping[str, Any]) -> Sent:
    """Tensors in groups, and what can be said in JSON, of worker 0 in every worker."""
    flat = {f"{group}:{name}": t for group, values in tensors.items() for name, t in values.items()}
    text = json.loads(of_first(workers, json.dumps(said).encode()))
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in safetensors.torch.load(of_first(workers, safetensors.torch.save(flat))).items():
        group, _, name = key.partition(":")
        found.setdefault(group, {})[name] = tensor
    return Sent({group: {} for group in tensors} | found, text)


def of_each(workers: Workers, number: float) -> list[float]:
    """A number of every worker, by rank."""
    numbers = torch.zeros(workers.size, dtype=torch.float64)
    numbers[workers.rank] = number
    workers.add(numbers)
    return numbers.tolist()


def anywhere(workers: Workers, here: bool) -> bool:
    """Whether something is so in any worker."""
    return here if workers.size == 1 else any(of_each(workers, here))


def differing(workers: Workers, ours: Mapping[str, Any]) -> list[str]:
    """Of what has a number in each worker, the names under which some worker's is not that of worker 0.

    Args:
        workers: who are compared.
        ours: name -> an integer; the same names in every worker.
    """
    values = torch.tensor(list(ours.values()), dtype=torch.int64)
    first = values.clone() if workers.rank == 0 else torch.zeros_like(values)
    workers.add(first)
    apart = (values != first).to(torch.int64)
    workers.add(apart)
    return [name for name, others in zip(ours, apart.tolist(), strict=True) if others]
