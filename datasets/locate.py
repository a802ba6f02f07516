"""From the name of a data set, or of a file, to the files on this machine; nothing is downloaded."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from elbowroom.datasets.own_files import ENDINGS, SETS_BY_FILE, has_reader, own_source
from elbowroom.datasets.sources import NAMES, SOURCES, Files, Layout, Source

ENVIRONMENT = "ELBOWROOM_DATA"
"""The variable that names the data folder when `data_dir` does not."""

_SHARED_NAMES_ARE = "mnist"


@dataclass(frozen=True)
class Found:
    """A data set's files: its name, what is known of it, the layout they are in, and the files by part."""

    name: str
    source: Source
    layout: Layout
    files: Files


def find(name: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None) -> Found:
    """Find the files of a data set, or one file (or folder of pictures) by its path or by its name in the data folder.

    A named set is looked for in the data folder and its subfolders named after the set. A file is looked for in
    `data_dir`, then as its path says, then in the folder that the environment variable names.

    Raises:
        ValueError: if the name is neither a data set's nor a readable file's.
        FileNotFoundError: naming the files looked for, the places, and how to provide them.
    """
    text = os.fspath(name)
    known = text.lower().replace("_", "-")
    if known in SOURCES:
        return _find_named(known, SOURCES[known], data_dir)
    return _find_own(text, data_dir)


def _find_named(name: str, source: Source, data_dir: str | os.PathLike[str] | None) -> Found:
    root = source.embedded or _data_folder(data_dir)
    if root is None:
        raise FileNotFoundError(
            f"data set {name!r} is not embedded and no data folder is given. {_advice(source)} (of the named sets "
            f"only {', '.join(n for n, s in SOURCES.items() if s.embedded)} needs no files)"
        )
    halves = []
    for layout in source.layouts:
        for place in _places(name, source, layout, root):
            files = _files_in(place, layout)
            missing = [part for part in layout.parts if part not in files and part not in layout.optional]
            if not missing:
                return Found(name, source, layout, files)
            if files:
                halves.append(f"{place} has {_names(files)} but lacks {', '.join(layout.parts[p][0] for p in missing)}")
    places = dict.fromkeys(str(p) for layout in source.layouts for p in _places(name, source, layout, root))
    raise FileNotFoundError(
        f"data set {name!r} was not found in {', '.join(places)}. "
        + "".join(f"{half}. " for half in halves)
        + _advice(source)
    )


def _find_own(text: str, data_dir: str | os.PathLike[str] | None) -> Found:
    path = Path(text).expanduser()
    root = None if path.is_absolute() else _data_folder(data_dir)
    places = [path] if root is None else [path, root / path]
    if data_dir is not None:  # an argument says more than where the process happens to run
        places.reverse()
    for place in places:
        if place.exists():
            source = own_source(place)
            name = SETS_BY_FILE.get(place.name.lower(), place.name or place.resolve().name)
            layout = source.layouts[0]
            return Found(name, source, layout, _files_in(place.parent, layout) | {"file": place})
    if not has_reader(path.name) and len(path.parts) == 1:
        near = get_close_matches(text.lower(), NAMES, n=1, cutoff=0.5)
        raise ValueError(
            f"unknown data set {text!r}{f'; did you mean {near[0]!r}?' if near else '.'} Known names: "
            f"{', '.join(NAMES)}; or a folder of pictures, or a file that ends in {ENDINGS}"
        )
    raise FileNotFoundError(
        f"no such file: {' or '.join(str(place) for place in places)}. Give its path, or its name together with "
        f"data_dir=... or the environment variable {ENVIRONMENT}. Nothing is downloaded"
    )


def _data_folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    given, value = ("data_dir", data_dir) if data_dir is not None else (ENVIRONMENT, os.environ.get(ENVIRONMENT))
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{given}: there is no folder {str(folder)!r}; name the one that holds the data files")
    return folder


def _places(name: str, source: Source, layout: Layout, root: Path) -> Iterator[Path]:
    if not layout.shared or _owner(root) == name:
        yield root
    yield from (root / folder for folder in source.folders)


def _owner(root: Path) -> str:
    """Whose files with shared names are, in this folder."""
    path = root.absolute()
    ends = {path.name, f"{path.parent.name}/{path.name}"}
    return next((name for name, source in SOURCES.items() if ends & set(source.folders)), _SHARED_NAMES_ARE)


def _files_in(place: Path, layout: Layout) -> dict[str, Path]:
    found = {part: [place / n for n in names if (place / n).is_file()] for part, names in layout.parts.items()}
    return {part: paths[0] for part, paths in found.items() if paths}


def _names(files: Files) -> str:
    return ", ".join(path.name for path in files.values())


def _advice(source: Source) -> str:
    ways = [
        " and ".join(names[0] for part, names in layout.parts.items() if part not in layout.optional)
        + (f" (or .gz), in a folder named {source.folders[0]}" if layout.shared else "")
        for layout in source.layouts
    ]
    return (
        f"It is read from {'; or from '.join(ways)}. Put the files into a folder and name that with data_dir=... or "
        f"the environment variable {ENVIRONMENT}. Nothing is downloaded"
    )
