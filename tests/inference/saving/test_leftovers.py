"""Temporary files of dead writers are swept, and nothing else."""

import os
import signal
from pathlib import Path

import pytest

from elbowroom.inference.saving import leftovers, locks
from elbowroom.inference.saving.durable import replace_file, replacing, write_directory
from elbowroom.inference.saving.leftovers import new_file, new_folder, sweep, temporary_name
from elbowroom.inference.saving.one_writer import only_writer


def left_by_a_dead_writer(path: Path, *, folder: bool = False) -> None:
    """A process is killed in the midst of a write."""
    pid = os.fork()
    if not pid:
        with new_folder(path) if folder else new_file(path) as made:
            if folder:
                (made / "part").write_text("half")  # type: ignore[operator]
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_process_left_is_swept(tmp_path: Path, folder: bool) -> None:
    left_by_a_dead_writer(tmp_path / "audit.json", folder=folder)
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path, "evidence.json")  # of another owner
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path, "*.json")
    assert not list(tmp_path.iterdir())


def test_the_next_write_and_the_next_lock_sweep(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "s.safetensors"):
        left_by_a_dead_writer(tmp_path / name)
    replace_file(tmp_path / "a.json", b"a")
    assert sorted(p.name[:3] for p in tmp_path.iterdir()) == [".b.", ".s.", "a.j"]
    with only_writer(tmp_path / "s.safetensors", "state", folder=False):
        assert sorted(p.name[:3] for p in tmp_path.iterdir()) == [".b.", ".s.", "a.j"]  # its lock
    with only_writer(tmp_path, "run_dir", folder=True):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_somebody_writes_stays(tmp_path: Path) -> None:
    with new_file(tmp_path / "a.json") as (file, descriptor), new_folder(tmp_path / "b.json") as folder:
        sweep(tmp_path, "*")
        assert file.exists() and folder.exists()
        os.write(descriptor, b"whole")
        os.replace(file, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == b"whole" and not folder.exists()


def test_what_is_swept_before_it_is_held_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for make in (new_file, new_folder):
        made: list[int] = []

        def late(descriptor: int, made: list[int] = made) -> bool | None:
            if not made:
                (entry,) = tmp_path.iterdir()
                entry.rmdir() if entry.is_dir() else entry.unlink()
            made.append(descriptor)
            return locks.hold(descriptor)

        monkeypatch.setattr(leftovers, "hold", late)
        with make(tmp_path / "a.json") as found:
            assert len(made) == 2 and (found if isinstance(found, Path) else found[0]).exists()


def test_files_of_users_and_links_stay(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.tex").write_text("years of work")
    names = ("a.tmp", ".a.json.tmp", ".a.json.0123.tmp", ".a.json.0123456789ABCDEF.tmp", "a.json.0123456789abcdef.tmp")
    for name in names:
        (tmp_path / name).write_text("mine")
    temporary_name(tmp_path / "a.json").symlink_to(elsewhere)
    temporary_name(tmp_path / "a.json").symlink_to(elsewhere / "thesis.tex")
    os.mkfifo(temporary_name(tmp_path / "a.json"))
    before = sorted(tmp_path.rglob("*"))
    sweep(tmp_path, "*")
    assert sorted(tmp_path.rglob("*")) == before and (elsewhere / "thesis.tex").read_text() == "years of work"


def test_a_folder_that_holds_a_link_is_swept_without_following_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    folder = temporary_name(tmp_path / "audit.nc")
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "mine")
    sweep(tmp_path, "audit.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"] and (tmp_path / "mine" / "thesis.tex").exists()


def test_names_cannot_be_guessed_and_are_of_one_length(tmp_path: Path) -> None:
    names = {temporary_name(tmp_path / "a.json").name for _ in range(100)}
    assert len(names) == 100 and {len(name) for name in names} == {len(".a.json..tmp") + 16}


def test_writers_leave_nothing(tmp_path: Path) -> None:
    write_directory(tmp_path / "step-1", {"a": b"a"})
    with replacing(tmp_path / "x.nc") as path:
        path.write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x.nc") as path:
        path.write_bytes(b"y")
        1 / 0  # noqa: B018
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-1", "x.nc"]
    assert (tmp_path / "x.nc").read_bytes() == b"x"
