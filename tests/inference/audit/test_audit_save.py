"""`Audit.save` finds its writer among the entry points of the installed package, and says what to do without one."""

from importlib.metadata import EntryPoints
from pathlib import Path

import pytest

from elbowroom.inference import entry_points as found_by_name
from elbowroom.report.audit_files import ARCHIVE, PAGE, RECORD
from toys.audit_results import short_audit


def test_the_files_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    written = short_audit().save(tmp_path / "new")
    assert written == [tmp_path / "new" / name for name in (PAGE, RECORD, ARCHIVE)]
    assert sorted((tmp_path / "new").iterdir()) == sorted(written) and all(path.stat().st_size for path in written)


def test_an_installation_older_than_the_entry_point_is_told_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_by_name, "entry_points", lambda **which: EntryPoints(()))
    with pytest.raises(RuntimeError, match=r"pip install -e \.`.*elbowroom\.report\.save_audit\(audit, directory\)"):
        short_audit().save(tmp_path)
    assert not list(tmp_path.iterdir())
