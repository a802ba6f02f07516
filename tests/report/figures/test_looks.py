"""Who is who in a figure: told apart by colour, and by line and marker without it."""

import matplotlib.colors
import pytest

from elbowroom.report import look
from elbowroom.report.figures.looks import LOOKS


@pytest.mark.parametrize("part", ["color", "linestyle", "marker"])
def test_no_two_roles_look_alike(part: str) -> None:
    told_by_colour_alone = {"data"} if part == "linestyle" else set()  # data are drawn as markers
    values = [repr(one[part]) for role, one in LOOKS.items() if role not in told_by_colour_alone]
    assert len(set(values)) == len(values)


def test_every_line_is_seen_on_white() -> None:
    for role, one in LOOKS.items():
        luminance = sum(
            w * c for w, c in zip((0.2126, 0.7152, 0.0722), matplotlib.colors.to_rgb(one["color"]), strict=True)
        )
        assert luminance < 0.7, role


def test_what_is_changed_is_changed_there_alone() -> None:
    assert look("guide", marker="") == {**look("guide"), "marker": ""}
    assert look("guide")["marker"] == LOOKS["guide"]["marker"] == "s"


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="role: got 'truth', expected one of exact, guide"):
        look("truth")
