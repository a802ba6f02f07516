"""Who trains together, as the environment of a process says it, and a group that is begun and left."""

import pytest
import torch
import torch.distributed as distributed

from elbowroom.inference.training import WorkersError, workers
from elbowroom.inference.training.workers import Alone, Group, is_first, joined, num_workers, own_device

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def place(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_one_process_is_alone_whatever_the_size_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in ({}, {"WORLD_SIZE": "2"}, {"RANK": "0", "WORLD_SIZE": "1"}):
        place(monkeypatch, **environment)
        assert num_workers() == 1 and is_first() and own_device(CUDA) == CUDA
        with joined(CPU) as found:
            assert isinstance(found, Alone)


def test_a_place_among_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process of the second machine of two."""
    place(monkeypatch, RANK="3", WORLD_SIZE="4", LOCAL_RANK="1")
    assert num_workers() == 4 and not is_first()
    assert own_device(CUDA) == torch.device("cuda:1")
    assert own_device(torch.device("cuda:0")) == torch.device("cuda:0") and own_device(CPU) == CPU
    monkeypatch.setenv("RANK", "0")
    assert is_first()


@pytest.mark.parametrize("fails", [False, True])
def test_a_group_that_is_begun_is_left(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, RANK="0", WORLD_SIZE="2")
    monkeypatch.setattr(
        workers,
        "_begin",
        lambda backend: distributed.init_process_group(backend, store=distributed.HashStore(), rank=0, world_size=1),
    )
    try:
        with joined(CPU) as found:
            assert isinstance(found, Group) and distributed.is_initialized()
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert not distributed.is_initialized()


def test_workers_that_do_not_meet_are_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, RANK="0", WORLD_SIZE="2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(WorkersError, match="one of 2 workers, and they do not meet"), joined(CPU):
        pass
    assert not distributed.is_initialized()
