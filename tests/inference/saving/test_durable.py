"""Files that are whole or not there, whoever writes them and whatever goes wrong meanwhile."""

import os
from pathlib import Path

import pytest

from elbowroom.inference.saving.durable import replace_file, replace_text, replacing


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = replace_text(tmp_path / "deep" / "page.html", "old")
    with pytest.raises(ValueError, match="in the middle"), replacing(path) as temporary:
        temporary.write_text("ne")
        raise ValueError("in the middle")
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = replace_text(tmp_path / "a.json", "old")
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second, longer")  # two writers at once do not mix
        assert path.read_text() == "old" and first.name == "a.json" and first.parent.name[0] == "."
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_text_is_utf_8_and_readable_by_those_whom_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = replace_text(tmp_path / "page.html", "log p̂(x) ≥ −3")
    finally:
        os.umask(before)
    assert path.read_bytes().decode("utf-8") == "log p̂(x) ≥ −3"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.json"
    replace_file(path, b"old")

    def refuse(*args: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
