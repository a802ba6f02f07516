"""A page keeps its size: what goes, in which order, and that it says so."""

from dataclasses import replace

import pytest
import torch

from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.result import Exploration
from elbowroom.report.explorer.document import page
from elbowroom.report.explorer.drawn import Drawn
from elbowroom.report.explorer.fitted import STEPS, Content, fitted
from elbowroom.report.explorer.payload import flattened
from toys.explorations import digits, eight_latents, sequences
from toys.explorer_reader import bytes_in, data_of, surface_in

WHOLE = 3_000_000


@pytest.mark.slow
def test_a_page_of_360_digits_is_below_three_megabytes_as_it_is() -> None:
    text = page(digits())
    assert len(text.encode()) <= WHOLE and len(data_of(text)["views"]) == 360
    assert data_of(text)["notices"] == list(digits().notices)


@pytest.fixture(scope="module")
def pictures() -> Exploration:
    """Of 16 × 16 pixels, with draws, on planes of their own."""
    torch.set_default_dtype(torch.float64)
    return eight_latents(count=10, views=4, side=16)


@pytest.fixture(scope="module")
def bare(pictures: Exploration) -> int:
    """Bytes of the page without any data."""
    return len(page(pictures).encode()) - len(fitted(pictures, PIXELS, WHOLE).encode())


PIXELS = Drawn("picture", (16, 16, 1))


@pytest.mark.parametrize("share", [0.9, 0.5, 0.25, 0.1])
def test_whatever_the_size_it_is_kept_and_what_went_is_said(share: float, pictures: Exploration, bare: int) -> None:
    most = bare + int(share * (len(page(pictures).encode()) - bare))
    text = page(pictures, max_bytes=most)
    data = data_of(text)
    assert len(text.encode()) <= most
    said = [notice for notice in data["notices"] if notice.startswith("To keep the page small")]
    assert said and len(set(said)) == len(said)
    kept = [view["datum"] for view in data["views"]]
    assert kept == [view.datum for view in pictures.views][: len(kept)]  # the worst are kept
    if len(kept) < len(pictures.views):
        assert f"shown of {len(kept)} data" in said[-1]


def test_steps_are_taken_in_order_until_it_is_small_enough(pictures: Exploration, bare: int) -> None:
    """Each size that is a byte too small for what was fitted before costs what comes next; draws are few here."""
    size = len(page(pictures).encode())
    notices = [notice for step, notice in STEPS if step is not STEPS[1][0]]
    for n in range(1, 1 + len(notices)):
        text = page(pictures, max_bytes=size - 1)
        assert data_of(text)["notices"] == notices[:n]
        size = len(text.encode())
    assert len(data_of(page(pictures, max_bytes=size - 1))["views"]) < len(pictures.views)


def content() -> Content:
    return Content(flattened(eight_latents(count=10, views=4, side=16), PIXELS), PIXELS)


def test_coarser_lattices_stand_where_they_stood() -> None:
    """Every other point, of an even number too: places and values go together."""
    before = content()
    view = replace(before.exploration.views[0], log_joint=torch.randn(34, 34))
    both = before._replace(exploration=replace(before.exploration, views=(view,)))
    after = STEPS[2][0](both)
    assert after is not None
    coarse = after.exploration.views[0]
    assert (coarse.log_joint == view.log_joint[::2, ::2]).all() and coarse.log_joint.shape == (17, 17)
    old, new = view.frame.lattice(34), coarse.frame.lattice(17)
    assert torch.allclose(new, old[::2, ::2])


def test_coarser_pictures_stand_where_they_stood() -> None:
    before = content()
    after = STEPS[3][0](before)
    assert after is not None
    old, new = before.exploration.views[0].decoded, after.exploration.views[0].decoded
    assert old is not None and new is not None and (new.mean == old.mean[::2, ::2]).all()

    def places(window: torch.Tensor, size: int) -> torch.Tensor:
        return Frame(window[0], window, window, window, (), "").lattice(size)

    assert torch.allclose(places(new.window, 9), places(old.window, 17)[::2, ::2])


def test_fewer_pixels_are_of_all_pictures_alike() -> None:
    exploration = content().exploration
    after = STEPS[4][0](content())
    assert after is not None and after.drawn.sizes == (8, 8, 1) and after.exploration.x.shape == (10, 64)
    decoded = after.exploration.views[0].decoded
    assert decoded is not None and decoded.mean.shape[-1] == 64
    first = exploration.x[0].reshape(16, 16)[:2, :2].double().mean().round()
    assert after.exploration.x[0, 0] == first


def test_a_step_that_changes_nothing_is_not_said() -> None:
    """Sequences have no draws of x and no pixels; their lattice is coarse already."""
    most = len(page(sequences()).encode()) - 2000
    notices = data_of(page(sequences(), max_bytes=most))["notices"]
    assert notices and not any("draws of x" in notice or "pixel" in notice for notice in notices)


def test_data_without_a_view_lose_their_picture_with_the_views() -> None:
    exploration = digits(30)
    smallest = len(page(replace(exploration, views=(), moments=())).encode())
    text = page(exploration, max_bytes=smallest + 6_000)
    data = data_of(text)
    kept = {view["datum"] for view in data["views"]}
    assert 0 < len(kept) < 30
    x = bytes_in(data["x"])
    assert all((x[b] == 255).all() == (b not in kept) for b in range(30))
    assert surface_in(data["views"][0]["log_joint"]).shape == (17, 17)


def test_what_cannot_be_left_out_has_a_size_that_is_told() -> None:
    with pytest.raises(ValueError, match=r"max_bytes: the page needs \d+ bytes more"):
        page(digits(30), max_bytes=1000)
