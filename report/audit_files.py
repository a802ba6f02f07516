"""All files of an audit: the page for people, JSON and netCDF for machines."""

from pathlib import Path

from elbowroom.entrances import checked
from elbowroom.inference.audit import Audit
from elbowroom.inference.exploration.result import Exploration
from elbowroom.report.archives.audit_json import save_audit_json
from elbowroom.report.archives.audit_netcdf import save_audit_netcdf
from elbowroom.report.page.document import save_html

PAGE, RECORD, ARCHIVE = "report.html", "audit.json", "audit.nc"


@checked
def save_audit(
    audit: Audit,
    directory: str | Path,
    *,
    image_shape: tuple[int, ...] | None = None,
    title: str | None = None,
    exploration: Exploration | None = None,
) -> list[Path]:
    """Write `report.html`, `audit.json` and `audit.nc` into a directory and return their paths.

    Args:
        audit: what to write.
        directory: made if it is not there.
        image_shape: of a datum; `()` says that data are no pictures, None lets it be guessed (see `save_html`).
        title: of the page.
        exploration: from `explore`, for a section of the page.
    """
    where = Path(directory)
    written = [save_html(audit, where / PAGE, image_shape=image_shape, title=title, exploration=exploration)]
    written.append(save_audit_json(audit, where / RECORD))
    written.append(save_audit_netcdf(audit, where / ARCHIVE))
    return written
