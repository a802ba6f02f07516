"""Folders on a disk and behind URLs: the same calls, the same bytes."""

import time
from pathlib import Path

import pytest

from elbowroom.inference import merge_shards, shards_standing
from elbowroom.inference.saving.places import LocalPlace, RemotePlace, place_of
from toys.shard_worker import share


@pytest.mark.parametrize("kind", ["path", "file", "memory"])
def test_files_are_written_read_listed_and_removed(tmp_path: Path, kind: str) -> None:
    where = {"path": str(tmp_path), "file": f"file://{tmp_path}", "memory": f"memory://{tmp_path.name}"}[kind]
    place = place_of(where)
    assert isinstance(place, RemotePlace if kind == "memory" else LocalPlace)
    assert not place.has("a/b.bin") and place.names("a") == {}
    with pytest.raises(FileNotFoundError):
        place.read("a/b.bin")
    place.write("a/b.bin", b"0123456789")
    place.write("a/c.bin", b"")
    place.write("a/c.bin", b"new")
    assert place.has("a/b.bin") and place.read("a/c.bin") == b"new" and place.read_part("a/b.bin", 3, 4) == b"3456"
    names = place.names("a")
    assert sorted(names) == ["b.bin", "c.bin"] and abs((names["b.bin"] or 0) - time.time()) < 100
    place.remove("a/b.bin")
    place.remove("a/b.bin")
    assert sorted(place.names("a")) == ["c.bin"]
    (tmp_path / "made").write_bytes(b"made")
    place.put(tmp_path / "made", "d.bin")
    assert place.read("d.bin") == b"made"
    with place.writer("a"):
        place.write("a/c.bin", b"mine")
    assert (tmp_path / "a/c.bin").exists() is (kind != "memory")


def test_links_are_not_followed_for_writing(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "place").mkdir()
    (tmp_path / "place/chunks").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="is a link"):
        place_of(tmp_path / "place").write("chunks/a", b"1")


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing-of-the-kind"):
        place_of("nothing-of-the-kind://a/b")


def test_a_url_needs_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elbowroom.inference.saving.places.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"elbowroom\[remote\]"):
        place_of("memory://a")


def test_shards_behind_a_url_are_those_on_a_disk(tmp_path: Path) -> None:
    share(str(tmp_path / "local"), 8)
    expected = Path(merge_shards(tmp_path / "local")).read_bytes()
    for where in (f"memory://{tmp_path.name}/shards", f"file://{tmp_path}/shards"):
        assert share(where, 16, stored=True).complete and shards_standing(where).rate is not None
        merged = merge_shards(where)
        assert merged == (f"{where}/evidence.nc" if "memory" in where else tmp_path / "shards/evidence.nc")
        assert place_of(where).read("evidence.nc") == expected
