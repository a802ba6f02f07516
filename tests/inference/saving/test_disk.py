"""Errors of a disk name the file, the bytes and the remedy; what cannot be written is known before."""

import errno
import os
from pathlib import Path

import pytest

from elbowroom.inference.saving.disk import WriteError, try_writing, writing
from elbowroom.inference.saving.durable import replace_file, replacing


def refused(number: int, path: Path, needed: int | None = None) -> str:
    with pytest.raises(WriteError) as error, writing(path, needed):
        raise OSError(number, os.strerror(number))
    assert error.value.errno == number and "Errno" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("ENOSPC", "No space left on device (it needs 12,345 bytes, "),
        ("ENOSPC", "; free some space, or give a place on another disk"),
        ("EDQUOT", "; remove files of yours"),
        ("EFBIG", "; raise the limit on the size of files"),
        ("EROFS", "; give a place that is not read-only"),
        ("EACCES", "Permission denied; mend its permissions"),
        ("ENAMETOOLONG", "; give a shorter name"),
        ("EISDIR", "; remove or rename that directory"),
        ("ELOOP", "; remove that link"),
        ("EIO", "; check the disk"),
        ("EBUSY", "; give another place"),
    ],
)
def test_every_error_names_the_file_and_the_remedy(tmp_path: Path, number: str, told: str) -> None:
    said = refused(getattr(errno, number), tmp_path / "a.json", 12345)
    assert said.startswith(f"cannot write {tmp_path / 'a.json'}: ") and told in said


def test_free_bytes_are_those_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Table:
        f_files, f_favail = 10, 0

    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 4096}))
    assert "(it needs 5 bytes, 4,096 bytes are free)" in refused(errno.ENOSPC, tmp_path / "new" / "a", 5)
    assert "device (4,096 bytes are free)" in refused(errno.ENOSPC, tmp_path / "a")
    monkeypatch.setattr(os, "statvfs", lambda place: Table)
    assert "but the disk can hold no more files" in refused(errno.ENOSPC, tmp_path / "a", 5)


def test_what_a_library_writes_needs_more_than_it_has_written(tmp_path: Path) -> None:
    told = r"a.nc: No space left on device \(it needs more than 5 bytes, [\d,]+ bytes are free\); free some space"
    with pytest.raises(WriteError, match=told), replacing(tmp_path / "a.nc") as path:
        path.write_bytes(b"12345")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_hdf5_says_it_in_its_own_words(tmp_path: Path) -> None:
    for kind in (RuntimeError, OSError):
        with pytest.raises(WriteError, match=r"No space left on device.*free some space"), writing(tmp_path / "a.nc"):
            raise kind("unable to close file, errno = 28, error message = 'No space left on device'")
    with pytest.raises(RuntimeError, match=r"^own$"), writing(tmp_path / "a.nc"):
        raise RuntimeError("own")


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "a.json").mkdir(parents=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep"):
        for work in (lambda f: try_writing(f, ["a.json"]), lambda f: replace_file(f / "a.json", b"")):
            with pytest.raises(WriteError, match=rf"cannot write {folder}/a.json: {tmp_path}/file is no directory; re"):
                work(folder)
    for work in (lambda f: try_writing(f, ["b", "a.json"]), lambda f: replace_file(f / "a.json", b"")):
        with pytest.raises(WriteError, match=r"folder/a.json: Is a directory; remove or rename that directory"):
            work(tmp_path / "folder")
        with pytest.raises(WriteError, match=r"dangling is no directory"):
            work(tmp_path / "dangling")


def test_names_that_are_too_long_are_refused_before(tmp_path: Path) -> None:
    for folder, name in ((tmp_path / "new" / ("n" * 300), "a"), (tmp_path, "n" * 300)):
        with pytest.raises(WriteError, match="File name too long; give a shorter name"):
            try_writing(folder, [name])


def test_trying_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    try_writing(tmp_path, ["a.json"])
    try_writing(tmp_path / "new" / "deep", ["a.json", "b.json"])
    assert [p.name for p in tmp_path.rglob("*")] == ["a.json"] and (tmp_path / "a.json").read_text() == "old"


def test_a_full_disk_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left on device \(it needs 4,096 bytes, .*free some space"):
        try_writing(tmp_path, ["a.json"])
    assert not list(tmp_path.iterdir())
