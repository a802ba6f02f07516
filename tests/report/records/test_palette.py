"""One colour, one meaning: the page and the figures take theirs from one place, and no two are alike."""

import re
from itertools import combinations
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest

import elbowroom.report.figures
from elbowroom.report import loss_figure
from elbowroom.report.figures import style
from elbowroom.report.figures.looks import LOOKS
from elbowroom.report.page.document import page
from elbowroom.report.records.palette import PALETTE, css, paper_css
from toys.audit_results import good_audit

COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


def test_page_and_figures_have_the_same_colours() -> None:
    text = page(good_audit())
    for name, ink in PALETTE.items():
        assert f"--{name}: {ink.light};" in text and f"--{name}: {ink.dark};" in text
    for role, name in (("exact", "exact"), ("guide", "guide"), ("draws", "draws"), ("bound", "bound")):
        assert LOOKS[role]["color"] == PALETTE[name].light == getattr(style, name.upper())
    assert css().count("{") == css().count("}") == 3


def test_what_is_drawn_on_the_page_has_a_colour_of_the_palette() -> None:
    """Its own colours are of paper, ink and signs; what stands for q, for a bound, for the room is not among them."""
    rules = Path(page.__code__.co_filename).with_name("page.css").read_text(encoding="utf-8")
    drawn = dict(re.findall(r"\.([a-z.]+) \{ (?:fill: none; )?(?:fill|stroke): var\(--([a-z-]+)\)", rules))
    expected = {
        "curve": "guide", "draws": "guide", "encoder": "encoder", "family": "family", "rest": "rest",
        "column": "family",
        "end": "exact", "end.bound": "bound", "node": "exact", "node.bound": "bound", "region.outer": "posterior-outer",
        "region.inner": "posterior",
    }  # fmt: skip
    assert {name: drawn.get(name) for name in expected} == expected
    own = set(re.findall(r"--([a-z-]+): #", paper_css() + rules))
    assert "ink" in own
    assert not own & PALETTE.keys()


def test_figures_name_no_colour_that_the_palette_has() -> None:
    """A literal of one of its colours would be a second place that says what it means."""
    taken = {ink.light.lower() for ink in PALETTE.values()}
    for path in Path(elbowroom.report.figures.__file__).parent.glob("*.py"):
        literals = {found.lower() for found in COLOUR.findall(path.read_text(encoding="utf-8"))}
        assert not literals & (taken - {"#8a8a8a"}), path.name


@pytest.mark.parametrize("paper", ["light", "dark"])
def test_no_two_meanings_look_alike(paper: str) -> None:
    inks = {name: np.array(matplotlib.colors.to_rgb(getattr(ink, paper))) for name, ink in PALETTE.items()}
    for (one, a), (other, b) in combinations(inks.items(), 2):
        if {one, other} != {"posterior", "data"}:  # greys: a region and a line
            assert np.abs(a - b).max() > 0.1, (one, other)


def test_the_held_out_elbo_is_a_bound_in_the_course_of_training_too() -> None:
    ax = loss_figure([{"epoch": e, "elbo": -20.0 + e, "elbo_stderr": 0.1} for e in (1, 2, 3)]).axes[0]
    assert {line.get_color() for line in ax.lines} == {PALETTE["bound"].light}
