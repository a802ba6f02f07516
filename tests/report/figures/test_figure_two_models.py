"""The figure of a comparison: each datum where its differences are, the means with the intervals that were found."""

import pytest
import torch
from matplotlib.figure import Figure

from elbowroom.report import versus_figure
from toys.figures import line_of
from toys.two_models import compared, reversed_pair


def axes(figure: Figure) -> list:
    return list(figure.axes)


def test_dots_are_the_data_and_lines_the_intervals() -> None:
    found = reversed_pair()
    left, right = axes(versus_figure(found))
    (dots,) = left.containers
    x, y = dots[0].get_data()
    assert torch.tensor(x).allclose(found.elbo.low) and torch.tensor(y).allclose(found.log_p.low)
    for name, paired in (("log p(x)", found.log_p), ("ELBO", found.elbo), ("room", found.room)):
        assert line_of(right, f"interval {name}")[0].tolist() == pytest.approx(paired.interval())
        assert line_of(right, f"mean {name}")[0].tolist() == pytest.approx([paired.value])


def test_titles_say_what_was_found() -> None:
    found = reversed_pair()
    figure = versus_figure(found)
    assert figure._suptitle is not None  # type: ignore[attr-defined]
    assert figure._suptitle.get_text() == "a is better, and the ELBO says the opposite"  # type: ignore[attr-defined]
    middle = (found.log_p.low + found.log_p.high) / 2
    disagree = int((middle * found.elbo.low < 0).sum())
    assert f"disagree on {disagree} of 30" in axes(figure)[0].get_title(loc="left")


def test_nothing_known_is_nothing_to_draw() -> None:
    x = torch.zeros(3)
    with pytest.raises(ValueError, match="nothing to draw"):
        versus_figure(compared((x, x), (x, x), unknown=range(3)))
