"""All figures: matplotlib is left as it was, and all else that the process shares; files are whole and reproducible."""

from pathlib import Path

import matplotlib
import pytest

from elbowroom.report import save_figure
from toys.figures import FIGURES
from toys.global_state import untouched


@pytest.mark.parametrize("name", FIGURES)
def test_figures_leave_matplotlib_as_they_found_it(name: str, tmp_path: Path) -> None:
    settings = dict(matplotlib.rcParams)  # reading them all has matplotlib choose a backend
    backend = matplotlib.get_backend()
    with matplotlib.rc_context({"axes.facecolor": "black", "text.usetex": True, "font.size": 40}):
        inside = dict(matplotlib.rcParams)
        with untouched():
            figure = FIGURES[name]()
        path = save_figure(figure, tmp_path / "folder" / "figure.png")
        assert dict(matplotlib.rcParams) == inside
        assert not any(text.get_usetex() for text in figure.findobj(matplotlib.text.Text))
    assert dict(matplotlib.rcParams) == settings
    assert matplotlib.get_backend() == backend
    assert path.read_bytes().startswith(b"\x89PNG")
    assert all(ax.get_facecolor() == (1, 1, 1, 1) for ax in figure.axes)


def test_a_notebook_shows_a_figure() -> None:
    assert FIGURES["prior samples"]()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_same_figure_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    files = [save_figure(FIGURES["loss"](), tmp_path / f"{i}{suffix}") for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"atplotlib" not in files[0].read_bytes() or suffix != ".png"


def test_an_unknown_format_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got suffix '.bmp'.*expected one of .png, .pdf, .svg"):
        save_figure(FIGURES["loss"](), tmp_path / "figure.bmp")
    assert not list(tmp_path.iterdir())


def test_a_pyplot_figure_is_closed(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    figure = plt.figure()
    save_figure(figure, tmp_path / "figure.png")
    assert not plt.fignum_exists(figure.number)
