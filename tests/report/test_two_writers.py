"""Two processes write the same output over and over: whoever reads meanwhile finds whole files, of one of the two."""

import io
import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from elbowroom.commands.output import finish, write_arrays
from elbowroom.densities import load_density, make_density, save_density
from elbowroom.inference import InUseError
from elbowroom.inference.saving.durable import replacing
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.report.archives.audit_json import save_audit_json
from elbowroom.report.archives.datatree import write_tree
from elbowroom.report.figures.style import new_figure, save_figure
from elbowroom.report.page.document import save_html
from toys.audit_results import bad_audit
from toys.selections import all_but_slow

SIZES = (300, 3000)
"""Of what the two write: whose bytes these are can be told, and half of the one is none of the other."""


def figure(path: Path, size: int) -> None:
    drawing = new_figure(1.0, 1.0)
    drawing.subplots().plot(range(size // 100))
    save_figure(drawing, path)


def by_a_library(path: Path, size: int) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps([size] * size))


def html(path: Path, size: int) -> None:
    save_html(replace(bad_audit(), provenance={"guide": "g" * size}), path)


def audit_json(path: Path, size: int) -> None:
    save_audit_json(replace(bad_audit(), provenance={"guide": "g" * size}), path)


def tree(path: Path, size: int) -> None:
    write_tree(xr.DataTree(xr.Dataset({"x": ("n", np.full(size, float(size)))})), path)


def opened_tree(content: bytes) -> int:
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as found:
        return int(found["x"].sum() / found["x"][0])


def ended_page(content: bytes) -> int:
    text = content.decode().rstrip()
    assert text.startswith("<!") and text.endswith("</html>")
    return next(size for size in reversed(SIZES) if "g" * size in text)


def drawn(content: bytes) -> int:
    Image.open(io.BytesIO(content)).load()
    return SIZES[0]


def of_json(content: bytes) -> int:
    return len(json.loads(content))


KINDS: dict[str, tuple[Callable[[Path, int], object], Callable[[bytes], int]]] = {
    "a.json": (lambda path, size: finish({str(n): size for n in range(size)}, path, False), of_json),
    "b.json": (by_a_library, of_json),
    "audit.json": (audit_json, lambda content: len(json.loads(content)["provenance"]["guide"])),
    "a.npz": (lambda path, size: write_arrays(path, {"x": np.ones(size)}), lambda c: len(np.load(io.BytesIO(c))["x"])),
    "a.nc": (tree, opened_tree),
    "a.html": (html, ended_page),
    "a.png": (figure, drawn),
    "a.svg": (figure, lambda content: SIZES[bool(ElementTree.fromstring(content)) * 0]),
}
"""File -> what writes it at a size, and what reads the size from it, or fails."""


def in_children(*works: Callable[[], object]) -> list[int]:
    """Process ids of forked children, one for each piece of work; 0 is the exit code of those that did it."""
    pids = []
    for work in works:
        if not (pid := os.fork()):
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    return pids


def ended(pids: list[int], meanwhile: Callable[[], object]) -> list[int]:
    """Exit codes of children, once all of them have ended, with something to do until then."""
    codes = []
    while pids:
        meanwhile()
        for pid in list(pids):
            if (found := os.waitpid(pid, os.WNOHANG))[0]:
                codes.append(os.waitstatus_to_exitcode(found[1]))
                pids.remove(pid)
    return codes


@pytest.mark.parametrize("name", all_but_slow(KINDS, ("audit.json", "a.html", "a.svg")))
def test_readers_meet_whole_files(name: str, tmp_path: Path) -> None:
    write, read = KINDS[name]
    path, seen = tmp_path / name, set()
    write(path, SIZES[0])

    def writer(size: int) -> Callable[[], object]:
        return lambda: [write(path, size) for _ in range(10)]

    def look() -> None:
        seen.add(read(path.read_bytes()))

    assert ended(in_children(*map(writer, SIZES)), look) == [0, 0]
    look()
    assert seen <= set(SIZES), seen
    assert [file.name for file in tmp_path.iterdir()] == [name], "nothing temporary is left"


def test_parameters_of_one_density_never_meet_the_description_of_another(tmp_path: Path) -> None:
    place, density = tmp_path / "density", make_density("made", 4, levels=2, hidden=(3,))
    save_density(density, place, "made", {"levels": 2, "hidden": [3]})
    with only_writer(place, "path", folder=True), pytest.raises(InUseError):  # another one writes there
        save_density(make_density("made", 4, levels=2, hidden=(5,)), place, "made", {"levels": 2, "hidden": [5]})
    assert load_density(place).num_parameters == density.num_parameters
    assert sorted(file.name for file in place.iterdir()) == ["density.json", "density.safetensors"]
