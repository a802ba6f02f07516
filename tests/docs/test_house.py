"""The house is as its page says: every proof holds, and every proof can fail."""

import re
import subprocess
import sys

import grimp
import pytest

import house
from house_imports import ROOT, Layers, layers
from house_picture import Box, Floors, picture


def graph_of(*imports: tuple[str, str]) -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for importer, imported in imports:
        for module in (importer, imported):
            for i in range(module.count(".") + 1):
                graph.add_module(module.rsplit(".", i)[0])
        graph.add_import(importer=importer, imported=imported)
    return graph


def test_every_proof_holds() -> None:
    done = subprocess.run([sys.executable, "docs/house.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 10
    assert all(line.startswith("0 ") for line in done.stdout.splitlines())


def test_a_circle_would_be_found() -> None:
    assert house.no_circles(graph_of(("e.a.x", "e.b.x"), ("e.b.y", "e.a.y"))).exceptions
    assert not house.no_circles(graph_of(("e.a.x", "e.b.x"), ("e.b.y", "e.c.y"))).exceptions


@pytest.mark.parametrize("wrong", [("e.low.x", "e.high.x"), ("e.left.x", "e.right.x")])
def test_an_import_up_or_to_a_neighbour_would_be_found(wrong: tuple[str, str]) -> None:
    known = {"e": Layers("e", [["high"], ["left", "right"], ["low"]])}
    assert house.nothing_upwards(graph_of(wrong), known).exceptions == [" -> ".join(wrong)]
    assert not house.nothing_upwards(graph_of(("e.high.x", "e.low.x"), ("e.left.x", "e.low.x")), known).exceptions


def test_a_wing_without_a_floor_would_be_found() -> None:
    known = {"elbowroom": Layers("elbowroom", [["inference"]]), "elbowroom.inference": Layers("", [["gap"]])}
    graph = graph_of(("elbowroom.inference.gap.x", "elbowroom.inference.new.x"))
    assert house.every_wing_has_a_floor(graph, known).exceptions == ["elbowroom.inference.new"]


def test_rows_of_the_page_are_read_with_what_they_import() -> None:
    rows = house.table_of_wings(
        "| wing | … | imports |\n|---|---|---|\n| `gap/` | p(z\\|x) | mcmc, target |\n| `weights/` | w | – |\n"
    )
    assert rows == [("gap", ["mcmc", "target"]), ("weights", [])]
    assert house.page_is_true(
        graph_of(("elbowroom.inference.x", "elbowroom.inference.y")), layers()["elbowroom.inference"]
    ).exceptions


def test_the_picture_has_every_box_once_and_arrows_that_point_down() -> None:
    boxes = [[Box(name, name, "Why?", "1 file") for name in floor] for floor in (["a"], ["b", "c"], ["d"])]
    drawn = picture(Floors(boxes, [("a", "b"), ("a", "d"), ("b", "d")]))
    assert re.findall(r'class="name"[^>]*>(\w)<', drawn) == ["a", "b", "c", "d"]
    ways = re.findall(r'class="arrow" d="M[\d.]+,([\d.]+).*?([\d.]+)"', drawn)
    assert len(ways) == 3
    assert all(float(start) < float(end) for start, end in ways)
    assert drawn == picture(Floors(boxes, [("b", "d"), ("a", "d"), ("a", "b")])), "the order of arrows must not matter"
