"""Pages that are written where Sphinx finds them: only what changed, so that it reads only that again."""

from collections.abc import Mapping
from pathlib import Path


def write_folder(folder: Path, pages: Mapping[str, str | bytes], *, keep: str = "") -> None:
    """Write `pages` (path in the folder -> text or bytes), and remove other files there, but those under `keep`."""
    for path, text in pages.items():
        write_page(folder / path, text)
    for old in [file for file in folder.rglob("*") if file.is_file()]:
        inside = old.relative_to(folder).as_posix()
        if inside not in pages and not (keep and inside.startswith(f"{keep}/")):
            old.unlink()


def write_page(page: Path, text: str | bytes) -> None:
    """Write a page, or a picture, if it is another than before."""
    new = text.encode() if isinstance(text, str) else text
    if not page.exists() or page.read_bytes() != new:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_bytes(new)
