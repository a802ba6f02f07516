"""One writer at a time: who is refused, what is told, and what a dead one leaves."""

import errno
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from elbowroom.inference.saving import locks, one_writer
from elbowroom.inference.saving.disk import WriteError
from elbowroom.inference.saving.one_writer import InUseError, only_writer
from elbowroom.inference.saving.state_file import read_state, write_state


@contextmanager
def another(work: Callable[[], object]) -> Iterator[int]:
    """A process that does some work and then waits until it is killed, at the end of the block."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        kept = work()
        os.write(writing, b"x")
        signal.pause()
        del kept
    try:
        assert os.read(reading, 1) == b"x"
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def taken(place: Path, *, folder: bool = True) -> object:
    """The lock, for as long as what is returned is kept."""
    lock = only_writer(place, "state", folder=folder)
    lock.__enter__()
    return lock


@pytest.mark.parametrize("folder", [True, False])
def test_a_second_process_is_told_who_writes_and_since_when(tmp_path: Path, folder: bool) -> None:
    place = tmp_path / "place"
    with another(lambda: taken(place, folder=folder)) as pid:
        begin = time.monotonic()
        with pytest.raises(InUseError) as refused, only_writer(place, "state", folder=folder):
            pass
        assert time.monotonic() - begin < 0.4 and refused.value.errno == errno.EWOULDBLOCK
        said = str(refused.value)
        assert said.startswith(f"state={str(place)!r} is in use: process {pid} on {socket.gethostname()} writes there")
        assert re.search(rf"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait .* \(kill {pid}\), or give another", said)
    with only_writer(place, "state", folder=folder):  # it is dead: its lock is taken over
        lock = place / ".lock" if folder else tmp_path / ".place.lock"
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_another_thread_is_refused(tmp_path: Path) -> None:
    said: list[str] = []

    def second() -> None:
        try:
            with only_writer(tmp_path, "run_dir", folder=True):
                said.append("entered")
        except InUseError as refused:
            said.append(str(refused))

    with only_writer(tmp_path, "run_dir", folder=True):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    second()
    assert "in use: this process" in said[0] and said[1] == "entered"


def test_a_forked_child_holds_nothing(tmp_path: Path) -> None:
    """Workers of a data loader may outlive the process that was killed."""
    with only_writer(tmp_path, "run_dir", folder=True) as held, another(lambda: None):
        del held
        with pytest.raises(InUseError), only_writer(tmp_path, "run_dir", folder=True):
            pass
    parent = os.fork()
    if not parent:
        kept = taken(tmp_path)
        if not os.fork():
            time.sleep(2)
            assert kept
        os._exit(0)
    os.waitpid(parent, 0)
    with only_writer(tmp_path, "run_dir", folder=True):  # though its child lives
        pass


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / ".lock").symlink_to("thesis.tex")
    with pytest.raises(WriteError, match="remove that link"), only_writer(tmp_path, "run_dir", folder=True):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(WriteError, match=r"no file of elbowroom's"), only_writer(tmp_path, "run_dir", folder=True):
        pass


def test_a_full_disk_takes_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with (
            pytest.raises(WriteError, match=r"\.s\.lock: No space .* are free\); free some space"),
            only_writer(tmp_path / "s", "state", folder=False),
        ):
            pass
    assert not list(tmp_path.iterdir())
    with only_writer(tmp_path / "s", "state", folder=False):
        pass


def test_a_folder_in_which_nothing_was_written_goes_again(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / "old").mkdir(exist_ok=True)
        with only_writer(tmp_path / name, "run_dir", folder=True):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_a_lock_that_its_owner_removes_meanwhile_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the opening and the locking of the file its owner may end: a lock without a name keeps nobody out."""
    opened: list[int] = []

    def late(descriptor: int) -> bool | None:
        if not opened:
            (tmp_path / ".lock").unlink()
        opened.append(descriptor)
        return locks.hold(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(one_writer, "hold", late)
        lock = taken(tmp_path)
    assert len(opened) == 2 and (tmp_path / ".lock").exists()
    with pytest.raises(InUseError), only_writer(tmp_path, "run_dir", folder=True):
        pass
    del lock


def test_a_lock_that_is_never_the_same_file_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_writer, "is_same", lambda *given: False)
    with pytest.raises(WriteError, match="cannot be locked"), only_writer(tmp_path, "run_dir", folder=True):
        pass


def test_two_of_many_never_write_at_once(tmp_path: Path) -> None:
    """Threads that take and leave the lock over and over, with the file appearing and vanishing."""
    inside, most, entered = [0], [0], [0]
    end = time.monotonic() + 20

    def many() -> None:
        while time.monotonic() < end and entered[0] < 20:
            try:
                with only_writer(tmp_path / "state", "state", folder=False):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    entered[0] += 1
                    time.sleep(0)
                    inside[0] -= 1
            except InUseError:
                pass

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1 and entered[0] >= 20


def test_where_there_are_no_locks_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    with only_writer(tmp_path / "run", "run_dir", folder=True), only_writer(tmp_path / "run", "run_dir", folder=True):
        assert "nothing keeps a second writer out" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_system_without_posix_locks_writes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As Windows is: no flock, no pwrite, no flag against links."""
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(one_writer, "NO_LINK", 0)
    for name in ("pwrite", "pread"):
        monkeypatch.delattr(os, name)
    path = tmp_path / "state.safetensors"
    with only_writer(path, "state", folder=False):
        assert json.loads((tmp_path / ".state.safetensors.lock").read_text())["pid"] == os.getpid()
        write_state(path, "bracket", {"a": 1}, {"x": torch.ones(3)}, {"seconds": 1})
    assert "nothing keeps a second writer out" in caplog.text
    assert torch.equal(read_state(path, "bracket", {"a": 1})[1]["x"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_nothing_is_locked_where_nothing_is_written() -> None:
    with only_writer(None, "state", folder=False):
        pass


def test_a_state_without_a_lock_is_whole_for_whoever_reads_it(tmp_path: Path) -> None:
    """Two processes write one state over and over, and a third one reads it: no write fails, no read is torn."""
    path, pids = tmp_path / "state.safetensors", []
    for k in (0, 1):
        if not (pid := os.fork()):
            for _ in range(40):
                write_state(path, "bracket", {"a": 1}, {"x": torch.full((20000 * (1 + k),), float(k))}, {"seconds": k})
            os._exit(0)
        pids.append(pid)
    reads, failed = 0, 0
    while pids:
        if path.exists():
            record, tensors = read_state(path, "bracket", {"a": 1})
            assert len(tensors["x"]) == 20000 * (1 + record["seconds"])
            reads += 1
        for pid in list(pids):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                pids.remove(pid)
                failed += status != 0
    assert failed == 0 and reads > 10 and [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]
