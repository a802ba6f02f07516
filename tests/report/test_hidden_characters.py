"""Names with characters that hide, or that files cannot hold, are escapes in the page, in JSON and in netCDF."""

import json
from dataclasses import replace
from pathlib import Path

import xarray as xr

from elbowroom.inference import Audit
from elbowroom.report.archives.audit_json import save_audit_json
from elbowroom.report.archives.audit_netcdf import save_audit_netcdf
from elbowroom.report.page.document import save_html
from toys.audit_results import bad_audit

HIDDEN = "evil\u202egnp.exe\x00\x1b[2J\ud800"
SHOWN = r"evil\u202egnp.exe\u0000\u001b[2J\ud800"
LONG = "n" * 400


def hostile() -> Audit:
    audit = bad_audit()
    assert audit.latent_use is not None and audit.portrait is not None
    latents = (HIDDEN, LONG, *audit.latent_use.latents[2:])
    return replace(
        audit,
        latent_use=replace(audit.latent_use, latents=latents),
        portrait=replace(audit.portrait, latents=latents),
        provenance={"guide": HIDDEN, HIDDEN: "value"},
        skipped={"calibration": HIDDEN},
        findings=(replace(audit.findings[0], sentence=f"{HIDDEN}."), *audit.findings[1:]),
    )


def test_the_page_shows_them(tmp_path: Path) -> None:
    text = save_html(hostile(), tmp_path / "report.html").read_text()
    assert not set(text) & {"\u202e", "\x00", "\x1b"}
    assert text.count(SHOWN) > 3
    assert LONG not in text and f"{'n' * 40}" in text


def test_json_holds_them_as_escapes(tmp_path: Path) -> None:
    path = save_audit_json(hostile(), tmp_path / "audit.json")
    text = path.read_text()
    assert not set(text) & {"\u202e", "\x00", "\x1b"}
    record = json.loads(text)
    assert record["provenance"]["guide"] == HIDDEN and record["skipped"]["calibration"] == HIDDEN
    assert LONG in text  # a name is whole in what machines read


def test_netcdf_holds_what_it_can(tmp_path: Path) -> None:
    path = save_audit_netcdf(hostile(), tmp_path / "audit.nc")
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert tree.attrs["provenance_guide"] == SHOWN
        assert any(SHOWN in sentence for sentence in tree["verdict"]["sentence"].values.tolist())
        names = [str(name) for node in tree.subtree if "latent" in node.coords for name in node["latent"].values]
        assert SHOWN in names and LONG in names
