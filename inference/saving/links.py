"""Links in a folder of somebody else's: what is written into it never lands elsewhere."""

import os
from pathlib import Path

from elbowroom.inference.saving.locks import NO_LINK


def own_folder(root: Path, name: str) -> Path:
    """`root/name`, if neither it nor a folder in it is a link to another place; `root` itself may be one.

    Links to files are no matter: what is written takes their place.

    Raises:
        OSError: naming the link.
    """
    path = root / name
    check_no_link(path)
    for inside in path.rglob("*") if path.is_dir() else ():
        if inside.is_dir():
            check_no_link(inside)
    return path


def check_no_link(path: Path) -> None:
    """Raise OSError if this is a link: what is written below it would land elsewhere."""
    if path.is_symlink():
        raise OSError(
            f"{path} is a link to {os.readlink(path)}, and links there are not followed for writing: remove it, or "
            "give another place to write to"
        )


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file that is there, and has no other name by which it would be changed, too.

    Raises:
        OSError: there is no such file, or it is a link, symbolic or hard.
    """
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | NO_LINK), "ab") as file:
        if os.fstat(file.fileno()).st_nlink != 1:
            raise OSError(f"{path} has another name elsewhere (a hard link), where it would be changed, too")
        file.write(content)
