"""The report in a real browser: no network, no complaints, sorting, phones, the dark, paper, contrast."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from elbowroom.report.page.document import save_html
from toys.audit_results import AUDITS, every_audit
from toys.browser import Browser, browser
from toys.contrast import CONTRAST
from toys.scrolling import check_width, scrolled_parts

COLUMN = """
const index = [...document.querySelectorAll('#data thead th')].findIndex(
  (th) => th.textContent.trim().startsWith(arguments[0]));
return [...document.querySelectorAll('#data tbody tr')].map((row) => row.cells[index].dataset.v);
"""
SORTED = """
return [...document.querySelectorAll('#data thead th[aria-sort]')].filter((th) => th.ariaSort !== 'none').map(
  (th) => [th.textContent.trim(), th.ariaSort]);
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {name: save_html(kind(), folder / f"{name}.html") for name, kind in AUDITS.items()}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@every_audit
def test_it_opens_offline_without_a_complaint(kind: str, pages: dict[str, Path], tab: Browser) -> None:
    tab.open(pages[kind])
    asked = [url for url in tab.requests() if not url.startswith("data:")]
    assert asked == [pages[kind].as_uri()]
    assert tab.complaints() == []
    assert tab.run("return document.querySelectorAll('section h2').length") == 13
    loaded = "return [...document.images].every((i) => i.complete && i.naturalWidth > 0)"
    assert tab.run(loaded) and tab.run("return document.images.length > 0") == (kind in ("good", "bad"))


@pytest.mark.parametrize("key", ["click", "\ue007", " "])
def test_headings_sort_by_click_and_by_key(key: str, pages: dict[str, Path], tab: Browser) -> None:
    tab.open(pages["bad"])
    assert tab.run(SORTED) == [["Room", "descending"]]

    def press(heading: str) -> None:
        buttons = tab.driver.find_elements("css selector", "#data thead button")
        button = next(b for b in buttons if b.text.startswith(heading))
        button.click() if key == "click" else button.send_keys(key)

    before = tab.run(COLUMN, "Datum")
    press("k̂")
    column = tab.run(COLUMN, "k̂")
    known = [float(value) for value in column if value]
    assert len(known) == 30 and known == sorted(known, reverse=True) and set(column[30:]) == {""}
    assert tab.run(SORTED) == [["k̂", "descending"]]
    assert tab.run("return document.getElementById('sorted').textContent") == "Sorted by k̂, descending"
    press("k̂")
    column = tab.run(COLUMN, "k̂")
    assert [float(value) for value in column[:30]] == sorted(known) and set(column[30:]) == {""}
    assert tab.run(SORTED) == [["k̂", "ascending"]]
    press("Room")
    assert tab.run(SORTED) == [["Room", "descending"]] and tab.run(COLUMN, "Room")[:2] == ["inf", "4.1e+17"]
    press("Datum")
    assert tab.run(COLUMN, "Datum") == [str(b) for b in range(60)] != before
    assert tab.complaints() == []


@pytest.mark.parametrize("width", [320, 375, 768, 1200])
@every_audit
def test_no_page_is_wider_than_its_screen(kind: str, width: int, pages: dict[str, Path], tab: Browser) -> None:
    tab.open(pages[kind], width=width)
    check_width(tab, width)


@pytest.mark.parametrize(("width", "height"), [(1200, 800), (400, 800)])
@every_audit
def test_the_verdict_is_on_the_first_screen(
    kind: str, width: int, height: int, pages: dict[str, Path], tab: Browser
) -> None:
    tab.open(pages[kind], width=width)
    box = tab.run("return document.querySelector('#verdict').getBoundingClientRect().toJSON()")
    assert box["top"] >= 0 and box["bottom"] <= height


@every_audit
def test_a_phone_scrolls_one_way_only(kind: str, pages: dict[str, Path], tab: Browser) -> None:
    """Nothing is reached by scrolling inside of the page: notes neither."""
    tab.open(pages[kind], width=400)
    assert scrolled_parts(tab) == []
    notes = tab.run("return [...document.querySelectorAll('.data .notes')].map((e) => e.getBoundingClientRect().right)")
    assert len(notes) > 5 and max(notes) <= 400


@pytest.mark.parametrize("paper", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_the_contrast_of_wcag_aa(dark: bool, paper: bool, pages: dict[str, Path], tab: Browser) -> None:
    for path in pages.values():
        tab.open(path, dark=dark, paper=paper)
        tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        ratio, where = tab.run(CONTRAST)
        assert ratio >= 4.5, where
        background = tab.run("return getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(21, 23, 26)") == (dark and not paper)  # paper is never dark


def test_on_paper_everything_is_open_and_the_screen_is_as_before(pages: dict[str, Path], tab: Browser) -> None:
    tab.open(pages["bad"])
    count = "return [document.querySelectorAll('details').length, document.querySelectorAll('details[open]').length]"
    every, opened = tab.run(count)
    warned = tab.run("return document.querySelectorAll('.group.warning, .group.bad').length")
    assert every > 5 and opened == warned > 0  # what needs a look is open
    tab.run("window.dispatchEvent(new Event('beforeprint'))")
    assert tab.run(count) == [every, every]
    tab.run("window.dispatchEvent(new Event('afterprint'))")
    assert tab.run(count) == [every, opened]
    assert base64.b64decode(tab.pdf()).startswith(b"%PDF")
    tab.show(paper=True)
    boxes = "return [...document.querySelectorAll('.scroll')].every((b) => b.scrollHeight <= b.clientHeight + 1)"
    assert tab.run(boxes)
    tab.show()
    assert not tab.run(boxes)


def test_a_link_to_a_datum_shows_its_row(pages: dict[str, Path], tab: Browser) -> None:
    tab.open(pages["bad"])
    tab.run("document.querySelector('.verdict a[href=\"#datum-0\"]').click()")
    box = tab.run("return document.querySelector('#datum-0').getBoundingClientRect().toJSON()")
    assert 0 <= box["top"] < 900 and tab.run("return document.querySelector('tr:target').id") == "datum-0"
